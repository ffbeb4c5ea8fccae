use super::*;

const OWN: i32 = 1;
const RUNNER: i32 = 7;

fn process(pid: i32, parent: i32, bytes: u64) -> Entry {
    Entry {
        pid,
        parent,
        start: u64::from(pid.unsigned_abs()) * 10,
        bytes,
        ..Entry::default()
    }
}

/// A listener with its worker, a step, an orphan with a child of a lower pid, and a shell from outside.
fn tree() -> Vec<Entry> {
    vec![
        process(OWN, 0, 1000),
        process(5, 20, 30),
        process(RUNNER, OWN, 900),
        process(8, RUNNER, 800),
        process(9, 8, 10),
        process(10, 9, 50),
        process(20, OWN, 40),
        process(30, 0, 700),
        process(31, 30, 600),
    ]
}

fn jobs(entries: &mut [Entry], spared: Spared, seen: &mut Remembered) -> Vec<i32> {
    mark_job(entries, OWN, spared, seen);
    let jobs = entries.iter().filter(|entry| entry.group == JOB);
    jobs.map(|entry| entry.pid).collect()
}

fn spared(depth: u8) -> Spared {
    Spared {
        runner: RUNNER,
        depth,
    }
}

#[test]
fn job_is_all_below_us_but_runner_and_worker() {
    let job = |depth| jobs(&mut tree(), spared(depth), &mut Remembered::default());
    assert_eq!(job(2), [5, 9, 10, 20]);
    assert_eq!(job(1), [5, 8, 9, 10, 20]);
    assert_eq!(job(0), [5, RUNNER, 8, 9, 10, 20]);
}

#[test]
fn worker_whose_runner_has_ended_is_still_spared() {
    let mut seen = Remembered::default();
    let mut entries = tree();
    jobs(&mut entries, spared(2), &mut seen);
    entries.remove(2);
    entries[2].parent = OWN;
    assert_eq!(jobs(&mut entries, spared(2), &mut seen), [5, 9, 10, 20]);
    // Another process with its pid is not the worker.
    entries[2].start += 1;
    assert_eq!(jobs(&mut entries, spared(2), &mut seen), [5, 8, 9, 10, 20]);
}

#[test]
fn we_are_no_job_even_with_a_higher_pid_than_our_children() {
    let mut entries = vec![process(3, 500, 1), process(4, 3, 1), process(500, 2, 9)];
    mark_job(
        &mut entries,
        500,
        Spared::default(),
        &mut Remembered::default(),
    );
    let groups: Vec<Group> = entries.iter().map(|entry| entry.group).collect();
    assert_eq!(groups, [JOB, JOB, SPARED]);
}

#[test]
fn circle_of_reused_pids_is_no_job() {
    let mut entries = vec![process(1, 0, 1), process(2, 3, 1), process(3, 2, 1)];
    let mut seen = Remembered::default();
    assert!(jobs(&mut entries, spared(2), &mut seen).is_empty());
}

#[test]
fn largest_never_takes_a_spared_process() {
    let mut entries = tree();
    mark_job(&mut entries, OWN, spared(2), &mut Remembered::default());
    assert_eq!(largest(&entries).map(|entry| entry.pid), Some(10));
    entries.retain(|entry| entry.group == SPARED);
    assert_eq!(largest(&entries), None);
}

#[test]
fn largest_is_of_the_build_with_the_most_memory() {
    let mut entries = [
        process(2, 1, 300),
        process(3, 1, 200),
        process(4, 1, 200),
        process(5, 1, 900),
    ];
    for (entry, group) in entries.iter_mut().zip([3, 4, 4, SPARED]) {
        entry.group = group;
    }
    assert_eq!(largest_group(&entries), Some((4, 400)));
    assert!(matches!(
        largest(&entries),
        Some(Entry {
            group: 4,
            bytes: 200,
            ..
        })
    ));
}

#[test]
fn parse_stat_survives_any_name() {
    let text = b"42 (a) S (b) R 7 42 42 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 3141 9000 88 0\n";
    let entry = parse_stat(42, text).unwrap();
    assert_eq!((entry.parent, entry.start, entry.bytes), (7, 3141, 88));
    assert_eq!(entry.name.text(), "a) S (b");
    for bad in [
        &b""[..],
        b"42",
        b"42 (a",
        b"42 (a) R",
        b")(",
        b"42 (a) R -7 1",
    ] {
        assert_eq!(parse_stat(42, bad), None);
    }
}

#[test]
fn size_leaves_out_what_files_back() {
    assert_eq!(parse_statm(b"1000 600 150 3 0 700 0\n"), Some(450));
    assert_eq!(parse_statm(b"1000\n"), None);
}

#[test]
fn name_is_printable_and_cut_off() {
    assert_eq!(Name::new(b"a\x1b[2Jb\n").text(), "a?[2Jb?");
    assert_eq!(Name::new(b"0123456789abcdefgh").text(), "0123456789abcde");
}
