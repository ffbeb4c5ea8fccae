//! Secrets, and the variables of BuildKit.

use super::*;

#[test]
fn a_secret_from_a_variable_is_in_its_file_only() {
    for record in ["id=t,env=TOKEN", "id=TOKEN", "type=env,id=TOKEN"] {
        let line = format!("docker build --secret {record} .");
        let id = if record.contains("id=t") {
            "t"
        } else {
            "TOKEN"
        };
        let steps = steps(&line);
        assert_eq!(steps[0], "write /s/X/1-secret", "{record}");
        assert!(
            steps[1].contains(&format!("--secret=id={id},src=/s/X/1-secret ")),
            "{steps:?}"
        );
        assert!(!format!("{:?}", call(&line).unwrap()).contains("hunter2"));
    }
}

/// buildx reads a secret so: github.com/moby/buildkit/session/secrets/secretsprovider.
#[test]
fn a_secret_is_a_variable_or_a_file_as_with_buildx() {
    for (record, expected) in [
        // A variable that is not set is an empty secret: pull requests of forks have none.
        ("id=a,env=UNSET", "write /s/X/1-secret"),
        ("id=a,env=EMPTY", "write /s/X/1-secret"),
        ("type=env,id=a,src=UNSET", "write /s/X/1-secret"),
        ("id=TOKEN", "write /s/X/1-secret"),
        ("type=file,id=TOKEN", "write /s/X/1-secret"),
        ("id=a", "copy in a to /s/X/1-secret"),
        ("type=env,id=a", "copy in a to /s/X/1-secret"),
        ("id=a,src=/tmp/f", "copy in /tmp/f to /s/X/1-secret"),
        (
            "type=file,id=a,source=/dev/fd/63",
            "copy in /dev/fd/63 to /s/X/1-secret",
        ),
    ] {
        let steps = steps(&format!("docker build --secret {record} ."));
        assert_eq!(steps[0], expected, "{record}");
        assert!(steps[1].contains(",src=/s/X/1-secret "), "{steps:?}");
    }
    for (record, expected) in [
        ("src=f", "id= is missing"),
        ("id=a,type=odd", "expected file or env"),
        ("id=a,file=f", "unexpected key file"),
    ] {
        let text = refusal(&format!("docker build --secret {record} ."));
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn source_date_epoch_is_the_time_of_the_image() {
    let with = |value: &'static str, flags: &str| {
        let variable = move |name: &str| (name == "SOURCE_DATE_EPOCH").then(|| value.to_owned());
        call_with(&format!("docker build {flags} ."), &variable)
    };
    let line =
        |plan: Result<Plan, TranslateError>| commands(&plan.unwrap().steps)[0].arguments.join(" ");
    let plan = line(with("7", ""));
    assert!(
        plan.starts_with("build --source-date-epoch=7 --build-arg=SOURCE_DATE_EPOCH=7 "),
        "{plan}"
    );
    for flags in [
        "--build-arg SOURCE_DATE_EPOCH=8",
        "--build-arg SOURCE_DATE_EPOCH=7 --build-arg SOURCE_DATE_EPOCH=8",
    ] {
        let plan = line(with("7", flags));
        assert!(plan.contains(" --source-date-epoch=8 "), "{plan}");
        assert!(
            plan.starts_with("build --build-arg=SOURCE_DATE_EPOCH="),
            "{plan}"
        );
    }
    let plan = line(with("7", "--build-arg SOURCE_DATE_EPOCH"));
    assert!(
        plan.contains("--build-arg=SOURCE_DATE_EPOCH=7 --source-date-epoch=7 "),
        "{plan}"
    );
    assert!(!line(with("", "")).contains("--source-date-epoch"));
    assert!(!line(with("7", "--build-arg SOURCE_DATE_EPOCH=")).contains("--source-date-epoch"));
    let error = with("now", "").unwrap_err().to_string();
    assert!(
        error.contains("SOURCE_DATE_EPOCH=now: expected seconds since 1970"),
        "{error}"
    );
    let output = "-o type=oci,dest=a,rewrite-timestamp=true";
    assert!(with("7", output).unwrap().notices.is_empty());
    assert!(line(with("7", output)).contains(" --rewrite-timestamp "));
    assert!(!line(with("7", "-o type=oci,dest=a")).contains("rewrite"));
    assert!(with("", output).unwrap().notices[0].contains("rewrite-timestamp=true is left out"));
}

#[test]
fn no_variable_of_buildkit_is_dropped_in_silence() {
    for name in [
        "BUILDKIT_INLINE_CACHE",
        "BUILDKIT_SYNTAX",
        "BUILDKIT_CACHE_MOUNT_NS",
    ] {
        let line = format!("docker build --build-arg {name}=1 .");
        let expected = format!("the build argument {name} has no effect: ");
        assert!(notices(&line)[0].contains(&expected), "{name}");
        assert!(
            steps(&line)[0].contains(&format!("--build-arg={name}=1")),
            "{name}"
        );
    }
    let variable =
        |name: &str| (name == "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY").then(|| "p".to_owned());
    let plan = call_with("docker build .", &variable).unwrap();
    assert!(plan.notices[0].contains("EXPERIMENTAL_BUILDKIT_SOURCE_POLICY has no effect"));
    assert!(
        notices("docker build --build-arg A=1 --build-arg BUILDKIT_INLINE_CACHE= .").is_empty()
    );
    let git = "docker build --build-arg BUILDKIT_CONTEXT_KEEP_GIT_DIR=1 https://h/r.git";
    let plan = call(git).unwrap();
    assert!(matches!(&plan.steps[0], Step::Fetch { source, .. } if source.keep_git));
}
