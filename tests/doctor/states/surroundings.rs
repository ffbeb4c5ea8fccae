//! Limits, the clock, the network, and what a pod should not have.

use crate::rows::{assert_all, row};
use crate::state::{DROP, OWN_IDS, State, good, host_network, host_pid};
use crate::token::token;

#[test]
fn limits() {
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

/// As many keys as an ordinary user may have, held by a process of this one. The ids of its own keep them from others.
fn keys() -> State {
    let add_key = if cfg!(target_arch = "x86_64") {
        248
    } else {
        217
    };
    let allowed = std::fs::read_to_string("/proc/sys/kernel/keys/maxkeys").unwrap();
    let allowed = allowed.trim();
    // Into the process's keyring (-2), which goes with the process.
    let script = format!(
        r#"for my $n (1 .. {allowed}) {{ my ($type, $name, $value) = ("user", "key $n", "x"); syscall({add_key}, $type, $name, $value, 1, -2) < 0 and last }} exit(system("supervisor", @ARGV) >> 8)"#
    );
    good()
        .flags(&OWN_IDS)
        .filter("add_key", r#""action": "SCMP_ACT_ALLOW""#)
        .setup(&format!("exec {DROP} perl -e '{script}' -- \"$@\""))
}

#[test]
fn the_quota_of_kernel_keys() {
    assert_all([row("as many keys as are allowed", keys()).finds(
        "kernel.keyring",
        "warn quota",
        "kernel.keys.maxkeys",
    )]);
}

#[test]
fn what_a_pod_should_not_have() {
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

/// The port is taken, and what comes there is read by nobody.
fn silent_dns() -> State {
    good().setup(
        "printf 'nameserver 127.0.0.1\\n' >/etc/resolv.conf; \
         perl -MSocket -e 'socket(S, AF_INET, SOCK_DGRAM, 0) && bind(S, sockaddr_in(53, INADDR_LOOPBACK)) || die; sleep' & \
         until grep -q :0035 /proc/net/udp; do sleep 0.1; done",
    )
}

#[test]
fn hosts_that_are_out_of_reach() {
    assert_all([
        row("a name that nobody has", good())
            .with(&["--reach", "registry.invalid"])
            .finds(
                "network.names",
                "fail unknown",
                "getent ahosts registry.invalid",
            )
            .finds("network.tcp", "skipped", ""),
        row("a DNS server that never answers", silent_dns())
            .with(&["--reach", "registry.invalid", "--reach", "other.invalid"])
            .finds("network.names", "fail no-answer", "port: 53")
            .finds("network.tcp", "skipped", ""),
        row("a port where nobody listens", good())
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
fn what_is_only_told() {
    assert_all([row("all in order", good())
        .finds("kernel.release", "ok", "")
        .finds("kernel.cgroups", "ok", "")
        .finds("kernel.keyring", "ok", "")
        .finds("kernel.clock", "ok", "")
        .finds("kernel.open-files", "ok", "")
        .finds("kubernetes.init", "ok", "")
        .finds("kubernetes.host-pid", "ok", "")
        .finds("kubernetes.host-network", "ok", "")]);
    let told = |state: State| {
        let said = state.doctor(&["--only", "kubernetes.init"]);
        said.check("kubernetes.init")["found"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(told(good()), "the supervisor");
    assert!(told(good().flags(&["--init"])).contains("its own descendants only"));
}

#[test]
fn an_old_kernel() {
    let state = good().setup(
        "mount -t tmpfs tmpfs /proc/sys/kernel; echo 5.4.0-150-generic >/proc/sys/kernel/osrelease",
    );
    assert_all([row("Linux 5.4", state).finds("kernel.release", "warn old", "Linux 5.11")]);
}

#[test]
fn kinds_of_cgroups() {
    let told = |setup: &str| {
        let said = good().setup(setup).doctor(&["--only", "kernel.cgroups"]);
        said.assert("kernel.cgroups", "ok", "");
        said.check("kernel.cgroups")["value"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(told("mount -t cgroup2 none /sys/fs/cgroup"), "v2");
    let one = "mount -t tmpfs tmpfs /sys/fs/cgroup; mkdir /sys/fs/cgroup/pids";
    assert_eq!(told(one), "v1");
    assert_eq!(told(&format!("{one} /sys/fs/cgroup/unified")), "hybrid");
}
