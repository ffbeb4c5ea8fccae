//! A table of Dockerfiles, and what Buildah gets for each.

mod bounds;
mod generated;
mod limits;
mod mounts;
mod predefined;
mod structure;

use super::*;

/// The options that the tests use.
fn build_options() -> BuildOptions {
    let pairs = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    BuildOptions {
        build_args: pairs(&[("GIVEN", "given"), ("DIR", "data")]),
        build_contexts: [("named".to_owned(), true), ("files".to_owned(), false)].into(),
        predefined: pairs(&[
            ("TARGETARCH", "amd64"),
            ("TARGETPLATFORM", "linux/amd64"),
            ("BUILDPLATFORM", "linux/amd64"),
        ]),
    }
}

fn rewritten(text: &str) -> Result<Rewritten, String> {
    let build = build_options();
    let options = RewriteOptions {
        build: &build,
        network_none: false,
        nonce: Some("nonce"),
    };
    let first = rewrite(&[text.to_owned()], options).map_err(|error| error.to_string())?;
    let second = rewrite(&first.texts, options).unwrap();
    assert_eq!(first.texts, second.texts, "the result is its own result");
    Ok(first)
}

/// Rewrites lines of a stage on an image.
pub(super) fn lines(lines: &str) -> String {
    let head = "FROM a.example/base AS one\nRUN true\nFROM a.example/base\n";
    let text = rewritten(&format!("{head}{lines}"))
        .unwrap()
        .texts
        .remove(0);
    text.strip_prefix(head).unwrap().to_owned()
}

/// Writes the name of the variable that is never set, which the tables here call `_`.
fn unset(text: &str) -> String {
    text.replace("${_", &format!("${{{}", scope::UNSET))
}

/// Takes the identities out of a text.
fn without_identities(text: &str) -> String {
    let mut parts = text.split(IDENTITY);
    let first = parts.next().unwrap().to_owned();
    first + &parts.map(|part| &part[33..]).collect::<String>()
}

/// The beginning of the stage that [`rewritten_with`] continues.
const STAGE: &str = "FROM a.example/base\nARG V\n";

/// Rewrites a stage with a value of `--build-arg V`.
fn rewritten_with(value: &str, lines: &str) -> Result<String, DockerfileError> {
    let mut build = build_options();
    build.build_args.insert("V".to_owned(), value.to_owned());
    let options = RewriteOptions {
        build: &build,
        network_none: false,
        nonce: Some("nonce"),
    };
    let rewritten = rewrite(&[format!("{STAGE}{lines}")], options)?;
    Ok(rewritten.texts.into_iter().next().unwrap())
}

#[test]
fn a_value_is_part_of_an_instructions_identity() {
    let given = |value: &str, line: &str| rewritten_with(value, &format!("{line}\n")).unwrap();
    for line in [
        "ENV A=$V",
        "ENV A ${V}",
        "LABEL a=\"$V x\" \\\n  b=c",
        "WORKDIR /$V",
        "USER $V",
        "EXPOSE $V",
        "VOLUME /$V",
        "STOPSIGNAL $V",
        "COPY a /$V/",
        "ADD a$V /",
        "LABEL a=$V-$PATH",
    ] {
        let (one, two) = (given("1", line), given("2", line));
        assert_ne!(one, two, "{line}");
        assert_eq!(without_identities(&one), without_identities(&two));
        assert!(without_identities(&one).ends_with(&format!("{line}\n")));
        assert_eq!(one, given("1", line));
        // RUN has the values in Buildah's own comparison, and an array has no place for an identity.
        assert_eq!(given("1", "RUN echo $V"), given("2", "RUN echo $V"));
        assert_eq!(
            given("1", "VOLUME [\"/$V\"]"),
            given("2", "VOLUME [\"/$V\"]")
        );
    }
    // ARGs of the stage that this one begins with are handed on.
    let handed_on = |value| {
        given(
            value,
            "FROM a.example/base AS a\nARG V\nFROM a AS b\nFROM b\nLABEL a=$V",
        )
    };
    assert_ne!(handed_on("1"), handed_on("2"));
    // Without an ARG, the text of the file says it all.
    assert_eq!(lines("ENV A=1\nENV B=$A\n"), "ENV A=1\nENV B=$A\n");
}

