use super::*;

const MIB: u64 = 1 << 20;

/// Recorded in a container of podman under cgroup v1, shortened.
const STAT_V1: &str = "cache 3219456\nrss 1351680\nrss_huge 0\nshmem 4096\nmapped_file 0\nswap 0\ninactive_file 12288\n\
active_file 8192\ntotal_cache 3219456\ntotal_rss 1351680\ntotal_shmem 2097152\ntotal_inactive_file 1101824\n\
total_active_file 16384\ntotal_unevictable 0\n";
/// Recorded in a container under cgroup v2, shortened.
const STAT_V2: &str = "anon 1351680\nfile 3219456\nkernel 1552384\nshmem 2097152\nfile_mapped 0\nfile_dirty 0\n\
inactive_anon 2000000\nactive_anon 1351680\ninactive_file 1101824\nactive_file 16384\nunevictable 0\n\
slab_reclaimable 40960\nslab_unreclaimable 181248\nslab 222208\n";

#[test]
fn number_knows_both_words_for_no_limit() {
    assert_eq!(number(b"max\n"), Some(u64::MAX));
    assert_eq!(number(b"9223372036854771712\n"), Some(u64::MAX));
    assert_eq!(number(b"536870912\n"), Some(512 * MIB));
    for bad in [
        &b""[..],
        b"\n",
        b"-1\n",
        b"12a\n",
        b"99999999999999999999\n",
    ] {
        assert_eq!(number(bad), None);
    }
}

#[test]
fn value_finds_whole_keys_only() {
    let events = b"low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n";
    assert_eq!(value(events, "oom"), Some(3));
    assert_eq!(value(events, "oom_kill"), Some(2));
    assert_eq!(value(events, "oom_group"), None);
    let control = b"oom_kill_disable 0\nunder_oom 0\noom_kill 7\n";
    assert_eq!(value(control, "oom_kill"), Some(7));
}

#[test]
fn stat_reads_files_and_tmpfs_of_both_versions() {
    let v1 = Stat::read(STAT_V1.as_bytes(), Version::V1);
    let v2 = Stat::read(STAT_V2.as_bytes(), Version::V2);
    for stat in [v1, v2] {
        assert_eq!((stat.files, stat.shmem), (1_118_208, 2 * MIB));
    }
    assert_eq!((v1.slab, v2.slab), (0, 40_960));
}

fn usage(current: u64, files: u64, swap_left: u64) -> Usage {
    let stat = Stat {
        files,
        slab: 0,
        shmem: 0,
    };
    Usage {
        limit: 512 * MIB,
        current,
        stat,
        swap_left,
    }
}

#[test]
fn page_cache_takes_no_head_room() {
    let cached = usage(512 * MIB, 500 * MIB, 0);
    assert_eq!(cached.unreclaimable(), 12 * MIB);
    assert_eq!(cached.head_room(), 500 * MIB);
    // The files are counted a moment later than the whole.
    assert_eq!(usage(10 * MIB, 11 * MIB, 0).unreclaimable(), 0);
}

#[test]
fn swap_and_a_missing_limit_are_head_room() {
    assert_eq!(usage(512 * MIB, 0, 100 * MIB).head_room(), 100 * MIB);
    let unlimited = Usage {
        limit: u64::MAX,
        ..usage(512 * MIB, 0, u64::MAX)
    };
    assert_eq!(unlimited.head_room(), u64::MAX);
}

const V2: &str = "30 23 0:26 /../../x /sys rw - sysfs sysfs rw\n\
512 500 0:29 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n";
const HYBRID: &str = "40 30 0:35 / /sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw\n\
41 30 0:36 /machine/a /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n\
42 30 0:37 /machine/a /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";

#[test]
fn mount_prefers_the_hierarchy_with_the_controller() {
    let v2 = mount(V2).unwrap();
    assert_eq!((v2.version, v2.root.as_str()), (Version::V2, "/"));
    assert_eq!(v2.point, "/sys/fs/cgroup");
    let hybrid = mount(HYBRID).unwrap();
    assert_eq!(
        (hybrid.version, hybrid.root.as_str()),
        (Version::V1, "/machine/a")
    );
    assert_eq!(hybrid.point, "/sys/fs/cgroup/memory");
    assert_eq!(mount("1 0 0:1 / / rw - overlay overlay rw\n"), None);
}

#[test]
fn own_path_is_that_of_the_version() {
    let cgroups = "9:name=systemd:/a\n8:memory:/machine/a/b:c\n4:cpu,cpuacct:/d\n0::/e\n";
    assert_eq!(own_path(cgroups, Version::V1), Some("/machine/a/b:c"));
    assert_eq!(own_path(cgroups, Version::V2), Some("/e"));
    assert_eq!(own_path("0::/e\n", Version::V1), None);
}

#[test]
fn visible_lists_each_level_up_to_the_mount() {
    assert_eq!(visible("/", "/"), [""]);
    assert_eq!(visible("/a/b", "/"), ["a/b", "a", ""]);
    assert_eq!(visible("/machine/a/b", "/machine/a"), ["b", ""]);
    assert_eq!(visible("/machine/a", "/machine/a"), [""]);
    for hidden in ["/machine/another", "/other", "/../b"] {
        assert_eq!(visible(hidden, "/machine/a"), [""], "{hidden}");
    }
    assert_eq!(visible("/../b", "/"), [""]);
}
