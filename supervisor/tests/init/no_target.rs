//! PID 1 is no target: the job has the same uid, and still cannot read it, trace it, stop it or kill it.

use nix::sys::signal::Signal;
use test_support::procfs::status_field;
use test_support::{Fixture, PTRACE};

use crate::SUPERVISOR;

const TOKEN: &str = "token-4711-do-not-leak";

fn fixture() -> Fixture {
    let fixture = Fixture::new(SUPERVISOR).env("SUPERVISOR_SECRETS__REQUIRED", "token");
    let secrets = fixture.path("secrets");
    std::fs::create_dir(&secrets).unwrap();
    std::fs::write(secrets.join("token"), TOKEN).unwrap();
    fixture
}

#[test]
fn memory_environment_descriptors_and_maps_are_closed() {
    let script = r"
        for file in mem environ maps smaps auxv syscall stack pagemap io; do
            if head -c 1 /proc/1/$file >/dev/null 2>&1; then echo OPEN $file; fi
        done
        for file in exe cwd root; do readlink /proc/1/$file >/dev/null 2>&1 && echo OPEN $file; done
        ls /proc/1/fd >/dev/null 2>&1 && echo OPEN fd
        ls /proc/1/map_files >/dev/null 2>&1 && echo OPEN map_files
        true
    ";
    let ended = fixture().shell(script);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    // proc_pid_io(5) and stat(5) tell counts, not contents.
    let open: Vec<&str> = ended
        .stdout
        .lines()
        .filter(|line| line.starts_with("OPEN"))
        .collect();
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn ptrace_and_process_vm_readv_are_refused() {
    // PTRACE_ATTACH is 16, PTRACE_SEIZE 0x4206; then the numbers of process_vm_readv, pidfd_open and pidfd_getfd.
    let [readv, pidfd_open, pidfd_getfd] = if cfg!(target_arch = "x86_64") {
        [310, 434, 438]
    } else {
        [270, 434, 438]
    };
    let script = format!(
        r#"
        sub try {{ my $r = syscall(shift, @_); print "OPEN @_\n" if $r >= 0; }}
        try({PTRACE}, 16, 1, 0, 0); try({PTRACE}, 0x4206, 1, 0, 0);
        my $local = "\0" x 16; my $vector = pack("PQ", $local, 16); my $remote = pack("QQ", 0x400000, 16);
        try({readv}, 1, $vector, 1, $remote, 1, 0);
        my $pidfd = syscall({pidfd_open}, 1, 0); try({pidfd_getfd}, $pidfd, 3, 0);
        print "tried\n";
        "#
    );
    let ended = fixture().run(&["perl", "-e", &script]);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(ended.stdout.starts_with("tried\n"), "{}", ended.stdout);
}

#[test]
fn nor_can_a_job_of_root_trace_it_or_read_its_environment() {
    let script = format!(
        r#"
        print "OPEN ptrace\n" if syscall({PTRACE}, 0x4206, 1, 0, 0) == 0;
        for my $name ("environ", "mem", "maps") {{
            print "OPEN $name\n" if open(my $f, "<", "/proc/1/$name") && sysread($f, my $byte, 1);
        }}
        print "tried\n";
        "#
    );
    let ended = fixture().root().run(&["perl", "-e", &script]);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(ended.stdout.starts_with("tried\n"), "{}", ended.stdout);
}

#[test]
fn no_signal_of_the_jobs_stops_or_ends_it() {
    // SIGTERM asks for the job's end, as it does from anyone: everything else is the job's own echo.
    let script = r"
        for n in $(seq 1 64); do
            case $n in 15|32|33) continue;; esac
            trap '' $n 2>/dev/null
        done
        for n in $(seq 1 64); do case $n in 15|32|33) ;; *) kill -$n 1;; esac; done
        sleep 0.3
        kill -0 1 && exit 6
    ";
    let ended = fixture().shell(script);
    assert_eq!(ended.code(), 6, "{}", ended.stderr);
    ended.assert_workspace_is_empty();
}

#[test]
fn the_token_is_nowhere_but_where_it_was_asked_for() {
    let ended = fixture().shell(
        "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; env; grep -rs . \"$PWD\" \"$HOME\" \"$XDG_RUNTIME_DIR\"; true",
    );
    assert_eq!(ended.code(), 0);
    assert!(!ended.stdout.contains(TOKEN), "{}", ended.stdout);
    assert!(!ended.stderr.contains(TOKEN), "{}", ended.stderr);

    let ended = fixture()
        .env("SUPERVISOR_SECRETS__ENVIRONMENT", "{API_TOKEN=\"token\"}")
        .shell("[ \"$API_TOKEN\" = token-4711-do-not-leak ] && exit 8");
    assert_eq!(ended.code(), 8, "{}", ended.stderr);
}

#[test]
fn overwrites_environment_and_command_in_its_own_pages() {
    // Root outside sees what a debugger or a core file would.
    let inheriting = Fixture::new(SUPERVISOR).env("SUPERVISOR_RUNNER__INHERIT", "API_TOKEN");
    let running = inheriting.env("API_TOKEN", TOKEN).start(&[
        "bash",
        "-c",
        "touch ready; [ $API_TOKEN = token-4711-do-not-leak ] || exit 1; sleep 1000",
        TOKEN,
    ]);
    running.wait_for_file("ready");
    let supervisor = running.supervisor();
    let shown = |file: &str| {
        let bytes = std::fs::read(format!("/proc/{supervisor}/{file}")).unwrap();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    };
    let (environment, command) = (shown("environ"), shown("cmdline"));
    assert!(environment.trim().starts_with("PATH="), "{environment}");
    assert!(!environment.contains(TOKEN) && !environment.trim().contains(" "));
    assert!(command.contains("run --flavor exec") && !command.contains(TOKEN));
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code(), 143);
}

#[test]
fn no_handler_of_ours_can_be_run_by_a_forged_signal() {
    let running = Fixture::new(SUPERVISOR).start(&["bash", "-c", "touch ready; sleep 1000"]);
    running.wait_for_file("ready");
    let caught = status_field(running.supervisor(), "SigCgt").unwrap();
    // The C library's own 32 and 33 apart.
    let caught = u64::from_str_radix(&caught, 16).unwrap() & !(0b11 << 31);
    assert_eq!(caught, 0, "{caught:x}");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code(), 143);
}

#[test]
fn a_lowered_limit_of_descriptors_takes_nothing_from_the_runner() {
    // The watch goes on: the job's own code, its deadline and its signals still count.
    let ended = Fixture::new(SUPERVISOR)
        .flags(&["--deadline", "1s", "--grace", "100ms"])
        .shell("prlimit --pid 1 --nofile=0:0; exec sleep 1000");
    assert_eq!(ended.code(), 143, "{}", ended.stderr);
    let line = ended.stdout.lines().last().unwrap_or_default();
    assert!(line.contains("\"reason\":\"deadline\""), "{line}");
}