fn refused(text: &str) -> String {
    rewritten(&format!("FROM a.example/base\n{text}")).unwrap_err()
}

#[test]
fn text_after_an_array_makes_a_command_of_it() {
    let step = "RUN [ \"$DEBUG\" ] && echo on || true\n";
    assert_eq!(lines(step), step.replace("[ ", ": && [ "));
    for step in [
        "RUN [\"a\", \"b\"]\n",
        "RUN [ -f a ] && b\n",
        "RUN [ \"a\" ] \n",
    ] {
        assert_eq!(lines(step), step);
    }
}

#[test]
fn leaves_alone_what_both_read_alike() {
    let text = "\u{feff}# syntax=docker/dockerfile:1\r\nARG V=1\r\n\nFROM a.example/base:${V} AS x\n\
        # comment\nRUN --mount=type=cache,target=/c,sharing=locked \\\n  # inner\n  --mount=type=bind,source=a,target=b,ro true && \\\n  echo \"$V\"\n\
        ENV A=\"b c\" D=${V:-e}${A:+f} PATH=/x:$PATH\nLABEL l='it is' m=\"$A\"\nCOPY --from=x --chown=1:${A} --chmod=$M [\"a b\", \"/c\"]\n\
        COPY <<EOF /n\nplain $V ${V:-x}\nEOF\nCOPY <<'EOF' /n\nit's \\$x\nEOF\n\
        RUN --mount=type=secret,id=tok,required true\nADD --checksum=sha256:0 https://a.example/x /y\n\
        EXPOSE 80 443/tcp $V\nCMD [\"x\", \"${A-b}\"]\nHEALTHCHECK CMD x ${A?b}\nONBUILD COPY --link a b\n";
    let found = rewritten(text).unwrap();
    assert_eq!(found.texts, [text]);
    assert!(found.build_args.is_empty() && !found.uncached);
}

#[test]
fn a_here_document_is_part_of_a_steps_identity() {
    let one = lines("RUN <<EOF\none\nEOF\n");
    let two = lines("RUN <<EOF\ntwo\nEOF\n");
    let mark = "RUN --mount=type=secret,id=ci-cd-agents.identity.";
    assert!(
        one.starts_with(mark) && one.ends_with(" <<EOF\none\nEOF\n"),
        "{one}"
    );
    assert_ne!(one.lines().next(), two.lines().next());
    let both = lines("RUN --mount=target=/x cat <<A 3<<-'B' \\\n >x\n1\nA\n\t2\n\tB\nRUN b\n");
    assert!(both.starts_with(mark), "{both}");
    let tail = " --mount=type=bind,target=/x cat <<A 3<<-'B' \\\n >x\n1\nA\n\t2\n\tB\nRUN b\n";
    assert!(both.ends_with(tail), "{both}");
    let dashes = lines("RUN -- <<EOF\none\nEOF\n");
    assert!(
        dashes.starts_with(mark) && dashes.contains(" -- <<EOF"),
        "{dashes}"
    );
}

