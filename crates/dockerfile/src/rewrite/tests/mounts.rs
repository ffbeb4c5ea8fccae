//! Mounts of RUN, and what their values may not do.

use super::*;

#[test]
fn mounts_have_the_form_that_buildah_reads() {
    let mount = |given: &str| {
        let text = lines(&format!("ARG DIR\nARG SUB=s\nRUN --mount={given} true"));
        let line = text
            .lines()
            .last()
            .unwrap()
            .strip_prefix("RUN --mount=")
            .unwrap();
        line.strip_suffix(" true").unwrap().to_owned()
    };
    for (given, wanted) in [
        ("target=/x", "type=bind,target=/x"),
        ("target=/x,type=bind", "type=bind,target=/x"),
        ("from=tools", "type=bind,from=tools,target=."),
        ("type=bind,target=.,rw=true", "type=bind,target=.,rw"),
        ("type=bind,target=.,ro=true", "type=bind,target=."),
        ("type=bind,target=.,readonly=false", "type=bind,target=.,rw"),
        (
            "type=bind,source=${DIR}/$SUB,target=/x",
            "type=bind,source=data/s,target=/x",
        ),
        ("type=Bind,Target=/x", "type=bind,target=/x"),
        (
            "type=cache,target=$HOME/x,ro=true",
            "type=cache,target=$HOME/x,ro",
        ),
        ("type=cache,target=/x,readonly=0", "type=cache,target=/x"),
        (
            "type=secret,target=/root/.npmrc",
            "type=secret,id=.npmrc,target=/root/.npmrc",
        ),
        (
            "type=secret,source=tok,dst=/y,mode=0400",
            "type=secret,id=tok,target=/y,mode=0400",
        ),
        ("type=ssh", "type=ssh"),
    ] {
        assert_eq!(mount(given), wanted, "{given}");
    }
    assert!(refused("RUN --mount=type=bind,ro=maybe,target=/x true").contains("true or false"));
    assert!(refused("RUN --mount=type=bind,source=$X,target=/x true").contains("not known"));
    assert!(refused("RUN --mount=type=secret true").contains("expected id=NAME"));
}

#[test]
fn a_value_adds_no_field_to_a_mount() {
    for text in [
        "ARG X=,from=a.example/i\nRUN --mount=type=cache,target=/c,id=$X true",
        "ARG X=,from=a.example/i\nRUN --mount=type=cache,target=/c,id=${Y:-$X} true",
        "ARG X=$PATH,from=a.example/i\nRUN --mount=type=cache,target=/c,id=$X true",
        "ENV 1=,from=a.example/i\nRUN --mount=type=cache,target=/c,id=$12 true",
        "ENV TARGETOS=$PATH,from=a\nRUN --mount=type=cache,target=/c,id=$TARGETOS true",
    ] {
        assert!(refused(text).contains("has a comma"), "{text}");
    }
    // Several platforms have several values.
    let text = "RUN --mount=type=cache,target=/c,id=apt-$TARGETOS true";
    assert_eq!(
        lines(&format!("ARG TARGETOS\n{text}")).lines().last(),
        Some(text)
    );
}

#[test]
fn a_secret_in_a_variable_is_read_by_the_shell() {
    let read = "if test -e /run/secrets/.TOK; then TOK=\"$(cat /run/secrets/.TOK && printf x)\"; TOK=\"${TOK%x}\"; export TOK; fi; ";
    assert_eq!(
        lines("RUN --mount=type=secret,id=tok,env=TOK \\\n  test \"$TOK\""),
        format!(
            "RUN --mount=type=secret,id=tok,target=/run/secrets/.TOK,mode=0444 \\\n  {read}test \"$TOK\""
        )
    );
    assert_eq!(
        lines("RUN --mount=type=secret,id=tok,env=TOK,target=/x,required true"),
        format!(
            "RUN --mount=type=secret,id=tok,target=/x,required --mount=type=secret,id=tok,target=/run/secrets/.TOK,mode=0444,required {read}true"
        )
    );
    for step in [
        "RUN --mount=type=secret,id=tok,env=TOK [\"x\"]",
        "RUN --mount=type=secret,id=tok,env=TOK <<EOF\nx\nEOF",
        "SHELL [\"pwsh\", \"-c\"]\nRUN --mount=type=secret,id=tok,env=TOK x",
    ] {
        assert!(refused(step).contains("secrets in files only"), "{step}");
    }
    assert!(
        refused("RUN --mount=type=secret,id=tok,env=A$(x) true").contains("name of a variable")
    );
}

/// Buildah hands ARGs on, as their text.
#[test]
fn an_arg_of_an_earlier_stage_adds_no_field_to_a_mount() {
    for (arg, step) in [
        (
            "X=/m,from=a.example/i",
            "RUN --mount=type=bind,target=$X true",
        ),
        ("X=/m", "RUN --mount=type=bind,target=$X true"),
        (
            "GIVEN",
            "ARG GIVEN\nFROM two AS three\nRUN --mount=type=cache,target=/c,id=$GIVEN true",
        ),
    ] {
        let text =
            format!("ARG {arg}\nFROM a.example/base AS one2\nARG {arg}\nFROM one2 AS two\n{step}");
        assert!(
            refused(&text).contains("has a comma, or is not known"),
            "{text}"
        );
    }
    let step = "RUN --mount=type=cache,target=/c,id=apt-$TARGETARCH true";
    let text =
        format!("ARG TARGETARCH\nFROM a.example/base AS two\nARG TARGETARCH\nFROM two\n{step}");
    assert!(lines(&text).ends_with(step), "{text}");
}
