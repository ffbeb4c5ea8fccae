//! Limits, the clock, the network, and things that a pod should not have.

use crate::rows::{assert_all, row};
use crate::state::{DROP, OWN_IDS, State, good, host_network, host_pid};
use crate::token::token;

#[test]
fn doctor_finds_low_limits() {
    let (processes, memory) = ("kernel.processes", "kernel.memory");
    assert_all([
        row("24 processes", good().flags(&["--pids-limit=24"])).finds(
            processes,
            "fail too-few",
            "podPidsLimit",
        ),
        row("100 processes", good().flags(&["--pids-limit=100"])).finds(
            processes,
            "warn few",
            "podPidsLimit",
        ),
        row(
            "RLIMIT_NPROC",
            good().flags(&OWN_IDS).flags(&["--ulimit=nproc=20:20"]),
        )
        .finds(processes, "fail too-few", "--ulimit nproc"),
        row("64 MiB", good().flags(&["--memory=64m"])).finds(
            memory,
            "fail too-little",
            "memory: 2Gi",
        ),
        row("256 MiB", good().flags(&["--memory=256m"])).finds(
            memory,
            "warn little",
            "memory: 2Gi",
        ),
        row("256 files", good().flags(&["--ulimit=nofile=256:256"])).finds(
            "kernel.open-files",
            "warn few",
            "LimitNOFILE",
        ),
    ]);
}