#[test]
fn a_script_runs_by_its_own_interpreter() {
    let command = |text: &str| {
        let text = lines(text);
        let line = text.lines().next().unwrap();
        line.split_once("identity.")
            .unwrap()
            .1
            .split_once(' ')
            .unwrap()
            .1
            .to_owned()
    };
    let bash = command("RUN <<EOF\n#!/usr/bin/env bash\necho\nEOF\n");
    assert_eq!(bash, "exec /usr/bin/env bash /dev/fd/3 3<<'EOF'");
    let split = command("RUN <<-\"E\"\n\t#! /usr/bin/env -S bash -e \n\techo\n\tE\n");
    assert_eq!(split, "exec /usr/bin/env '-S bash -e' /dev/fd/3 3<<-'E'");
    for (interpreter, wanted) in [
        (
            "/usr/bin/env node",
            "/usr/bin/env node --preserve-symlinks-main",
        ),
        (
            "/usr/bin/env -S node --harmony",
            "/usr/bin/env '-S node --harmony' --preserve-symlinks-main",
        ),
        (
            "/usr/local/bin/node",
            "/usr/local/bin/node --preserve-symlinks-main",
        ),
        ("/usr/bin/env -S node x.js", "/usr/bin/env '-S node x.js'"),
        ("/bin/sh node", "/bin/sh node"),
    ] {
        let script = command(&format!("RUN <<EOF\n#!{interpreter}\nx\nEOF\n"));
        assert_eq!(script, format!("exec {wanted} /dev/fd/3 3<<'EOF'"));
    }
    // The shell reads this one, and its first line is a comment.
    assert_eq!(command("RUN cat <<EOF\n#!/bin/sh\nEOF\n"), "cat <<EOF");
    let shell = "SHELL [\"pwsh\", \"-c\"]\nRUN <<EOF\n#!/bin/sh\nEOF\n";
    assert!(refused(shell).contains("needs a SHELL of POSIX"));
}

#[test]
fn files_of_a_stage_keep_a_step_out_of_the_cache() {
    let marked = "RUN --mount=type=secret,id=ci-cd-agents.identity.nonce --mount=type=bind,from=one,target=/x true";
    assert_eq!(
        lines("RUN --mount=type=bind,from=one,target=/x true"),
        marked
    );
    assert_eq!(
        lines("RUN --mount=type=bind,from=ONE,target=/x true"),
        marked
    );
    // Buildah compares the digest of an image.
    let image = "RUN --mount=type=bind,from=a.example/uv,target=/x true";
    assert_eq!(lines(image), image);
    let build = build_options();
    let options = RewriteOptions {
        build: &build,
        network_none: false,
        nonce: None,
    };
    let text = "FROM scratch AS a\nCOPY x /\nFROM a.example/base\nRUN --mount=type=bind,from=a,target=/x true";
    let found = rewrite(&[text.to_owned()], options).unwrap();
    assert!(found.uncached && found.texts == [text]);
}

#[test]
fn a_stage_without_steps_has_the_identity_of_its_image() {
    let step = |from: &str| {
        let text = format!("{from}\nFROM a.example/base\nRUN --mount=from=uv,target=/x true");
        let text = rewritten(&text).unwrap().texts.remove(0);
        text.lines().last().unwrap().to_owned()
    };
    let [one, two, platform] = [
        "FROM a.example/uv:1 AS uv",
        "FROM a.example/uv:2 AS uv",
        "FROM --platform=linux/s390x a.example/uv:1 AS uv",
    ]
    .map(step);
    assert!(one.contains("ci-cd-agents.identity.") && !one.contains("nonce"));
    assert!(one != two && one != platform);
    assert_eq!(step("ARG V=1\nFROM a.example/uv:$V AS uv"), one);
    assert_eq!(step("FROM a.example/uv:1 AS a\nFROM a AS uv"), one);
    for from in [
        "FROM a.example/uv:1 AS uv\nWORKDIR /new",
        "ARG V=$TARGETOS\nFROM a.example/uv:$V AS uv",
    ] {
        assert!(step(from).contains("identity.nonce"), "{from}");
    }
}

#[test]
fn names_of_stages_are_alike_in_either_case() {
    let text = "FROM scratch AS Build\nCOPY a /\nFROM build\nCOPY --from=BUILD a /b\nCOPY --from=files a /b";
    let wanted = "FROM scratch AS Build\nCOPY a /\nFROM Build\nCOPY --from=Build a /b\nCOPY --from=files a /b";
    assert_eq!(rewritten(text).unwrap().texts, [wanted]);
}

