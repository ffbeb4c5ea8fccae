//! What a `RUN` step tries against the builder around it.

use crate::{BASE, TOKEN, alone, assert_no_token, assert_serves, pod, run_step, run_step_in};

#[test]
fn the_environment_of_pid_1_is_closed() {
    let done = run_step("cat /proc/1/environ >/dev/null && echo got-it; true");
    assert!(
        !done.said.contains("\ngot-it\n") && done.said.contains("Permission denied"),
        "{}",
        done.said
    );
}

#[test]
fn the_memory_of_pid_1_is_closed() {
    let done = run_step("head -c 1 /proc/1/mem; head -c 1 /proc/1/maps && echo got-it; true");
    assert!(
        !done.said.contains("\ngot-it\n") && done.said.contains("denied"),
        "{}",
        done.said
    );
}

#[test]
fn the_root_of_no_process_outside_leads_to_the_builder() {
    let done = run_step(
        "for p in /proc/[0-9]*; do ls $p/root/var/lib/builder $p/cwd/var/lib/builder 2>/dev/null && echo got-it; done; true",
    );
    assert!(
        done.code == 0 && !done.said.contains("\ngot-it\n"),
        "{}",
        done.said
    );
}

#[test]
fn no_process_has_an_environment_with_credentials_in_reach() {
    let done = run_step(
        "for p in /proc/[0-9]*; do tr '\\0' '\\n' <$p/environ 2>/dev/null; done | grep -E 'REGISTRY_AUTH|auth.json' | sed 's/^/got-it /'; true",
    );
    assert!(
        done.code == 0 && !done.said.contains("\ngot-it "),
        "{}",
        done.said
    );
}

#[test]
fn no_file_holds_the_credentials() {
    let script = format!(
        "grep -rlsF {} / --exclude-dir=proc --exclude-dir=sys | sed 's/^/got-it /'; true",
        &TOKEN[..12]
    );
    let done = run_step(&script);
    let hits: Vec<&str> = done
        .said
        .lines()
        .filter(|line| line.starts_with("got-it"))
        .collect();
    assert!(done.code == 0 && hits.is_empty(), "{hits:?}");
}

#[test]
fn no_descriptor_of_another_process_is_inherited_or_opened() {
    let done = run_step(
        "ls -l /proc/self/fd; for p in /proc/[0-9]*; do for f in $p/fd/*; do dd if=$f iflag=nonblock bs=64 count=1 2>/dev/null </dev/null | grep -a auths && echo got-it; done; done; true",
    );
    assert!(
        !done.said.contains("\ngot-it\n") && !done.said.contains("auth.json"),
        "{}",
        done.said
    );
}

#[test]
fn no_process_can_be_traced() {
    let script = "perl -e 'for (glob(\"/proc/[0-9]*\")) { m{(\\d+)$}; next if $1 == $$ || -l \"$_/exe\" && readlink(\"$_/exe\") =~ /perl|bash|dash/; my $n = (`uname -m` =~ /x86_64/) ? 101 : 117; print \"got-it $1\\n\" if syscall($n, 16, $1+0, 0, 0) == 0 } print \"looked\\n\"'";
    let done = run_step(script);
    assert!(
        done.said.contains("\nlooked\n") && !done.said.contains("\ngot-it "),
        "{}",
        done.said
    );
}

#[test]
fn no_command_line_holds_a_secret() {
    let done = run_step("for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done");
    assert!(done.said.contains("serve-builds"), "{}", done.said);
    assert_no_token(&done);
}

#[test]
fn the_socket_is_not_there() {
    let done = run_step(
        "ls -la /run/builder /workspace 2>&1; for p in /proc/[0-9]*; do test -S $p/root/run/builder/socket && echo got-it; done; true",
    );
    assert!(
        done.code == 0 && !done.said.contains("\ngot-it\n"),
        "{}",
        done.said
    );
}

#[test]
fn killing_and_stopping_everything_hurts_only_itself() {
    let (pod, _alone) = alone();
    let kept = pod.build(&format!("FROM {BASE}\nRUN true"), "--tag localhost/kept");
    assert_eq!(kept.code, 0, "{}", kept.said);
    let script = "kill -KILL 1; kill -STOP 1; kill -STOP -1; kill -KILL -1; true";
    let done = run_step_in(&pod, script);
    assert_ne!(done.code, 0, "{}", done.said);
    assert_serves(&pod);
    let images = pod.job("buildah inspect --type image localhost/kept >/dev/null");
    assert_eq!(images.code, 0, "{}", images.said);
}

