//! Tests of the images that are found, and of the texts that are refused.

use super::*;

fn scan(text: &str, arguments: &[(&str, &str)]) -> Result<Vec<String>, DockerfileError> {
    let pairs = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let options = BuildOptions {
        build_args: pairs(arguments),
        build_contexts: [("named".to_owned(), true), ("files".to_owned(), false)].into(),
        predefined: pairs(&[("TARGETARCH", "amd64"), ("BUILDPLATFORM", "linux/amd64")]),
    };
    let images = images(&[text.to_owned()], &options)?;
    Ok(images.iter().map(Reference::full).collect())
}

#[test]
fn finds_images_and_skips_stages() {
    let text = "# syntax=docker/dockerfile:1\n\
        ARG BASE=a.example/base TAG\n\
        from --platform=$BUILDPLATFORM ${BASE}:${TAG:-1} as Build\n\
        RUN echo \\\n# a comment\n  from nowhere\n\
        FROM scratch\nFROM Build\nFROM named\n\
        COPY --from=Build --chown=1 /a /b\nCOPY --from=0 /a /b\nCOPY --from=files /a /b\n\
        COPY --from=b.example/tools:2 /a /b\n\
        RUN --mount=type=bind,from=c.example/mount,target=/mnt true\n";
    let found = scan(text, &[]).unwrap();
    assert_eq!(
        found,
        ["a.example/base", "b.example/tools", "c.example/mount"]
    );
    assert_eq!(
        scan(text, &[("BASE", "d.example/x")]).unwrap()[0],
        "d.example/x"
    );
}

#[test]
fn stage_names_follow_buildahs_rules() {
    let image = |text: &str| scan(text, &[]).unwrap().join(" ");
    let hub = |name: &str| format!("docker.io/library/{name}");
    // A name in another case, a later stage's name and the stage's own name are images.
    assert_eq!(image("FROM scratch AS Build\nFROM build"), hub("build"));
    assert_eq!(
        image("FROM scratch AS a\nCOPY --from=b / /\nFROM scratch AS b"),
        hub("b")
    );
    assert_eq!(image("FROM scratch AS a\nCOPY --from=a / /"), hub("a"));
    // FROM ignores a context that is a directory.
    assert_eq!(image("FROM files"), hub("files"));
    assert_eq!(image("ARG X=named\nFROM $X"), hub("named"));
    assert_eq!(image("FROM scratch\nFROM 0\nCOPY --from=0 / /"), "");
    assert_eq!(image("FROM scratch\nFROM 00"), hub("00"));
    assert!(scan("FROM scratch\nFROM scratch\nCOPY --from=7 / /", &[]).is_err());
    assert!(scan("FROM scratch AS a/b", &[]).is_err());
}

#[test]
fn from_sees_the_variables_that_buildah_has_there() {
    let image = |text: &str| {
        scan(text, &[("G", "given"), ("A", "given")])
            .unwrap()
            .join(" ")
    };
    let hub = |name: &str| format!("docker.io/library/{name}");
    assert_eq!(image("ARG A=default\nFROM $A"), hub("given"));
    // An undeclared variable has no value.
    assert_eq!(image("FROM x$G"), hub("x"));
    assert_eq!(image("FROM x-$TARGETARCH"), hub("x-amd64"));
    assert_eq!(
        image("ARG TARGETARCH=evil\nFROM x-$TARGETARCH"),
        hub("x-amd64")
    );
    assert_eq!(image("ARG B='x' C=$B-y\nFROM \"$C\""), hub("x-y"));
    assert_eq!(image("ARG B=x\nARG B\nFROM $B"), hub("x"));
    assert_eq!(image("FROM scratch\nARG B=x\nFROM a$B"), hub("a"));
}

#[test]
fn finds_every_source_of_a_mount() {
    let found = scan(
        "FROM scratch\nRUN --mount=type=bind,from=a.example/a,from=b.example/b,target=/x --mount=from=c.example/c,target=/y true",
        &[],
    );
    assert_eq!(
        found.unwrap(),
        ["a.example/a", "b.example/b", "c.example/c"]
    );
    // Variables are allowed in options that name no image.
    let text = "FROM scratch\nRUN --mount=type=cache,id=x-$TARGETARCH,target=$HOME/x true\nCOPY --chown=$A a b";
    assert!(scan(text, &[]).unwrap().is_empty());
}

