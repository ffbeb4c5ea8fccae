//! Clean-ups: with nothing to do they say so, and end with 0.

use super::*;

/// Returns the exit code of a plan whose commands all succeed, without running it.
fn exit_code(line: &str) -> u8 {
    let plan = call(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let mut codes = plan.steps.iter().filter_map(|step| match step {
        Step::Exit(code) => Some(*code),
        _ => None,
    });
    codes.next_back().unwrap_or(0)
}

#[test]
fn prunes_remove_what_buildah_does_not_need() {
    for (line, command) in [
        ("docker image prune -af", "try rmi --all"),
        (
            "docker image prune -f --filter dangling=true",
            "try rmi --prune",
        ),
        ("docker buildx prune -af", "try rmi --prune"),
        ("docker builder prune --all --force", "try rmi --prune"),
        ("docker system prune --all --volumes", "try rmi --all"),
        ("podman image prune -af", "try rmi --all"),
        ("podman system prune -f", "try rmi --prune"),
    ] {
        let expected = ["images --json --no-trunc", command, "print output"];
        assert_eq!(steps(line), expected, "{line}");
        assert!(notices(line).is_empty(), "{line}");
    }
}

#[test]
fn a_prune_with_a_limit_removes_nothing_and_says_so() {
    for line in [
        "docker image prune -af --filter until=24h",
        "docker image prune --filter label!=keep",
        "docker builder prune -af --keep-storage 10GB",
        "docker buildx prune -af --max-used-space 10GB",
        "docker buildx prune --min-free-space 1GB --reserved-space 2GB",
        "docker system prune -af --filter until=24h --volumes",
    ] {
        assert_eq!(steps(line), ["print output"], "{line}");
        assert!(notices(line)[0].contains("nothing is removed: "), "{line}");
    }
}

#[test]
fn what_does_not_exist_is_listed_and_removed() {
    for (line, printed) in [
        (
            "docker ps",
            "print CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES",
        ),
        (
            "docker container ls --format 'table {{.ID}}\\t{{.Names}}'",
            "print CONTAINER ID   NAMES",
        ),
        ("docker volume ls", "print DRIVER    VOLUME NAME"),
        (
            "docker network ls",
            "print NETWORK ID   NAME      DRIVER    SCOPE",
        ),
        (
            "docker container prune -f --filter until=1h",
            "print Total reclaimed space: 0B",
        ),
        ("docker volume prune -af", "print Total reclaimed space: 0B"),
    ] {
        assert_eq!(steps(line), [printed], "{line}");
        assert_eq!(notices(line).len(), 1, "{line}");
    }
    for line in [
        "docker ps -aq",
        "docker ps -a --format {{.Names}} --filter status=exited",
        "docker volume ls -qf dangling=true",
        "docker network prune -f",
        "docker rm -f",
        "docker stop -t 1 a",
        "docker kill a",
        "docker container kill -s TERM a",
        "docker volume rm -f v",
        "docker network rm --force n",
        "podman ps -a",
    ] {
        assert_eq!(exit_code(line), 0, "{line}");
        assert!(!notices(line).is_empty(), "{line}");
        let buildah = commands(&call(line).unwrap().steps);
        assert!(buildah.is_empty(), "{line}: {buildah:?}");
    }
    assert_eq!(steps("docker rm -fv a b"), ["remove a b true"]);
    assert_eq!(steps("docker container rm a"), ["remove a false"]);
    for line in ["docker volume rm v", "docker network rm n"] {
        assert_eq!(exit_code(line), 1, "{line}");
    }
    assert!(refusal("docker ps --format {{.Nope}}").contains("requests the field Nope"));
    assert!(refusal("docker volume create v").contains("docker volume create is not available"));
    assert!(refusal("docker network create n").contains("docker network create is not available"));
}

#[test]
fn a_forced_removal_of_a_missing_image_is_a_line() {
    assert_eq!(
        steps("docker rmi -f nothere"),
        [
            "if manifest exists nothere",
            "  manifest rm nothere",
            "else",
            "  if inspect --type=image nothere",
            "    rmi --force nothere",
            "  else",
            "    note docker rmi: no such image: nothere",
        ]
    );
    assert!(steps("docker rmi -f").is_empty());
}

#[test]
fn the_space_in_use_is_that_of_images() {
    for line in [
        "docker system df",
        "docker system df -v",
        "docker buildx du",
    ] {
        assert_eq!(
            steps(line),
            ["images --json --no-trunc", "print output"],
            "{line}"
        );
    }
}

/// A working container that a failed step leaves keeps its image from being removed.
#[test]
fn no_build_leaves_a_working_container() {
    for (line, layers) in [
        ("docker build .", "--layers"),
        (
            "docker build --platform linux/amd64,linux/riscv64 .",
            "--layers=false",
        ),
    ] {
        let build = steps(line).remove(0);
        // Buildah: 'rm' and 'force-rm' can only be set with either 'layers' or 'no-cache'.
        assert!(build.contains(&format!(" {layers} --force-rm ")), "{build}");
    }
}