#[test]
fn here_documents_of_copy_have_buildkits_quotes_and_escapes() {
    let body = |given: &str| {
        let text = lines(&format!("COPY <<EOF /x\n{given}\nEOF\n"));
        text.strip_prefix("COPY <<EOF /x\n")
            .unwrap()
            .strip_suffix("\nEOF\n")
            .unwrap()
            .to_owned()
    };
    for (given, wanted) in [
        ("try \\$uri $V", "try ${_:-\\$}uri $V"),
        ("it's", "it${_:-\\'}s"),
        ("'balanced' \"too\"", "'balanced' \"too\""),
        ("'$V'", "${_:-\\'}$V${_:-\\'}"),
        ("a\\nb \\\\", "anb ${_:-\\\\}"),
        ("$\\V $V\\a $$\\n", "${_:-\\$}V $V${_}a $$n"),
        ("${V:-it's \\$x} \\x", "${V:-it\\'s \\$x} x"),
    ] {
        assert_eq!(body(given), unset(wanted), "{given}");
    }
}

#[test]
fn flags_of_copy() {
    assert_eq!(
        lines("COPY --link --chown=1 a b\nADD --link=true a b"),
        "COPY --link=false --chown=1 a b\nADD --link=false a b"
    );
    assert_eq!(
        lines("COPY \\\n  --link \\\n  --parents=false a b"),
        "COPY \\\n  --link=false \\\n  --parents=false a b"
    );
    let pivot = refused("ARG X=a/./b\nCOPY --parents $X c /d");
    assert!(pivot.contains("without wildcards"), "{pivot}");
    assert_eq!(
        without_identities(&lines("ARG DIR\nCOPY --parents $DIR b /c")),
        "ARG DIR\nCOPY --parents $DIR b /c"
    );
    assert_eq!(
        lines("COPY --parents=1 --exclude=x **/*.a ./b /c/./\nCOPY --parents ./a/./b /"),
        "COPY --parents --exclude=x **/*.a ./b /c/./\nCOPY --parents ./a/./b /"
    );
    assert_eq!(
        lines("COPY --chown=root a b\nADD --chown=root:root a b\nCOPY --chown=roots:1 a b"),
        "COPY --chown=0 a b\nADD --chown=0:0 a b\nCOPY --chown=roots:1 a b"
    );
    for (text, because) in [
        ("COPY --chmod=u=rwX,go=rX a b", "modes as numbers only"),
        ("COPY --chmod=+x a b", "modes as numbers only"),
        ("ADD --parents=false a b", "does not know"),
        ("COPY --parents a/./b c /d", "one COPY for each source"),
        ("COPY --parents a/./* /d", "without wildcards"),
        ("COPY --parents $UNKNOWN /d", "known before the build"),
        ("COPY --parents [\"a/./b\", \"/d\"]", "without wildcards"),
        ("COPY --parents a/. /d", "without wildcards"),
        ("ADD --keep-git-dir a b", "check it out"),
        ("ADD --unpack a b", "unpacks the archives"),
        ("COPY --what a b", "does not know"),
        (
            "ADD https://a.example/r.git#v1 /x",
            "fetches no Git repository",
        ),
        ("ADD git@a.example:r /x", "fetches no Git repository"),
        ("RUN --network=none true", "the pod's network"),
        ("RUN --security=insecure true", "the sandbox"),
        ("RUN --device=x true", "does not know"),
        ("FROM --after=x scratch", "does not know"),
    ] {
        let refused = refused(text);
        assert!(
            refused.starts_with("Containerfile, line 2: ") && refused.contains(because),
            "{refused}"
        );
    }
    assert_eq!(
        lines("RUN --security=sandbox true"),
        "RUN --network=default true"
    );
}
