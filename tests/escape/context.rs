//! Symlinks, races and paths in the build context that the job supplies.

use crate::{BASE, assert_no_token, assert_refused, pod};

/// The credentials, in the builder's own world.
const SECRET: &str = "/run/secrets/supervisor/.dockerconfigjson";
/// What is said of a path that is written so.
const OUTSIDE: &str = "lies outside of /workspace";
/// What is said of one that leads there.
const LEADS_OUT: &str = "leads out of the workspace";

/// The same without the attack in it.
fn assert_builds(script: &str) {
    let done = pod().job(script);
    assert_eq!(done.code, 0, "{}", done.said);
}

#[test]
fn a_context_outside_of_the_workspace() {
    for (context, because) in [
        ("/", OUTSIDE),
        ("/etc", OUTSIDE),
        ("/run/supervisor", OUTSIDE),
        ("/workspace/../etc", LEADS_OUT),
        ("../../../etc", LEADS_OUT),
        ("/proc/self/root", OUTSIDE),
    ] {
        let done = pod().job(&format!(
            "echo FROM {BASE} >Containerfile; buildah build --file Containerfile {context}"
        ));
        assert_refused(&done, because);
    }
    assert_builds(&format!(
        "mkdir c; echo FROM {BASE} >Containerfile; buildah build --file Containerfile /workspace/work/../work/$$/c"
    ));
}

#[test]
fn a_context_that_is_a_symlink() {
    for (target, because) in [("/run/supervisor", LEADS_OUT), ("../../../etc", LEADS_OUT)] {
        let done = pod().job(&format!(
            "ln -s {target} c; echo FROM {BASE} >Containerfile; buildah build --file Containerfile c"
        ));
        assert_refused(&done, because);
    }
    assert_builds(&format!(
        "mkdir d; ln -s d c; echo FROM {BASE} >Containerfile; buildah build --file Containerfile c"
    ));
}

#[test]
fn a_containerfile_that_is_a_symlink_to_the_credentials() {
    let done = pod().job(&format!("ln -s {SECRET} Containerfile; buildah build ."));
    assert_refused(&done, "there is no Containerfile");
    let done = pod().job(&format!("ln -s {SECRET} x; buildah build --file x ."));
    assert_refused(&done, LEADS_OUT);
    assert_builds(&format!(
        "echo FROM {BASE} >y; ln -s y Containerfile; buildah build . && buildah build --file Containerfile ."
    ));
}

#[test]
fn a_containerfile_that_the_preprocessor_would_read() {
    let done = pod().job(
        "echo '#include \"/run/supervisor/job/auth.json\"' >x.in; buildah build --file x.in .",
    );
    assert_refused(&done, "preprocessor");
}

#[test]
fn an_ignore_file_that_is_a_symlink() {
    let done = pod().job(&format!(
        "echo FROM {BASE} >Containerfile; ln -s /etc/passwd i; buildah build --ignorefile i ."
    ));
    assert_refused(&done, "there is no i");
}

#[test]
fn an_ignore_file_with_ways_upwards() {
    let done = pod().job(&format!("touch kept; printf 'FROM {BASE}\\nCOPY . /x\\nRUN find /x | sed s/^/found-/' >Containerfile; printf '*\\n!kept\\n!../../../run/supervisor\\n!/../etc' >.dockerignore; buildah build --no-cache ."));
    assert_eq!(done.code, 0, "{}", done.said);
    let found: Vec<&str> = (done.said.lines())
        .filter(|line| line.starts_with("found-"))
        .collect();
    assert_eq!(found, ["found-/x", "found-/x/kept"], "{}", done.said);
}

