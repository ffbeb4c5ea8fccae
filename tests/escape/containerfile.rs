//! Attempts of a Containerfile with COPY, ADD, mounts and names. Beside each attempt is the honest use that resembles it.

use support::Done;

use crate::{BASE, assert_no_token, assert_refused, pod};

/// Buildah shows each step: what is said at the step's end is made there.
const SAY: &str = concat!("echo $((6*7))-it && ", support::taken!());
const SAID: &str = "42-it";

fn build(setup: &str, containerfile: &str, flags: &str) -> Done {
    let done = pod().job(&format!(
        "{setup}\ncat >Containerfile <<'END-OF-CONTAINERFILE'\n{containerfile}\nEND-OF-CONTAINERFILE\nbuildah build --no-cache {flags} ."
    ));
    assert_no_token(&done);
    done
}

/// Buildah itself finds nothing there, and says so.
fn denied(containerfile: &str, because: &str) {
    denied_to(&build("", containerfile, ""), because);
}

fn denied_to(done: &Done, because: &str) {
    assert_ne!(done.code, 0, "{}", done.said);
    assert!(done.said.contains(because), "{because}: {}", done.said);
    assert!(!done.said.contains(SAID), "{}", done.said);
    assert_no_token(done);
}

/// The builder lets no such Containerfile through to Buildah.
fn refused(containerfile: &str, because: &str) {
    let done = build("", containerfile, "");
    assert_refused(&done, because);
    assert!(
        done.said.contains("builder: Containerfile, line "),
        "{}",
        done.said
    );
    assert!(!done.said.contains("STEP "), "{}", done.said);
}

fn works(setup: &str, containerfile: &str) {
    let done = build(setup, containerfile, "");
    assert_eq!(done.code, 0, "{containerfile}: {}", done.said);
    assert!(done.said.contains(&format!("\n{SAID}\n")), "{}", done.said);
}

const EVIL: &str =
    "containers-storage:[overlay@/tmp/x+/tmp/y:overlay.mount_program=/workspace/evil]image";

#[test]
fn copy_from_a_path() {
    for from in [
        "/",
        "/run/supervisor",
        "../..",
        "dir:/run/supervisor",
        "oci-archive:/x.tar",
    ] {
        refused(
            &format!("FROM {BASE}\nCOPY --from={from} / /x"),
            "not the name of an image",
        );
    }
    works(
        "",
        &format!("FROM {BASE}\nCOPY --from={BASE} /etc/os-release /x\nRUN cat /x && {SAY}"),
    );
}

#[test]
fn from_a_storage_that_names_a_program() {
    for containerfile in [
        format!("FROM {EVIL}"),
        format!("\u{feff}FROM {EVIL}"),
        "ARG A=containers-storage\nFROM ${A}:[overlay@/tmp/x+/tmp/y:overlay.mount_program=/workspace/evil]image"
            .to_owned(),
        format!("FROM {BASE}\nCOPY --from={EVIL} / /x"),
        format!("FROM {BASE}\nRUN --mount=type=bind,from={EVIL},target=/mnt true"),
        format!("FROM {BASE}\nONBUILD COPY --from={EVIL} / /x"),
    ] {
        refused(&containerfile, "not the name of an image");
    }
    works("", &format!("\u{feff}ARG A={BASE}\nFROM ${{A}}\nRUN {SAY}"));
}

#[test]
fn a_second_source_of_a_mount() {
    let mount = |from: &str| {
        format!(
            "FROM {BASE}\nRUN --mount=type=bind,{from},source=/etc,target=/mnt cat /mnt/os-release && {SAY}"
        )
    };
    for from in [
        format!("from={EVIL},from={BASE}"),
        format!("from={BASE},from={EVIL}"),
    ] {
        refused(&mount(&from), "not the name of an image");
    }
    works("", &mount(&format!("from={BASE},from={BASE}")));
    // An earlier stage hands its arguments on.
    refused(
        &format!(
            "FROM {BASE} AS a\nARG X=/mnt,from={EVIL}\nFROM a\nRUN --mount=type=bind,from={BASE},source=/etc,target=$X true"
        ),
        "has a comma, or is not known",
    );
}

