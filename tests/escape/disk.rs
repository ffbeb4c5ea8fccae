//! Attempts to fill the storage that the builder writes to: its volume, its memory, the socket's directory.

use support::{Done, Pair};

use crate::{BASE, assert_it_still_serves, assert_refused, pod};

/// Enough for a few builds, and soon full.
const LIMITS: &str = "size=96m,nr_inodes=6000";

fn assert_full(done: &Done) {
    assert_ne!(done.code, 0, "{}", done.said);
    let said = done.said.to_lowercase();
    assert!(said.contains("no space left on device"), "{}", done.said);
}

/// It serves and builds as if nothing had been, and ends with nothing left.
fn assert_recovers(pair: &Pair) {
    let done = pair.job("buildah version && buildah rmi --all --force");
    assert_eq!(done.code, 0, "{}", done.said);
    let done = pair.job(&Pair::step("echo works again"));
    assert!(done.said.contains("\nworks again\n"), "{}", done.said);
    let report = pair.end();
    assert_eq!(report["reason"], "completed", "{report}");
    assert_eq!((pair.count("storage"), pair.count("workspace")), (0, 0));
}

#[test]
fn the_builders_volume_by_one_file() {
    let pair = Pair::with_storage_of(LIMITS);
    assert_full(&pair.job(&Pair::step("cat /dev/zero >/filled")));
    assert_recovers(&pair);
}

#[test]
fn the_builders_volume_by_many_files() {
    let pair = Pair::with_storage_of(LIMITS);
    let script = "for i in {1..20000}; do : >/filled-$i || exit 1; done";
    assert_full(&pair.job(&Pair::step(script)));
    assert_recovers(&pair);
}

/// What is committed stays, so that nothing of the builder's own can be written any more.
#[test]
fn the_builders_volume_by_images_that_stay() {
    let pair = Pair::with_storage_of(LIMITS);
    let done = pair.job(
        "mkdir -p work/images && cd work/images && head -c 20M /dev/urandom >file && printf 'FROM scratch\\nCOPY file /\\n' >Containerfile; \
         for i in 1 2 3 4 5 6 7 8; do echo $i >>file; buildah build --quiet --no-cache --tag localhost/$i . || exit; done",
    );
    assert_full(&done);
    assert_recovers(&pair);
}

#[test]
fn the_builders_volume_by_an_export() {
    let pair = Pair::with_storage_of(LIMITS);
    let done = pair.job(
        "mkdir -p work/export && cd work/export && head -c 40M /dev/urandom >file && printf 'FROM scratch\\nCOPY file /\\nCOPY file /again\\n' >Containerfile; \
         buildah build --no-cache --output out .",
    );
    assert_full(&done);
    assert_recovers(&pair);
}

#[test]
fn the_builders_memory_by_secrets() {
    let done = pod().job(&format!(
        "echo FROM {BASE} >Containerfile; head -c 4000000 /dev/zero >secret; flags=(); for i in {{1..100}}; do flags+=(--secret id=s$i,src=secret); done; \
         buildah build ${{flags[@]}} ."
    ));
    assert_refused(&done, "have more than 8 MiB");
    assert_it_still_serves();
}

#[test]
fn the_sockets_directory() {
    let done = pod().job(
        "touch /run/builder/got-it; ln -sf /x /run/builder/socket; mv /run/builder/socket /run/builder/x; rm -f /run/builder/socket; ls -A /run/builder",
    );
    assert!(done.said.starts_with("socket\n"), "{}", done.said);
    let refused = done.said.matches("Read-only file system").count();
    assert_eq!(refused, 4, "{}", done.said);
    assert_it_still_serves();
}