/// Copied as they are, and followed beneath the context alone.
#[test]
fn symlinks_in_the_context() {
    let links = format!(
        "echo mine >file; ln -s file own; ln -s {SECRET} a; ln -s ../../..{SECRET} b; ln -s /run c"
    );
    let done = pod().job(&format!(
        "{links}; printf 'FROM {BASE}\\nCOPY . /x\\nRUN readlink /x/a /x/b /x/c; cat /x/own; cat /x/a /x/b /x/c{}; true' >Containerfile; buildah build --no-cache .",
        SECRET.trim_start_matches("/run")
    ));
    assert_eq!(done.code, 0, "{}", done.said);
    for said in [
        format!("\n{SECRET}\n../../..{SECRET}\n/run\nmine\n"),
        "cat: /x/a: No such file or directory".to_owned(),
        "cat: /x/b: No such file or directory".to_owned(),
    ] {
        assert!(done.said.contains(&said), "{said}: {}", done.said);
    }
    let beneath = format!("c{}", SECRET.trim_start_matches("/run"));
    for (link, code) in [("own", 0), ("a", 125), ("b", 125), (beneath.as_str(), 125)] {
        let done = pod().job(&format!("{links}; printf 'FROM {BASE}\\nCOPY {link} /x\\nRUN cat /x' >Containerfile; buildah build --no-cache ."));
        assert_eq!(done.code, code, "{link}: {}", done.said);
        assert_no_token(&done);
        let said = match code {
            0 => "\nmine\n",
            _ => "no such file or directory",
        };
        assert!(done.said.contains(said), "{link}: {}", done.said);
    }
}

/// What was there at the moment is built, or it is said why not.
#[test]
fn a_race_between_a_directory_and_a_symlink() {
    let done = pod().job(&format!(
        r#"
        mkdir c; echo mine >c/passwd; printf 'FROM {BASE}\nCOPY passwd /x\nRUN sed s/^/copied-/ /x' >Containerfile
        buildah build --no-cache --file Containerfile c 2>&1 || exit 9
        (while :; do mv c d; ln -s /etc c; rm c; mv d c; done) & racer=$!
        for i in 1 2 3 4 5 6; do
            buildah build --no-cache --file Containerfile c 2>&1; echo "code $?"
            buildah build --no-cache --file c/passwd . 2>&1; echo "code $?"
        done
        kill $racer
        "#
    ));
    let copied: Vec<&str> = (done.said.lines())
        .filter(|line| line.starts_with("copied-"))
        .collect();
    assert!(!copied.is_empty(), "{}", done.said);
    assert!(
        copied.iter().all(|line| *line == "copied-mine"),
        "{copied:?}"
    );
    assert!(!done.said.contains("nologin"), "{}", done.said);
    let codes = done.said.lines().filter(|line| line.starts_with("code "));
    assert_eq!(codes.count(), 12, "{}", done.said);
}

/// While tar unpacks what a build made, the job swaps a directory that tar has made for a symlink. What tar then puts there
/// would be another operation's output: a symlink to the credentials, which PID 1 would follow.
#[test]
fn a_race_between_an_output_and_a_symlink_into_the_builder() {
    let done = pod().job(&format!(
        r#"
        mkdir -p c/d small; truncate -s 100M c/d/00
        for i in {{0..299}}; do mkdir c/d/$i && ln -s {SECRET} c/d/$i/out-0; done
        printf 'FROM scratch\nCOPY d /d\n' >c/Containerfile; printf 'FROM scratch\nCOPY Containerfile /\n' >small/Containerfile
        buildah build --output plain c || exit 9
        [ "$(readlink plain/d/99/out-0)" = {SECRET} ] && echo without a race it is there
        (until [ -e out/d/00 ]; do :; done; mv out/d out/e; ln -s /var/lib/builder/operations out/d; echo swapped) & swapper=$!
        buildah build --output out c; echo "unpacking: $?"
        wait $swapper; [ -e out/e/99 ] && echo too late
        for i in {{1..5}}; do buildah build --output type=tar,dest=stolen$i small >/dev/null && tar -tf stolen$i; grep -a auths stolen$i; done
        "#
    ));
    assert_no_token(&done);
    assert!(!done.said.contains("auths"), "{}", done.said);
    for line in [
        "without a race it is there",
        "swapped",
        "unpacking: 125",
        "tar: d/1: Cannot mkdir: No such file or directory",
    ] {
        assert!(
            done.said.lines().any(|said| said == line),
            "{line}: {}",
            done.said
        );
    }
    assert!(!done.said.contains("too late"), "{}", done.said);
    let count = done.said.lines().filter(|line| *line == "Containerfile");
    assert_eq!(count.count(), 5, "{}", done.said);
    // Another operation's overlay is closed to this command.
    let planted = pod().builder(
        "find /var/lib/builder/operations /run/supervisor -path '*/tmp/buildah*' -prune -o -name out-0 -print",
    );
    assert_eq!(planted.said, "");
}

