use super::*;

fn watch(change: impl FnOnce(&mut Config)) -> (tempfile::TempDir, JobWatch) {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config {
        runtime_directory: directory.path().to_owned(),
        ..Config::default()
    };
    config.builder.socket = directory.path().join("socket");
    config.workspace.path = directory.path().to_owned();
    change(&mut config);
    (directory, JobWatch::new(&config))
}

fn problems(mut watch: JobWatch) -> Vec<(ProblemKind, String)> {
    let mut report = Report::new(None);
    watch.finish(&mut report);
    let problems = report.problems.into_iter();
    problems
        .filter(|problem| problem.kind != ProblemKind::StorageFull)
        .map(|problem| (problem.kind, problem.message))
        .collect()
}

#[test]
fn end_is_noted_once_and_only_during_a_job() {
    let (_directory, mut watch) = watch(|_| {});
    watch.ending(Cause::Requested, Instant::now());
    watch.begin();
    watch.ending(Cause::Idle, Instant::now());
    watch.ending(Cause::Requested, Instant::now());
    watch.ending(Cause::Requested, Instant::now());
    let sentence = words::terminated(Duration::ZERO, None);
    assert_eq!(problems(watch), [(ProblemKind::Terminated, sentence)]);
}

#[test]
fn sentences_have_the_settings() {
    let (_directory, mut watch) = watch(|config| {
        config.flavor = FlavorName::Github;
        config.grace = Duration::from_secs(45);
        config.deadline = Some(Duration::from_secs(60));
    });
    watch.begin();
    watch.ending(Cause::Requested, Instant::now());
    watch.ending(Cause::Deadline, Instant::now());
    let found = problems(watch);
    assert!(found[0].1.contains("45s (grace)"), "{found:?}");
    assert_eq!(found[1].0, ProblemKind::Deadline);
    assert!(found[1].1.contains("deadline of 1m"), "{found:?}");
}

#[test]
fn hook_finds_what_was_noted() {
    let (directory, mut watch) = watch(|_| {});
    std::fs::create_dir(directory.path().join("hooks")).unwrap();
    watch.begin();
    watch.note_memory("out of memory");
    let file = directory.path().join("hooks/memory");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "out of memory");
    let expected = (ProblemKind::OutOfMemory, "out of memory".to_owned());
    assert_eq!(problems(watch), [expected]);
}

#[test]
fn without_a_job_the_report_has_nothing() {
    let (_directory, mut watch) = watch(|_| {});
    let mut report = Report::new(None);
    watch.finish(&mut report);
    assert_eq!(report, Report::new(None));
}