#[test]
fn checks_the_image_of_a_trigger_without_pulling_it() {
    let text = "FROM scratch\nONBUILD COPY --from=builder /a /b\nONBUILD RUN --mount=from=a.example/x,target=/x true\nONBUILD FROM b.example/x";
    assert!(scan(text, &[]).unwrap().is_empty());
}

/// PID 1 of the builder reads these files, so they must cost it neither memory nor time.
#[test]
fn bounds_memory_and_time() {
    let double: String = (1..60)
        .map(|at| format!("ARG A{at}=$A{0}$A{0}\n", at - 1))
        .collect();
    let long = "x".repeat(60_000);
    let many = |line: &dyn Fn(usize) -> String| (0..2000).map(line).collect::<String>();
    for text in [
        format!("ARG A0=x\n{double}FROM $A59"),
        format!(
            "ARG A={long}\n{}FROM x",
            many(&|at| format!("ARG A{at}=$A\n"))
        ),
        many(&|_| "FROM scratch\n".to_owned()),
        format!(
            "FROM scratch\n{}",
            many(&|at| format!("COPY --from=i{at} / /\n"))
        ),
        "ONBUILD ".repeat(100_000),
    ] {
        let refused = scan(&text, &[]).err().map(|error| error.to_string());
        let refused = refused.unwrap_or_default();
        assert!(
            text.starts_with("ONBUILD") || refused.contains("more than"),
            "{refused}"
        );
        assert!(refused.len() < 1000);
    }
}

#[test]
fn refuses_other_transports_in_every_spelling() {
    let evil = "containers-storage:[overlay@/x+/y:overlay.mount_program=/workspace/evil]image";
    for text in [
        format!("FROM {evil}"),
        format!("\u{feff}FROM {evil}"),
        format!("# a comment\n# escape=`\nFROM scratch\nRUN `\nCOPY --from={evil} / /"),
        format!("ARG X={evil}\nFROM $X"),
        "ARG A=containers-\nARG B=storage:[x]y\nFROM ${A}${B}".to_owned(),
        format!("FROM ${{X:-{evil}}}"),
        "FROM 'containers-'\"storage:[x]y\"".to_owned(),
        format!("FROM scratch\nCOPY --from={evil} / /"),
        format!("FROM scratch\nCOPY --fr\\om={evil} / /"),
        format!("FROM scratch\nCOPY --\"from={evil}\" / /"),
        format!("FROM scratch\nONBUILD COPY --from={evil} / /"),
        format!("FROM scratch\nRUN --mount=type=bind,from={evil},target=/x true"),
        format!("FROM scratch\nRUN --mount=type=bind,from={evil},from=scratch,target=/x true"),
        format!("FROM scratch\nRUN --mount=type=bind,from=a,from={evil},target=/x true"),
        format!("FROM scratch\nONBUILD RUN --mount=type=bind,from={evil},target=/x true"),
        format!("FROM scratch AS Evil\nFROM scratch\nRUN <<E\nx\nE\nCOPY --from={evil} / /"),
        format!("FROM \\\n  {evil}"),
        "FROM scratch\nCOPY --from=$X / /".to_owned(),
        "FROM scratch\nCOPY --$X / /".to_owned(),
        "FROM scratch\nRUN --mount=type=bind,$X true".to_owned(),
        "FROM scratch\nRUN --mount=type=bind,fr\\\\om=x,target=/x true".to_owned(),
        "FROM scratch\nRUN --mount=type=bind,from=\\\"x\\\",target=/x true".to_owned(),
        "FROM scratch\nRUN --mount=type=bind,from=,target=/x true".to_owned(),
        "FROM oci-archive:/workspace/x.tar".to_owned(),
        "FROM dir:/run/supervisor".to_owned(),
        "ARG X=abc\nFROM ${X#a}".to_owned(),
    ] {
        let refused = scan(&text, &[]).unwrap_err().to_string();
        assert!(refused.starts_with("Containerfile, line "), "{refused}");
    }
    assert!(scan("ARG X\nFROM $X", &[("X", evil)]).is_err());
}

/// Buildah looks for the text anywhere in a flag of COPY.
#[test]
fn a_source_in_another_flag_is_refused() {
    for line in [
        "COPY --exclude=dir:/run/x--from a b",
        "COPY --exclude=$X--from a b",
        "COPY --chown=docker.io/a/private--from a b",
        "COPY --exclude=--from=x a b",
        "ONBUILD COPY --fromx=a b /c",
    ] {
        let text = format!("FROM scratch\nENV X=a.example/b\n{line}");
        assert!(scan(&text, &[]).is_err(), "{line}");
    }
}
