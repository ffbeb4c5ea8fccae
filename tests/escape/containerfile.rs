//! What a Containerfile tries to copy, add, mount or name.

use crate::{BASE, assert_no_token, assert_refused, pod};

/// Buildah shows each step, and `got-it` in it: what is said at the step's end is put together there.
fn copies_nothing(containerfile: &str) {
    let quoted = containerfile.replace("got-it", "got\"\"-it");
    let done = pod().build(&quoted, "--no-cache");
    assert_no_token(&done);
    assert_ne!(done.code, 0, "{}", done.said);
    assert!(!done.said.contains("got-it"), "{}", done.said);
}

#[test]
fn copy_from_a_path() {
    for from in [
        "/",
        "/run/supervisor",
        "../..",
        "dir:/run/supervisor",
        "oci-archive:/x.tar",
    ] {
        let done = pod().build(&format!("FROM {BASE}\nCOPY --from={from} / /x"), "");
        assert_refused(&done, "no name of an image");
    }
}

#[test]
fn from_a_storage_that_names_a_program() {
    let evil =
        "containers-storage:[overlay@/tmp/x+/tmp/y:overlay.mount_program=/workspace/evil]image";
    for containerfile in [
        format!("FROM {evil}"),
        "ARG A=containers-storage\nFROM ${A}:[overlay@/tmp/x+/tmp/y:overlay.mount_program=/workspace/evil]image"
            .to_owned(),
        format!("FROM {BASE}\nCOPY --from={evil} / /x"),
        format!("FROM {BASE}\nRUN --mount=type=bind,from={evil},target=/mnt true"),
        format!("FROM {BASE}\nONBUILD COPY --from={evil} / /x"),
    ] {
        assert_refused(&pod().build(&containerfile, ""), "Containerfile, line");
    }
}

#[test]
fn from_a_variable_of_the_base_image() {
    let done = pod().build(
        &format!("FROM {BASE}\nENV X=dir:/run\nCOPY --from=$X / /x"),
        "",
    );
    assert_refused(&done, "variables are not available here");
}

#[test]
fn add_of_proc() {
    copies_nothing(&format!(
        "FROM {BASE}\nADD /proc/1/environ /x\nRUN cat /x && echo got-it"
    ));
}

#[test]
fn add_of_the_builders_private_files() {
    copies_nothing(&format!(
        "FROM {BASE}\nADD /run/supervisor /x\nRUN find /x && echo got-it"
    ));
}

#[test]
fn copy_upwards_out_of_the_context() {
    copies_nothing(&format!(
        "FROM {BASE}\nCOPY ../../../run/supervisor/job/auth.json /x\nRUN cat /x && echo got-it"
    ));
}

#[test]
fn a_bind_mount_of_the_builders_files() {
    copies_nothing(&format!(
        "FROM {BASE}\nRUN --mount=type=bind,source=/run/supervisor,target=/mnt find /mnt && echo got-it"
    ));
}

#[test]
fn a_bind_mount_upwards_from_a_stage() {
    copies_nothing(&format!(
        "FROM {BASE} AS a\nFROM {BASE}\nRUN --mount=type=bind,from=a,source=../../../../../../run/supervisor,target=/mnt find /mnt/job && echo got-it"
    ));
}

#[test]
fn a_symlink_of_a_stage_to_the_builders_files() {
    copies_nothing(&format!(
        "FROM {BASE} AS a\nRUN ln -s /run/supervisor /link\nFROM {BASE}\nRUN --mount=type=bind,from=a,source=/link,target=/mnt find /mnt/job && echo got-it"
    ));
}

#[test]
fn a_cache_mount_with_a_path_in_its_name() {
    let done = pod().build(&format!("FROM {BASE}\nRUN --mount=type=cache,id=../../../run/supervisor,target=/mnt find /mnt | sed 's/^/found /'"), "--no-cache");
    assert!(
        !done.said.contains("auth.json") && !done.said.contains("plan.json"),
        "{}",
        done.said
    );
}

#[test]
fn a_secret_that_nobody_gave() {
    copies_nothing(&format!(
        "FROM {BASE}\nRUN --mount=type=secret,id=/run/supervisor/job/auth.json,required=true,target=/x cat /x && echo got-it"
    ));
}

#[test]
fn volumes_over_the_builders_directories() {
    let done = pod().build(&format!("FROM {BASE}\nVOLUME /run/supervisor /var/lib/builder\nRUN find /run/supervisor /var/lib/builder -type f | sed 's/^/found /'"), "--no-cache");
    assert!(!done.said.contains("\nfound "), "{}", done.said);
}

#[test]
fn a_shell_of_its_own() {
    let done = pod().build(
        &format!("FROM {BASE}\nSHELL [\"/proc/1/exe\", \"config\"]\nRUN x"),
        "--no-cache",
    );
    assert_ne!(done.code, 0, "{}", done.said);
    assert_no_token(&done);
}

#[test]
fn a_working_directory_in_proc() {
    copies_nothing(&format!(
        "FROM {BASE}\nWORKDIR /proc/1/root\nRUN ls var/lib/builder && echo got-it"
    ));
}

#[test]
fn a_user_of_the_builder() {
    let done = pod().build(&format!("FROM {BASE}\nUSER 1000:1000\nRUN cat /proc/1/environ && echo got-it; find / -xdev -name auth.json | sed 's/^/got-it /'; true"), "--no-cache");
    assert!(!done.said.contains("\ngot-it"), "{}", done.said);
}

#[test]
fn a_heredoc_into_the_builders_files() {
    let done = pod().build(
        &format!("FROM {BASE}\nCOPY <<END /../../../run/supervisor/planted\nx\nEND"),
        "--no-cache",
    );
    assert_no_token(&done);
    let looked = pod().builder("find /run/supervisor /var/lib/builder -maxdepth 2 -name planted");
    assert!(looked.said.trim().is_empty(), "{}", looked.said);
}

/// A base image whose trigger is no text of the Containerfile that is looked at.
#[test]
fn a_trigger_of_a_base_image_runs_no_program_of_the_job() {
    let evil = "containers-storage:[overlay@/tmp/x+/tmp/y:overlay.mount_program=PROGRAM]image";
    let script = format!(
        r#"
        printf '#!/bin/sh\necho got-it >&2\ntouch /var/lib/builder/got-it\n' >evil; chmod 755 evil
        evil="{evil}"; evil=${{evil/PROGRAM/$PWD\/evil}}
        placeholder=$(printf '%0*d' ${{#evil}} 0 | tr 0 a)
        printf 'FROM scratch\nCOPY evil /\nONBUILD COPY --from=%s / /x\n' "$placeholder" >Containerfile
        buildah build --format docker --tag localhost/trap . && buildah push localhost/trap docker-archive:./trap.tar || exit 9
        mkdir trap && tar -C trap -xf trap.tar && grep -q "$placeholder" trap/*.json || exit 8
        for f in trap/*.json; do python3 -c 1 2>/dev/null; perl -pi -e "s|\Q$placeholder\E|$evil|" "$f"; done
        grep -qF "$evil" trap/*.json || exit 7
        tar -C trap -cf trap2.tar . && buildah rmi localhost/trap && buildah pull docker-archive:./trap2.tar
        printf 'FROM localhost/trap\n' >Containerfile
        buildah build . ; exit 0
        "#
    );
    let done = pod().job(&script);
    assert_eq!(done.code, 0, "{}", done.said);
    assert!(!done.said.contains("got-it"), "{}", done.said);
    let looked = pod().builder("ls /var/lib/builder");
    assert!(!looked.said.contains("got-it"), "{}", looked.said);
}