#[test]
fn a_flag_in_disguise() {
    for flag in ["--fr\\om", "--\"from\"", "--f'r'om"] {
        refused(
            &format!("FROM {BASE}\nCOPY {flag}={EVIL} / /x"),
            "not the name of an image",
        );
    }
    works(
        "",
        &format!("FROM {BASE}\nCOPY --fr\\om={BASE} /etc/os-release /x\nRUN cat /x && {SAY}"),
    );
    for flag in ["--exclude=dir:/run/x--from", "--exclude=$X--from"] {
        refused(
            &format!("FROM {BASE}\nENV X=a.example/image\nCOPY {flag} / /x"),
            "the name of a flag",
        );
    }
    for flag in [
        "--$X",
        "--mount=type=bind,$X",
        "--mount=type=bind,fr\\\\om=x",
    ] {
        let instruction = if flag.starts_with("--m") {
            "RUN"
        } else {
            "COPY"
        };
        let text = format!("FROM {BASE}\nENV X=from={EVIL}\n{instruction} {flag} / /x");
        assert_refused(&build("", &text, ""), "here");
    }
}

#[test]
fn an_escape_that_is_none() {
    let text = |head: &str, escape: &str, from: &str| {
        format!(
            "{head}# escape=`\nFROM {BASE}\nENV x={escape}\nCOPY --from={from} /etc/os-release /x\nRUN {SAY}"
        )
    };
    for head in ["# a comment\n", "\n"] {
        refused(&text(head, "`", EVIL), "not the name of an image");
    }
    works("", &text("# a comment\n", "`", BASE));
    // After a syntax directive it counts, as with Docker, and the backslash is an ordinary character.
    let syntax = "# syntax=docker/dockerfile:1\n";
    refused(&text(syntax, "\\", EVIL), "not the name of an image");
    works("", &text(syntax, "\\", BASE));
}

/// A stage of another case is an image, and the one before it none.
#[test]
fn a_stage_in_another_case() {
    let text = |from: &str| {
        format!(
            "FROM {BASE} AS Mine\nRUN touch /mine\nFROM {BASE}\nCOPY --from={from} /mine /\nRUN ls /mine && {SAY}"
        )
    };
    let done = build("", &text("127.0.0.1:5000/team/none"), "");
    denied_to(&done, "team/none: manifest unknown");
    // The stage, as with Docker, and no image of that name. Buildah itself distinguishes the two.
    works("", &text("mine"));
    works("", &text("Mine"));
    works("", &text("0"));
    refused(&text("7"), "no stage of that number");
}

#[test]
fn a_here_document_that_hides_an_instruction() {
    for line in ["RUN echo '<<END'", "RUN [\"true\"] <<END", "ENV x <<END"] {
        refused(
            &format!("FROM {BASE}\n{line}\nCOPY --from={EVIL} / /x\nEND"),
            "not the name of an image",
        );
    }
    let documents = format!(
        "FROM {BASE}\nRUN <<END\ncat >/f <<'X'\nFROM dir:/x\nCOPY --from=$Y a b\nX\nEND\n\
         COPY <<'one' <<-\"two\" /d/\nFROM oci:/x\none\nADD --$X\n\t\ttwo\n\
         RUN grep -q 'FROM dir:/x' /f && grep -q 'FROM oci:/x' /d/one && grep -q 'ADD --' /d/two && {SAY}"
    );
    works("", &documents);
}

#[test]
fn from_a_variable_of_the_base_image() {
    for from in [
        "COPY --from=$X / /x",
        "RUN --mount=from=${X},target=/x true",
    ] {
        refused(
            &format!("FROM {BASE}\nENV X=dir:/run\n{from}"),
            "variables are not available here",
        );
    }
    works(
        "",
        &format!(
            "ARG X={BASE}\nFROM $X AS x\nFROM {BASE}\nCOPY --from=x /etc/os-release /x\nRUN cat /x && {SAY}"
        ),
    );
}

#[test]
fn add_of_proc() {
    let text = format!("FROM {BASE}\nADD /proc/1/environ /x\nRUN cat /x && {SAY}");
    denied(&text, "\"/proc/1/environ\": no such file or directory");
    works("mkdir -p proc/1 && echo x >proc/1/environ", &text);
}

#[test]
fn add_of_the_builders_private_files() {
    let text = format!("FROM {BASE}\nADD /run/supervisor /x\nRUN find /x && {SAY}");
    denied(&text, "\"/run/supervisor\": no such file or directory");
    works("mkdir -p run/supervisor && touch run/supervisor/x", &text);
}

#[test]
fn copy_upwards_out_of_the_context() {
    let text = format!("FROM {BASE}\nCOPY ../../../run/supervisor/job/auth.json /x\nRUN {SAY}");
    denied(&text, "escaping context directory error");
    works(
        "mkdir -p run/supervisor/job && touch run/supervisor/job/auth.json",
        &text.replace("../../../", ""),
    );
}

