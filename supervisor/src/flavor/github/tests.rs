//! A registration's own end.

use super::*;

/// A runner that is being registered.
fn registering(directory: &std::path::Path) -> Github {
    let mut config = Config {
        runtime_directory: directory.join("run"),
        ..Config::default()
    };
    config.secrets.directory = directory.join("secrets");
    config.github.directory = directory.to_owned();
    config.github.url = Some("https://github.com/o/r".to_owned());
    for path in ["secrets", "bin"] {
        std::fs::create_dir(directory.join(path)).unwrap();
    }
    let token = "AABF3JGZDX3P5PMEXLND6TS6FCWO6";
    std::fs::write(directory.join("secrets/registration_token"), token).unwrap();
    std::os::unix::fs::symlink("/bin/true", directory.join(root::LISTENER)).unwrap();
    let secrets = crate::secrets::peek(&config.secrets).unwrap();
    Github::prepare(&config, Environment::new(), secrets).unwrap()
}

fn over_by(cause: Cause, github: &mut Github) -> Option<Reason> {
    let watched = Watched {
        ended: Ended::Exited(1),
        cause: Some(cause),
        phase: Some(terminate::Phase::Graceful),
        interrupted: false,
        worker: None,
        requested_at: None,
        orphans: 0,
    };
    match github.ended(&watched) {
        Next::Over(verdict) => verdict.reason,
        Next::Again(_) => panic!("started again"),
    }
}

#[test]
fn a_registration_that_hangs_is_no_job_that_took_too_long() {
    let directory = tempfile::tempdir().unwrap();
    let mut github = registering(directory.path());
    // The job's own maximum, which may be shorter.
    assert_eq!(over_by(Cause::Deadline, &mut github), None);
    assert_eq!(
        over_by(Cause::Requested, &mut github),
        Some(Reason::Terminated)
    );
    github.started = Instant::now().checked_sub(HELPER_LIMIT).unwrap();
    assert_eq!(
        over_by(Cause::Deadline, &mut github),
        Some(Reason::RunnerError)
    );
}