#[test]
fn a_build_context_outside() {
    for (source, because) in [
        ("/", OUTSIDE),
        ("/run/supervisor", OUTSIDE),
        ("../../../run", LEADS_OUT),
    ] {
        let done = pod().build(
            &format!("FROM {BASE}\nCOPY --from=out / /x"),
            &format!("--build-context out={source}"),
        );
        assert_refused(&done, because);
    }
    let done = pod().build(
        &format!("FROM {BASE}\nCOPY --from=out / /x"),
        "--build-context out=/workspace/work/../work/$$",
    );
    assert_eq!(done.code, 0, "{}", done.said);
}

#[test]
fn a_secret_outside() {
    let build = |source| {
        pod().build(
            &format!("FROM {BASE}\nRUN true"),
            &format!("--secret id=x,src={source}"),
        )
    };
    for (source, because) in [
        (SECRET, OUTSIDE),
        ("/proc/1/environ", OUTSIDE),
        ("../../../etc/shadow", LEADS_OUT),
    ] {
        assert_refused(&build(source), because);
    }
    assert_eq!(build("Containerfile").code, 0);
}

#[test]
fn an_agent_outside() {
    let done = pod().build(
        &format!("FROM {BASE}\nRUN true"),
        "--ssh default=/run/builder/socket",
    );
    assert_refused(&done, OUTSIDE);
    let done = pod().build(
        &format!("FROM {BASE}\nRUN true"),
        "--ssh default=../../../run/builder/socket",
    );
    assert_refused(&done, LEADS_OUT);
}

#[test]
fn an_image_id_file_through_a_symlink() {
    let done = pod().job(&format!("printf 'FROM {BASE}\\n' >Containerfile; ln -s /run/supervisor/x i; buildah build --iidfile i ."));
    assert_refused(&done, "i: Too many levels of symbolic links");
    let done = pod().job(&format!(
        "printf 'FROM {BASE}\\n' >Containerfile; buildah build --iidfile /etc/x ."
    ));
    assert_refused(&done, OUTSIDE);
    let done = pod().build(
        &format!("FROM {BASE}\nRUN true"),
        "--ssh default=../../../run/builder/socket",
    );
    assert_refused(&done, LEADS_OUT);
}

#[test]
fn an_image_id_file_that_is_a_pipe_does_not_hold_the_builder() {
    let done = pod().job(&format!(
        "printf 'FROM {BASE}\\n' >Containerfile; mkfifo i; buildah build --iidfile i ."
    ));
    // The fifo has no reader.
    assert_refused(&done, "i: No such device or address");
}

#[test]
fn an_output_outside() {
    let build = |kind, destination| {
        pod().build(
            &format!("FROM {BASE}\nRUN true"),
            &format!("--output type={kind},dest={destination}"),
        )
    };
    for (destination, because) in [
        ("/etc/x", OUTSIDE),
        ("/run/supervisor", OUTSIDE),
        ("/var/lib/builder/x", OUTSIDE),
        ("../../../tmp/x", LEADS_OUT),
    ] {
        assert_refused(&build("tar", destination), because);
        assert_refused(&build("local", destination), because);
    }
    assert_eq!(build("tar", "x.tar").code, 0);
}

/// Docker's own leaves a symlink that was there as it is; so it is here, and what lies behind it is not the builder's.
#[test]
fn an_output_with_symlinks_and_setuid_files() {
    let done = pod().job(
        "printf 'FROM scratch\\nCOPY a /link/planted\\nCOPY --chmod=4755 a /setuid\\n' >Containerfile; echo x >a; mkdir out plain; \
         buildah build --output type=local,dest=plain . && cat plain/link/planted || exit 9; \
         ln -s /var/lib/builder out/link; buildah build --output type=local,dest=out .; echo \"code $?\"; \
         find out ! -uid 1000 | sed 's/^/foreign: /'; stat -c '%A %U' out/setuid",
    );
    assert_eq!(done.code, 0, "{}", done.said);
    assert!(
        done.said.starts_with("x\n") || done.said.contains("\nx\n"),
        "{}",
        done.said
    );
    assert!(done.said.contains("-rwxr-xr-x runner\n"), "{}", done.said);
    assert!(!done.said.contains("\nforeign: "), "{}", done.said);
    let looked = pod().builder("find /var/lib/builder -maxdepth 1; find / -xdev -name planted");
    assert!(
        looked.said.contains("/var/lib/builder/storage\n"),
        "{}",
        looked.said
    );
    assert!(!looked.said.contains("planted"), "{}", looked.said);
}