#[test]
fn a_bind_mount_of_the_builders_files() {
    let text = format!(
        "FROM {BASE}\nRUN --mount=type=bind,source=/run/supervisor,target=/mnt find /mnt && {SAY}"
    );
    denied(&text, "opening directory \"run/supervisor\" under");
    works("mkdir -p run/supervisor && touch run/supervisor/x", &text);
}

#[test]
fn a_bind_mount_upwards_from_a_stage() {
    let text = format!(
        "FROM {BASE} AS a\nRUN mkdir -p /run/x\nFROM {BASE}\nRUN --mount=type=bind,from=a,source=../../../../../../run/supervisor,target=/mnt find /mnt && {SAY}"
    );
    denied(&text, "opening directory \"run/supervisor\" under");
    works("", &text.replace("run/supervisor", "run/x"));
}

#[test]
fn a_symlink_of_a_stage_to_the_builders_files() {
    let text = format!(
        "FROM {BASE} AS a\nRUN ln -s /run/supervisor /link\nFROM {BASE}\nRUN --mount=type=bind,from=a,source=/link,target=/mnt find /mnt && {SAY}"
    );
    denied(&text, "opening directory \"run/supervisor\" under");
    works("", &text.replace("/run/supervisor", "/etc"));
}

#[test]
fn copy_with_parents_through_a_link_to_the_builders_files() {
    for root in ["/", "../../../../../../../../"] {
        let text = |path: &str, name: &str| {
            format!(
                "FROM {BASE} AS a\nRUN ln -s {root}{path} /link\nFROM {BASE}\nCOPY --parents --from=a /link/{name} /x/\nRUN find /x && {SAY}"
            )
        };
        denied(&text("run", "supervisor"), "no such file or directory");
        denied(
            &text("var/lib/builder", "operations"),
            "no such file or directory",
        );
        works("", &text("etc", "passwd"));
    }
}

#[test]
fn a_cache_mount_with_a_path_in_its_name() {
    let text = |id: &str| {
        format!(
            "FROM {BASE}\nRUN --mount=type=cache,id={id},target=/mnt find /mnt | sed 's/^/found /'; touch /mnt/mine; {SAY}"
        )
    };
    let done = build("", &text("../../../run/supervisor"), "");
    assert_eq!(done.code, 0, "{}", done.said);
    // A directory of its own, whatever its name, and empty.
    assert!(done.said.contains("\nfound /mnt\n42-it\n"), "{}", done.said);
    works("", &text("honest"));
    let again = build("", &text("honest"), "");
    assert!(again.said.contains("\nfound /mnt/mine\n"), "{}", again.said);
}

#[test]
fn a_secret_that_nobody_gave() {
    let text = |id: &str| {
        format!(
            "FROM {BASE}\nRUN --mount=type=secret,id={id},required=true,target=/x cat /x && {SAY}"
        )
    };
    let id = "/run/supervisor/job/auth.json";
    denied(&text(id), &format!("no secret with id \"{id}\" found"));
    let done = build("echo x >mine", &text("mine"), "--secret id=mine,src=mine");
    assert!(done.code == 0 && done.said.contains(SAID), "{}", done.said);
}

#[test]
fn volumes_over_the_builders_directories() {
    let text = format!(
        "FROM {BASE}\nRUN mkdir /data && touch /data/mine\nVOLUME /run/supervisor /var/lib/builder /data\n\
         RUN find /run/supervisor /var/lib/builder /data -type f | sed 's/^/found /'; {SAY}"
    );
    let done = build("", &text, "");
    // Volumes are the image's own directories.
    assert!(
        done.said.contains("\nfound /data/mine\n42-it\n"),
        "{}",
        done.said
    );
    assert_eq!(done.said.matches("\nfound ").count(), 1, "{}", done.said);
}

/// Buildah heeds SHELL in Docker's format only.
#[test]
fn a_shell_of_its_own() {
    let text = |shell: &str| format!("FROM {BASE}\nSHELL [{shell}]\nRUN {SAY}");
    let done = build("", &text("\"/proc/1/exe\", \"config\""), "--format docker");
    denied_to(&done, "/proc/1/exe");
    assert!(!done.said.contains("builder.push.allow"), "{}", done.said);
    let done = build("", &text("\"/bin/bash\", \"-c\""), "--format docker");
    assert!(done.code == 0 && done.said.contains(SAID), "{}", done.said);
}

#[test]
fn a_working_directory_in_proc() {
    let text = |place: &str| format!("FROM {BASE}\nWORKDIR {place}\nRUN ls var/lib && {SAY}");
    denied(&text("/proc/1/root"), "\"/proc/1/root\"");
    works("", &text("/"));
}