#[test]
fn a_daemon_does_not_outlive_its_build() {
    let done = run_step("(setsid setsid sleep 86395 >/dev/null 2>&1 </dev/null &) ; sleep 0.2");
    assert_eq!(done.code, 0, "{}", done.said);
    let left = pod().builder("for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done");
    assert!(
        left.said.contains("serve-builds") && !left.said.contains("sleep 86395"),
        "{}",
        left.said
    );
}

#[test]
fn a_daemon_that_holds_the_output_does_not_hold_the_client() {
    let done = run_step("setsid sleep 86394 & sleep 0.2");
    assert_eq!(done.code, 0, "{}", done.said);
}

#[test]
fn nothing_can_be_mounted() {
    let done = run_step(
        "mount -t tmpfs none /mnt && echo got-it; mount --bind /proc/1 /mnt && echo got-it; umount /proc && echo got-it; true",
    );
    assert!(
        done.code == 0 && !done.said.contains("\ngot-it\n"),
        "{}",
        done.said
    );
}

#[test]
fn no_namespace_can_be_made_or_entered() {
    let done = run_step(
        "unshare --user --map-root-user true && echo got-it; unshare --mount true && echo got-it; nsenter --target 1 --mount true && echo got-it; true",
    );
    assert!(
        done.code == 0 && !done.said.contains("\ngot-it\n"),
        "{}",
        done.said
    );
}

#[test]
fn the_way_out_of_the_chroot_is_closed() {
    let script = "perl -e 'mkdir \"/x\"; my $n = (`uname -m` =~ /x86_64/) ? 161 : 51; my $p = \"/x\"; print \"got-it\\n\" if syscall($n, $p) == 0; chdir(\"..\") for 1..64; print \"got-it\\n\" if -e \"var/lib/builder\"; print \"looked\\n\"'";
    let done = run_step(script);
    assert!(
        done.said.contains("\nlooked\n") && !done.said.contains("\ngot-it\n"),
        "{}",
        done.said
    );
}

/// Were the way out open, the next operation, with credentials, would still read what PID 1 wrote.
#[test]
fn what_configures_the_next_operation_cannot_be_changed() {
    let done = pod().builder(
        "grep -c . /run/supervisor/containers/storage.conf; ls /run/supervisor/containers",
    );
    assert_eq!(done.code, 0, "{}", done.said);
    let script = "perl -e 'for (glob(\"/proc/[0-9]*/root/run/supervisor/containers/*.conf\")) { print \"got-it $_\\n\" if open(my $f, \">>\", $_) } print \"looked\\n\"'";
    let done = run_step(script);
    assert!(
        done.said.contains("\nlooked\n") && !done.said.contains("\ngot-it "),
        "{}",
        done.said
    );
}

#[test]
fn no_device_can_be_made() {
    let done = run_step(
        "mknod /dev/kmsg2 c 1 11 && echo got-it; mknod /disk b 254 0 && head -c 1 /disk >/dev/null && echo got-it; true",
    );
    assert!(
        done.code == 0 && !done.said.contains("\ngot-it\n"),
        "{}",
        done.said
    );
}

#[test]
fn the_kernel_cannot_be_written_to() {
    let done = run_step(
        "echo 1 >/proc/sys/kernel/panic && echo got-it; echo x >/proc/sysrq-trigger && echo got-it; echo /x >/proc/sys/kernel/core_pattern && echo got-it; true",
    );
    assert!(
        done.code == 0 && !done.said.contains("\ngot-it\n"),
        "{}",
        done.said
    );
}

#[test]
fn the_context_cannot_be_written_to() {
    let done = pod().job(&format!(
        "mkdir c; echo FROM {BASE} >c/Containerfile; echo 'RUN --mount=type=bind,source=.,target=/mnt,rw touch /mnt/got-it; chown 55:55 /mnt/Containerfile; true' >>c/Containerfile; \
         buildah build --no-cache c; find c -name got-it -o ! -uid 1000 | sed 's/^/left: /'"
    ));
    assert!(
        done.code == 0 && !done.said.contains("\nleft: "),
        "{}",
        done.said
    );
}
