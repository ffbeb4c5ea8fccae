//! Attempts of a `RUN` step against the builder around it.
//!
//! Attempts that disturb no other build are steps of one build, which runs to its end. Each step first shows that its action
//! works if it is permitted, and then prints the error if it is not.

use std::sync::OnceLock;

use support::Done;

use crate::{BASE, TOKEN, alone, assert_serves, pod, run_step, run_step_in};

/// Name and script of each step.
const STEPS: &[(&str, &str)] = &[
    (
        "environment",
        "head -c 1 /proc/$$/environ >/dev/null && echo own; head -c 1 /proc/1/environ",
    ),
    (
        "memory",
        "head -c 1 /proc/self/maps >/dev/null && echo own; for f in mem maps; do head -c 1 /proc/1/$f; done",
    ),
    (
        "roots",
        r#"for p in /proc/[0-9]*; do for l in root cwd; do e=$(ls "$p/$l/" 2>&1 >/dev/null) && r=open || r=${e##*: }; echo "$l of $(cat $p/comm): $r"; ls $p/$l/var/lib/builder/storage >/dev/null 2>&1 && echo got-it; done; done"#,
    ),
    (
        "environments",
        r#"for p in /proc/[0-9]* /proc/self; do e=$( (tr '\0' '\n' <$p/environ) 2>&1) || e="closed: ${e##*: }"; case $e in *REGISTRY_AUTH*|*auth.json*) echo got-it;; *PATH=*) echo "$(cat $p/comm): open";; *) echo "$(cat $p/comm): $e";; esac; done"#,
    ),
    (
        "files",
        "printf %s%s dG9rZW 46YnVp >/planted; grep -rlsF $(cat /planted) / --exclude-dir=proc --exclude-dir=sys",
    ),
    (
        "descriptors",
        r#"echo auths >/planted; sleep 9 3</planted & for p in /proc/[0-9]*; do for f in $p/fd/*; do case $f in *\**) continue;; esac; dd if=$f iflag=nonblock bs=64 count=1 2>/dev/null </dev/null | grep -aq auths && echo "read one of $(cat $p/comm)"; done; done; ls /proc/1/fd"#,
    ),
    (
        "tracing",
        r#"perl -e '$n = `uname -m` =~ /x86_64/ ? 101 : 117; $own = fork // die; $own or sleep(9) && exit; for ($own, grep { $_ != $$ } map { m{(\d+)$} } glob "/proc/[0-9]*") { next unless open C, "/proc/$_/comm"; $c = <C>; chomp $c; $c = "own" if $_ == $own; next if $c =~ /^(perl|sh)$/; $! = 0; $r = syscall($n, 0x4206, $_ + 0, 0, 0); print "$c: ", $r == 0 ? "traced" : $!, "\n" } kill 9, $own'"#,
    ),
    (
        "command lines",
        "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done",
    ),
    (
        "socket",
        r#"ls -d /run; ls /run/builder /workspace; for p in /proc/[0-9]*; do test -S $p/root/run/builder/socket && echo got-it; done"#,
    ),
    (
        "mounts",
        "mount -t tmpfs none /mnt; mount --bind /proc/1 /mnt; umount /proc; grep -c ' /mnt ' /proc/mounts",
    ),
    (
        "namespaces",
        "unshare --fork echo without-one; unshare --user --map-root-user true; unshare --mount true; nsenter --target 1 --mount true; nsenter --target 1 --user true",
    ),
    (
        "chroot",
        r#"perl -e 'mkdir "/x"; $n = `uname -m` =~ /x86_64/ ? 161 : 51; $p = "/x"; $r = syscall($n, $p); print "chroot: ", $r == 0 ? "done" : $!, "\n"; chdir("..") for 1..64; print -e "etc/debian_version" ? "still" : "elsewhere", "\n"; print "got-it\n" if -e "var/lib/builder"'"#,
    ),
    (
        "configuration",
        r#"perl -e 'for (glob "/proc/[0-9]*") { $f = "$_/root/run/supervisor/containers/storage.conf"; open(F, ">>", $f) ? print "got-it $f\n" : print "$!\n" }' | sort | uniq -c"#,
    ),
    (
        "devices",
        "mknod /pipe p && echo a pipe; mknod /kmsg c 1 11; mknod /disk b 254 0; mknod /dev/kmsg2 c 1 11",
    ),
    (
        "kernel",
        "cat /proc/sys/kernel/ostype; for f in kernel/panic kernel/core_pattern; do echo 1 >/proc/sys/$f; done; echo x >/proc/sysrq-trigger",
    ),
    (
        "signals",
        "sleep 9 & kill -TERM $! && echo own; for s in TERM INT HUP CONT; do kill -$s 1; done; for t in /proc/1/task/*; do kill -TERM ${t##*/}; done",
    ),
    (
        "priority",
        "sleep 9 & renice -n 19 -p $! >/dev/null && echo own; renice -n 19 -p 1; taskset -p 1 1; chrt -i -p 0 1; ionice -c 3 -p 1",
    ),
];

