//! Subordinate ids, and the two programs that map them.

use crate::rows::{assert_all, row};
use crate::state::{DROP, OWN_IDS, State, good};

/// Content of both files with subordinate ids.
fn ranges(content: &str) -> State {
    good().setup(&format!(
        "printf '{content}' | tee /etc/subuid >/etc/subgid"
    ))
}

#[test]
fn doctor_finds_unusable_subordinate_ids() {
    let id = "idmap.subordinate";
    let remedy = "runner:1:999\\nrunner:1001:64535\\n";
    assert_all([
        row("no file", good().setup("rm /etc/subuid")).finds(id, "fail missing", remedy),
        row("no group file", good().setup("rm /etc/subgid")).finds(id, "fail missing", remedy),
        row("no entry", ranges("other:1:999\\n"))
            .finds(id, "fail no-entry", remedy)
            .finds("idmap.map", "skipped", ""),
        row("malformed", ranges("runner:1\\n")).finds(id, "fail malformed", remedy),
        row("overlapping", ranges("runner:1:900\\nrunner:800:100\\n")).finds(
            id,
            "fail overlap",
            remedy,
        ),
        row("its own id", ranges("runner:1:65535\\n")).finds(id, "fail own-id", remedy),
        row("too few", ranges("runner:1:999\\n")).finds(id, "warn too-few", remedy),
        row(
            "outside the pod's own ids",
            ranges("runner:100000:65536\\n").flags(&OWN_IDS),
        )
        .finds(id, "fail outside", remedy),
        row(
            "a newuidmap that maps nothing",
            good().setup(
                "cp /usr/bin/false /usr/bin/newuidmap; setcap cap_setuid+ep /usr/bin/newuidmap",
            ),
        )
        .finds("idmap.helpers", "ok", "")
        .finds("idmap.map", "fail refused", "supervisor doctor --json"),
        row("by number", ranges("1000:1:999\\n1000:1001:64535\\n"))
            .finds(id, "ok", "")
            .finds("idmap.map", "ok", ""),
    ]);
}

#[test]
fn user_and_group_with_two_numbers_need_two_files() {
    let id = "idmap.subordinate";
    let regid = DROP.replace("--regid 1000", "--regid 2000");
    let of_two = |files: &str| {
        good().setup(&format!(
            "groupadd --gid 2000 other; usermod --gid 2000 runner; {files}\nexec {regid} supervisor \"$@\""
        ))
    };
    let remedy = "printf 'runner:1:999\\nrunner:1001:64535\\n' >/etc/subuid && printf 'runner:1:1999\\nrunner:2001:63535\\n' >/etc/subgid";
    assert_all([
        row("the image's, for one number", of_two("")).finds(id, "fail own-id", remedy),
        row("as advised", of_two(remedy))
            .finds(id, "ok", "")
            .finds("idmap.map", "ok", ""),
    ]);
}

#[test]
fn lines_of_root_count_if_there_are_any() {
    let id = "idmap.subordinate";
    // Root of a pod with ids of its own, with the rights that root needs there.
    let root = |content: &str| {
        let command = DROP
            .replace("--reuid 1000 --regid 1000", "--reuid 0 --regid 0")
            .replace("+setgid", "+setgid,+setfcap");
        let files = format!("printf '{content}' | tee /etc/subuid >/etc/subgid");
        good()
            .flags(&OWN_IDS)
            .setup(&format!("{files}\nexec {command} supervisor \"$@\""))
    };
    assert_all([
        row("none", root("")).finds(id, "skipped", ""),
        row("all but its own", root("root:1:65535\\n")).finds(id, "ok", ""),
        row("its own too", root("root:0:65536\\n")).finds(id, "fail own-id", "root:1:65535"),
        row("outside", root("root:100000:65536\\n")).finds(id, "fail outside", "root:1:65535"),
    ]);
}

#[test]
fn doctor_finds_helpers_without_their_right() {
    let id = "idmap.helpers";
    let setuid = "for helper in newuidmap newgidmap; do setcap -r /usr/bin/$helper; chmod u+s /usr/bin/$helper; done";
    // The bounding set of a privileged container.
    let rights = DROP.replace("+setgid", "+setgid,+sys_admin,+dac_override");
    let privileged = format!("{setuid}; exec {rights} supervisor \"$@\"");
    assert_all([
        row("not there", good().setup("rm /usr/bin/newgidmap")).finds(
            id,
            "fail missing",
            "install --yes uidmap",
        ),
        row(
            "capability lost",
            good().setup("setcap -r /usr/bin/newuidmap"),
        )
        .finds(id, "fail no-right", "setcap cap_setuid+ep")
        .finds("idmap.map", "skipped", ""),
        row(
            "capability not effective",
            good().setup("setcap cap_setuid+p /usr/bin/newuidmap"),
        )
        .finds(id, "fail no-right", "setcap cap_setuid+ep"),
        row("setuid root", good().setup(setuid)).finds(id, "fail setuid-powerless", "chmod u-s"),
        row(
            "setuid root, with the rights that it needs",
            good().setup(&privileged),
        )
        .finds(id, "warn setuid", "chmod u-s"),
        row(
            "nosuid",
            good().setup("mount --bind /usr/bin /usr/bin; mount -o remount,bind,nosuid /usr/bin"),
        )
        .finds(id, "fail nosuid", "/usr/bin"),
    ]);
}
