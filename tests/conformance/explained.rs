//! Which row of `differences.txt` a difference of a generated case has. Its Dockerfile has to have the cause.

/// What BuildKit 0.34.2 prints for WORKDIR in an image without files, after USER with a name. It is a fault of BuildKit, and has no
/// row. Source: `ops/file.go`.
const FAULT_OF_BUILDKIT: &str = "invalid user index -1";

/// Whether a generated case may have a difference.
pub(crate) fn may_differ(dockerfile: &str, difference: &str) -> bool {
    let fault = "the build does not fail: ";
    row(dockerfile, difference).is_some()
        || difference.starts_with(fault) && difference.ends_with(FAULT_OF_BUILDKIT)
}

/// Returns the name of the row.
fn row(dockerfile: &str, difference: &str) -> Option<&'static str> {
    let lines = dockerfile.to_lowercase();
    let has = |text: &str| lines.contains(text);
    let (what, found) = difference.split_once(": ")?;
    if what == "WorkingDir" {
        let (buildkit, here) = found.strip_suffix(" here")?.split_once(" by BuildKit, ")?;
        let cut = buildkit.strip_suffix("/\"").map(|cut| format!("{cut}\""));
        return (cut.as_deref() == Some(here)).then_some("workdir-slash");
    }
    match found {
        "a directory here alone" if has("volume") => {
            // It may have been copied from another stage.
            let name = what.rfind('/').map_or(what, |at| &what[at..]);
            (has(what) || has("--from") && has(name)).then_some("volume-directory")
        }
        "not here; a directory by BuildKit" if has("workdir") => Some("workdir-unused"),
        found if found.starts_with("owner (0, 0) by BuildKit") => {
            has("workdir").then_some("workdir-owner")
        }
        found => {
            let mode = found
                .strip_prefix("mode 0")?
                .strip_suffix(" by BuildKit, 0755 here")?;
            has(&format!("--chmod={mode}")).then_some("copy-chmod-directories")
        }
    }
}

#[test]
fn a_row_explains_what_its_cause_is_there_for() {
    for (dockerfile, difference, wanted) in [
        (
            "WORKDIR /w/",
            "WorkingDir: \"/w/\" by BuildKit, \"/w\" here",
            Some("workdir-slash"),
        ),
        (
            "WORKDIR /w/",
            "WorkingDir: \"/w/\" by BuildKit, \"/x\" here",
            None,
        ),
        (
            "volume /v1 /v2",
            "/v2: a directory here alone",
            Some("volume-directory"),
        ),
        (
            "VOLUME /v1\nCOPY --from=a / /x/",
            "/x/v1: a directory here alone",
            Some("volume-directory"),
        ),
        ("VOLUME /v1", "/v2: a directory here alone", None),
        ("VOLUME /v1", "/v1: a file here alone", None),
        (
            "WORKDIR a",
            "/a: not here; a directory by BuildKit",
            Some("workdir-unused"),
        ),
        ("COPY a /a/", "/a: not here; a directory by BuildKit", None),
        ("WORKDIR a", "/a: not here; a file by BuildKit", None),
        (
            "workdir a",
            "/a: owner (0, 0) by BuildKit, (1, 1) here",
            Some("workdir-owner"),
        ),
        (
            "WORKDIR a",
            "/a: owner (1, 1) by BuildKit, (0, 0) here",
            None,
        ),
        (
            "COPY --chmod=750 a b/",
            "/b: mode 0750 by BuildKit, 0755 here",
            Some("copy-chmod-directories"),
        ),
        (
            "COPY --chmod=700 a b/",
            "/b: mode 0750 by BuildKit, 0755 here",
            None,
        ),
        ("VOLUME /v1", "Env: nothing by BuildKit, [] here", None),
    ] {
        assert_eq!(
            row(dockerfile, difference),
            wanted,
            "{dockerfile}: {difference}"
        );
    }
}