/// Uses all kernel keys of an ordinary user. The user namespace of its own keeps the keys apart from those of other users.
fn keys() -> State {
    let add_key = if cfg!(target_arch = "x86_64") {
        248
    } else {
        217
    };
    let allowed = std::fs::read_to_string("/proc/sys/kernel/keys/maxkeys").unwrap();
    let allowed = allowed.trim();
    // The process's keyring (-2) disappears with the process.
    let script = format!(
        r#"for my $n (1 .. {allowed}) {{ my ($type, $name, $value) = ("user", "key $n", "x"); syscall({add_key}, $type, $name, $value, 1, -2) < 0 and last }} exit(system("supervisor", @ARGV) >> 8)"#
    );
    good()
        .flags(&OWN_IDS)
        .filter("add_key", r#""action": "SCMP_ACT_ALLOW""#)
        .setup(&format!("exec {DROP} perl -e '{script}' -- \"$@\""))
}

#[test]
fn doctor_finds_an_exhausted_key_quota() {
    assert_all([row("as many keys as are allowed", keys()).finds(
        "kernel.keyring",
        "warn quota",
        "kernel.keys.maxkeys",
    )]);
}

#[test]
fn doctor_finds_what_a_pod_should_not_have() {
    let socket = "kubernetes.engine-socket";
    let account = "/var/run/secrets/kubernetes.io/serviceaccount/token";
    assert_all([
        row("Docker's socket", good().file("/var/run/docker.sock", "")).finds(
            socket,
            "warn mounted",
            "leave out --volume /var/run/docker.sock",
        ),
        row(
            "an engine's socket in DOCKER_HOST",
            good()
                .file("/engine.sock", "")
                .flags(&["--env=DOCKER_HOST=unix:///engine.sock"]),
        )
        .finds(socket, "warn mounted", "path: /engine.sock"),
        row(
            "a service account, and a clock behind its issuer's",
            good().file(account, &token(7200, 10_800)),
        )
        .finds(
            "kubernetes.service-account",
            "warn mounted",
            "automountServiceAccountToken: false",
        )
        .finds("kernel.clock", "warn behind", "timedatectl"),
        row(
            "a clock behind the container's own files",
            good().setup("touch -d '+2 days' /etc/hostname"),
        )
        .finds("kernel.clock", "warn behind", "timedatectl"),
        row("hostPID", host_pid()).finds("kubernetes.host-pid", "warn shared", "hostPID: true"),
        row("hostNetwork", host_network()).finds(
            "kubernetes.host-network",
            "warn shared",
            "hostNetwork: true",
        ),
    ]);
}

/// A process listens on the DNS port and never reads.
fn silent_dns() -> State {
    good().setup(
        "printf 'nameserver 127.0.0.1\\n' >/etc/resolv.conf; \
         perl -MSocket -e 'socket(S, AF_INET, SOCK_DGRAM, 0) && bind(S, sockaddr_in(53, INADDR_LOOPBACK)) || die; sleep' & \
         until grep -q :0035 /proc/net/udp; do sleep 0.1; done",
    )
}

#[test]
fn doctor_finds_unreachable_hosts() {
    assert_all([
        row("a name that does not exist", good())
            .with(&["--reach", "registry.invalid"])
            .finds(
                "network.names",
                "fail unknown",
                "getent ahosts registry.invalid",
            )
            .finds("network.tcp", "skipped", ""),
        row("a DNS server that never responds", silent_dns())
            .with(&["--reach", "registry.invalid", "--reach", "other.invalid"])
            .finds("network.names", "fail no-answer", "port: 53")
            .finds("network.tcp", "skipped", ""),
        row("a closed port", good())
            .with(&["--reach", "127.0.0.1:9"])
            .finds("network.tcp", "fail unreachable", "cidr: 127.0.0.1/32"),
        row(
            "the CI service",
            good().flags(&["--env=SUPERVISOR_GITHUB__URL=http://127.0.0.1:9/o/r"]),
        )
        .with(&["--flavor", "github"])
        .finds("network.tcp", "fail unreachable", "port: 9"),
        row("the CI vendor's own service", good())
            .with(&["--flavor", "circleci"])
            .finds(
                "network.names",
                "fail unknown",
                "getent ahosts runner.circleci.com",
            ),
        row(
            "an insecure registry of the configuration",
            good().flags(&["--env=SUPERVISOR_STORAGE__INSECURE_REGISTRIES=127.0.0.1:9"]),
        )
        .finds("network.tcp", "fail unreachable", "port: 9"),
    ]);
}

#[test]
fn checks_without_findings_report_values() {
    assert_all([row("all in order", good())
        .finds("kernel.release", "ok", "")
        .finds("kernel.cgroups", "ok", "")
        .finds("kernel.keyring", "ok", "")
        .finds("kernel.clock", "ok", "")
        .finds("kernel.open-files", "ok", "")
        .finds("kernel.out-of-memory", "ok", "")
        .finds("kubernetes.init", "ok", "")
        .finds("kubernetes.host-pid", "ok", "")
        .finds("kubernetes.host-network", "ok", "")]);
    let found = |state: State| {
        let result = state.doctor(&["--only", "kubernetes.init"]);
        result.check("kubernetes.init")["found"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(found(good()), "the supervisor");
    assert!(found(good().flags(&["--init"])).contains("its own descendants only"));
}

#[test]
fn doctor_finds_an_old_kernel() {
    let state = good().setup(
        "mount -t tmpfs tmpfs /proc/sys/kernel; echo 5.4.0-150-generic >/proc/sys/kernel/osrelease",
    );
    assert_all([row("Linux 5.4", state).finds("kernel.release", "warn old", "Linux 5.11")]);
}

#[test]
fn doctor_reports_the_version_of_cgroups() {
    let version = |setup: &str| {
        let result = good().setup(setup).doctor(&["--only", "kernel.cgroups"]);
        result.assert("kernel.cgroups", "ok", "");
        result.check("kernel.cgroups")["value"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(version("mount -t cgroup2 none /sys/fs/cgroup"), "v2");
    let one = "mount -t tmpfs tmpfs /sys/fs/cgroup; mkdir /sys/fs/cgroup/pids";
    assert_eq!(version(one), "v1");
    assert_eq!(version(&format!("{one} /sys/fs/cgroup/unified")), "hybrid");
}