#[test]
fn a_user_of_the_builder() {
    let text = format!(
        "FROM {BASE}\nRUN touch /auth.json\nUSER 1000:1000\nRUN cat /proc/1/environ; find / -xdev -name auth.json 2>/dev/null | sed 's/^/found /'; {SAY}"
    );
    let done = build("", &text, "");
    assert!(
        done.said.contains("/proc/1/environ: Permission denied"),
        "{}",
        done.said
    );
    // What the step looks for it does find, where the image itself has one.
    assert!(
        done.said.contains("\nfound /auth.json\n42-it\n"),
        "{}",
        done.said
    );
    assert_eq!(done.said.matches("\nfound ").count(), 1, "{}", done.said);
}

#[test]
fn a_heredoc_into_the_builders_files() {
    let done = build(
        "",
        &format!(
            "FROM {BASE}\nCOPY <<END /../../../run/supervisor/planted\nx\nEND\nRUN cat /run/supervisor/planted && {SAY}"
        ),
        "",
    );
    // It lies in the image.
    assert!(done.code == 0 && done.said.contains(SAID), "{}", done.said);
    let looked = pod().builder("find /run/supervisor /var/lib/builder -maxdepth 2 -name planted");
    assert!(looked.said.trim().is_empty(), "{}", looked.said);
}

/// A base image whose trigger is no text of the Containerfile that is looked at. `ARCHIVE` in it is an archive's path, and
/// `PROGRAM` that of a program, both the job's.
fn triggered(name: &str, trigger: &str) -> Done {
    let script = format!(
        r#"
        image=localhost/{name}
        printf '#!/bin/sh\ntouch /var/lib/builder/got-it\n' >program; chmod 755 program
        printf 'FROM {BASE}\nONBUILD LABEL placeholder=\n' >Containerfile
        buildah build --quiet --format docker --tag $image . && buildah push --quiet $image docker-archive:./a.tar:$image || exit 9
        mkdir a && tar -C a -xf a.tar && chmod -R u+w a || exit 8
        trigger='{trigger}'; trigger=${{trigger//ARCHIVE/$PWD/a.tar}}; trigger=${{trigger//PROGRAM/$PWD/program}}
        config=$(echo a/*[0-9a-f].json)
        sed -i "s|LABEL placeholder=|$trigger|g" "$config" && grep -qF "$trigger" "$config" || exit 7
        sed -i "s|[0-9a-f]*.json|$(sha256sum <"$config" | head -c 64).json|" a/manifest.json
        mv "$config" "a/$(sha256sum <"$config" | head -c 64).json"
        tar -C a -cf b.tar . && buildah rmi --force $image && buildah pull --quiet docker-archive:./b.tar || exit 6
        printf 'FROM %s\n' $image >Containerfile
        buildah build . ; echo "ended with $?"
        "#
    );
    let done = pod().job(&script);
    assert_eq!(done.code, 0, "the image must be made: {}", done.said);
    assert_no_token(&done);
    done
}

#[test]
fn a_trigger_of_a_base_image_reads_no_file() {
    let done = triggered(
        "reads",
        "COPY --from=docker-archive:ARCHIVE /etc/os-release /x",
    );
    assert!(
        done.said.contains("COPY --from=docker-archive:/workspace/"),
        "{}",
        done.said
    );
    assert!(
        done.said.contains("no stage or image found with that name"),
        "{}",
        done.said
    );
    assert!(done.said.contains("\nended with 125\n"), "{}", done.said);
    let honest = format!("RUN --mount=from={BASE},target=/mnt test -s /mnt/etc/os-release");
    let done = triggered("honest", &honest);
    assert!(done.said.contains("\nended with 0\n"), "{}", done.said);
}

#[test]
fn a_trigger_of_a_base_image_runs_no_program_of_the_job() {
    for (name, root) in [
        ("elsewhere", "/tmp/x+/tmp/y"),
        ("here", "/var/lib/builder/storage+/tmp/y"),
    ] {
        let from = format!(
            "containers-storage:[overlay@{root}:overlay.mount_program=PROGRAM]localhost/{name}:latest"
        );
        let trigger = format!("RUN --mount=type=bind,from={from},target=/mnt true");
        let done = triggered(name, &trigger);
        assert!(
            done.said
                .contains("STEP 2/2: RUN --mount=type=bind,from=containers-storage:"),
            "{}",
            done.said
        );
        let looked = pod().builder("ls /var/lib/builder");
        assert!(!looked.said.contains("got-it"), "{}", looked.said);
    }
}