/// What one of the steps said.
fn step(name: &str) -> String {
    static ALL: OnceLock<Done> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let steps: Vec<String> = STEPS
            .iter()
            .map(|(name, script)| {
                format!("RUN <<'END'\nexec 2>&1; echo '== {name}'\n{script}\necho '== end'\nEND")
            })
            .collect();
        pod().build(&format!("FROM {BASE}\n{}", steps.join("\n")), "--no-cache")
    });
    assert_eq!(all.code, 0, "{}", all.said);
    let begin = format!("\n== {name}\n");
    let (_, rest) = all.said.split_once(&begin).unwrap();
    let (said, _) = rest.split_once("== end\n").unwrap();
    assert!(!said.contains("got-it"), "{said}");
    assert!(!said.contains(TOKEN), "{said}");
    said.to_owned()
}

/// What was said has these lines, or parts of lines.
fn has(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

#[test]
fn the_environment_of_pid_1_is_closed() {
    has(
        &step("environment"),
        &["own\n", "'/proc/1/environ' for reading: Permission denied"],
    );
}

#[test]
fn the_memory_of_pid_1_is_closed() {
    has(
        &step("memory"),
        &[
            "own\n",
            "'/proc/1/mem' for reading: Permission denied",
            "'/proc/1/maps' for reading: Permission denied",
        ],
    );
}

#[test]
fn the_root_of_no_process_outside_leads_to_the_builder() {
    has(
        &step("roots"),
        &[
            "root of sh: open\n",
            "root of supervisor: Permission denied\n",
            "cwd of supervisor: Permission denied\n",
            "root of buildah: Permission denied\n",
            "cwd of buildah: Permission denied\n",
        ],
    );
}

#[test]
fn no_process_has_an_environment_with_credentials_in_reach() {
    has(
        &step("environments"),
        &[
            "sh: open\n",
            "supervisor: closed: Permission denied\n",
            "buildah: closed: Permission denied\n",
        ],
    );
}

#[test]
fn no_file_holds_the_credentials() {
    assert_eq!(step("files"), "/planted\n");
}

#[test]
fn no_descriptor_of_another_process_is_inherited_or_opened() {
    let said = step("descriptors");
    has(&said, &["'/proc/1/fd': Permission denied"]);
    let read: Vec<&str> = said.lines().filter(|line| line.contains("read")).collect();
    assert!(!read.is_empty(), "{said}");
    for line in read {
        assert_eq!(line, "read one of sleep");
    }
}

#[test]
fn no_process_can_be_traced() {
    let said = step("tracing");
    has(
        &said,
        &[
            "own: traced\n",
            "supervisor: Operation not permitted\n",
            "buildah: Operation not permitted\n",
        ],
    );
    for builders in ["supervisor", "buildah", "exe"] {
        assert!(!said.contains(&format!("{builders}: traced")), "{said}");
    }
}

#[test]
fn no_command_line_holds_a_secret() {
    has(&step("command lines"), &["serve-builds", "buildah build"]);
}

#[test]
fn the_socket_is_not_there() {
    has(
        &step("socket"),
        &[
            "/run\n",
            "'/run/builder': No such file or directory",
            "'/workspace': No such file or directory",
        ],
    );
}

#[test]
fn nothing_can_be_mounted() {
    let said = step("mounts");
    assert_eq!(
        said.matches("mount: /mnt: permission denied").count(),
        2,
        "{said}"
    );
    has(&said, &["umount: /proc: must be superuser", "\n0\n"]);
}

#[test]
fn no_namespace_can_be_made_or_entered() {
    let said = step("namespaces");
    has(&said, &["without-one\n"]);
    let unshare = "unshare failed: Operation not permitted";
    assert_eq!(said.matches(unshare).count(), 2, "{said}");
    // The seccomp profile does not let it get as far as the kernel.
    let nsenter = "reassociate to namespaces failed: Function not implemented";
    assert_eq!(said.matches(nsenter).count(), 2, "{said}");
}

#[test]
fn the_way_out_of_the_chroot_is_closed() {
    assert_eq!(step("chroot"), "chroot: Operation not permitted\nstill\n");
}

/// Were the way out open, the next operation, with credentials, would still read what PID 1 wrote.
#[test]
fn what_configures_the_next_operation_cannot_be_changed() {
    let done = pod().builder("grep -c . /run/supervisor/containers/storage.conf");
    assert_eq!(done.code, 0, "{}", done.said);
    has(&step("configuration"), &["Permission denied\n"]);
}

#[test]
fn no_device_can_be_made() {
    has(
        &step("devices"),
        &[
            "a pipe\n",
            "mknod: /kmsg: Operation not permitted",
            "mknod: /disk: Operation not permitted",
            "mknod: /dev/kmsg2: Read-only file system",
        ],
    );
}

#[test]
fn the_kernel_cannot_be_written_to() {
    has(
        &step("kernel"),
        &[
            "Linux\n",
            "cannot create /proc/sys/kernel/panic: Read-only file system",
            "cannot create /proc/sys/kernel/core_pattern: Read-only file system",
            "cannot create /proc/sysrq-trigger: ",
        ],
    );
}

/// It has a user that no build has. So has each of its threads.
#[test]
fn pid_1_takes_no_signal() {
    let said = step("signals");
    has(&said, &["own\n"]);
    let refused = said.matches("Operation not permitted").count();
    assert!(refused > 4, "{said}");
    let lines = said.lines().filter(|line| !line.is_empty());
    assert_eq!(lines.count(), refused + 1, "{said}");
}

#[test]
fn pid_1_keeps_its_share_of_the_processors() {
    let said = step("priority");
    has(
        &said,
        &[
            "own\n",
            "failed to set priority for 1 (process ID): Operation not permitted",
            "failed to set pid 1's affinity: Operation not permitted",
            "failed to set pid 1's policy: ",
            "ioprio_set failed: ",
        ],
    );
}

#[test]
fn killing_and_stopping_everything_hurts_only_itself() {
    let (pod, _alone) = alone();
    let begun = || pod.builder("cut -d ' ' -f 22 /proc/1/stat").said;
    let kept = pod.build(&format!("FROM {BASE}\nRUN true"), "--tag localhost/kept");
    assert_eq!(kept.code, 0, "{}", kept.said);
    let before = begun();
    let script = "kill -KILL 1; kill -STOP 1; kill -KILL -1; true";
    let done = run_step_in(&pod, script);
    // Buildah itself is what it killed.
    assert_eq!(done.code, 137, "{}", done.said);
    assert_eq!(begun(), before, "it is another process now");
    assert_serves(&pod);
    let images = pod.job("buildah inspect --type image localhost/kept >/dev/null");
    assert_eq!(images.code, 0, "{}", images.said);
}

/// What runs in the builder, by command line.
fn processes() -> String {
    let all = pod().builder("for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done");
    has(&all.said, &["serve-builds"]);
    all.said
}

#[test]
fn a_daemon_does_not_outlive_its_build() {
    let script = "(setsid setsid sleep 86395 >/dev/null 2>&1 </dev/null &)\n\
        until grep -qs 86395 /proc/[0-9]*/cmdline; do :; done; echo it \"ru\"ns";
    let done = run_step(script);
    assert_eq!(done.code, 0, "{}", done.said);
    has(&done.said, &["\nit runs\n"]);
    assert!(!processes().contains("sleep 86395"));
}

/// Each of its processes is gone by the time that anybody looks; the socket that they hand down is not. It shows that none
/// is left, not that the sweeper is needed for it: with luck, who looks through /proc again and again finds one that is to
/// fork, and the chain ends with it.
#[test]
fn ends_a_fork_storm_with_its_build() {
    let script = "perl -e 'use Socket; socket(S, PF_INET, SOCK_STREAM, 0); bind(S, sockaddr_in(7799, INADDR_LOOPBACK)) or die; listen(S, 9); \
        exit if fork; setpgrp; while (1) { exit if fork }' >/dev/null 2>&1 </dev/null\n\
        until bash -c ': </dev/tcp/127.0.0.1/7799' 2>/dev/null; do :; done; echo it \"ru\"ns";
    let pod = pod();
    // A crowd to look through.
    let crowd =
        "for i in {1..300}; do sleep 86391 & echo $!; done >/tmp/crowd 2>/dev/null </dev/null";
    assert_eq!(pod.builder(crowd).code, 0);
    let done = run_step_in(&pod, script);
    let crowd = pod.builder("kill $(cat /tmp/crowd) && rm /tmp/crowd");
    assert_eq!(crowd.code, 0, "{}", crowd.said);
    assert_eq!(done.code, 0, "{}", done.said);
    has(&done.said, &["\nit runs\n"]);
    let done = pod.job(": </dev/tcp/127.0.0.1/7799");
    has(&done.said, &["127.0.0.1/7799: Connection refused"]);
}

#[test]
fn a_daemon_that_holds_the_output_does_not_hold_the_client() {
    let done = run_step("setsid sleep 86394 & echo go\"\"ing");
    assert_eq!(done.code, 0, "{}", done.said);
    has(&done.said, &["\ngoing\n"]);
    assert!(!processes().contains("sleep 86394"));
}

#[test]
fn the_context_cannot_be_written_to() {
    let done = pod().job(&format!(
        "mkdir c; echo FROM {BASE} >c/Containerfile; echo 'RUN --mount=type=bind,source=.,target=/mnt touch /mnt/got-it 2>&1; true' >>c/Containerfile; \
         echo 'RUN --mount=type=bind,source=.,target=/mnt,rw touch /mnt/got-it && chown 55:55 /mnt/Containerfile && echo wri\"\"tten' >>c/Containerfile; \
         buildah build --no-cache c; find c -name got-it -o ! -uid 1000 | sed 's/^/left: /'"
    ));
    assert_eq!(done.code, 0, "{}", done.said);
    // To a layer over it.
    has(
        &done.said,
        &["'/mnt/got-it': Read-only file system", "\nwritten\n"],
    );
    assert!(!done.said.contains("\nleft: "), "{}", done.said);
}

/// A script of it may well be run, and nothing else taken from it.
#[test]
fn the_context_brings_no_setuid_program_and_no_device() {
    let done = pod().job(&format!(
        r#"
        mkdir c; printf '#!/bin/sh\necho a scr""ipt runs\n' >c/run.sh; chmod 4755 c/run.sh
        printf 'FROM {BASE}\nRUN --mount=type=bind,source=.,target=/mnt /mnt/run.sh; grep " /mnt " /proc/mounts\n' >c/Containerfile
        buildah build --no-cache c
        "#
    ));
    assert_eq!(done.code, 0, "{}", done.said);
    has(&done.said, &["\na script runs\n", " ro,nosuid,nodev,"]);
}
