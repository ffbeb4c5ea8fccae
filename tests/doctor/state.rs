//! A container in one broken state, the doctor in it, and its report.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use support::{podman_command, root, security_flags, single_image, supervisor};
use tempfile::TempDir;

/// The workspace of a pod with the profile rootless, and of the script for local runs.
const WORKSPACE: &str = "--mount=type=tmpfs,destination=/workspace,tmpfs-size=2100m,tmpfs-mode=0755,U=true,exec,suid,dev";
const RUNTIME: &str = "--mount=type=tmpfs,destination=/run/supervisor,tmpfs-mode=0700,U=true";
const CAPABILITIES: [&str; 3] = ["--cap-drop=all", "--cap-add=SETUID", "--cap-add=SETGID"];

/// A pod with a user namespace of its own and an unmasked /proc.
pub(crate) const OWN_IDS: [&str; 3] = [
    "--uidmap=0:100000:65536",
    "--gidmap=0:100000:65536",
    "--security-opt=unmask=ALL",
];

/// Changes from root of the container to the user of a job, with the rights of a job.
pub(crate) const DROP: &str = "setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --ambient-caps=-all \
    --bounding-set=-all,+setuid,+setgid";

/// The way in which the container is started. Nothing is broken until a method breaks it.
pub(crate) struct State {
    workspace: Option<String>,
    runtime: Option<String>,
    capabilities: Vec<String>,
    seccomp: Option<PathBuf>,
    user: &'static str,
    flags: Vec<String>,
    setup: Option<String>,
    pub(crate) directory: TempDir,
}

pub(crate) fn good() -> State {
    assert!(
        Command::new("id").arg("-u").output().unwrap().stdout == b"0\n",
        "these tests start containers: run them as root"
    );
    let directory = tempfile::tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), open).unwrap();
    State {
        workspace: Some(WORKSPACE.to_owned()),
        runtime: Some(RUNTIME.to_owned()),
        capabilities: CAPABILITIES.map(str::to_owned).into(),
        seccomp: Some(root().join("k8s/seccomp/buildah.json")),
        user: "1000:1000",
        flags: vec!["--network=none".to_owned()],
        setup: None,
        directory,
    }
}

/// A workspace on tmpfs with these mount options.
pub(crate) fn workspace(options: &str) -> State {
    good().workspace(&format!(
        "--mount=type=tmpfs,destination=/workspace,{options}"
    ))
}

/// The machine's own processes are visible. The tests must not run in a container themselves.
pub(crate) fn host_pid() -> State {
    let own = std::fs::read_link("/proc/self/ns/pid").unwrap();
    assert_eq!(
        own,
        Path::new("pid:[4026531836]"),
        "hostPID is recognized by the initial PID namespace: run these tests on the machine itself"
    );
    good().flags(&["--pid=host"])
}

/// The machine's own network, with its hardware interfaces.
pub(crate) fn host_network() -> State {
    let mut interfaces = std::fs::read_dir("/sys/class/net").unwrap().flatten();
    assert!(
        interfaces.any(|interface| interface.path().join("device").exists()),
        "hostNetwork is recognized by a network card: this machine has no network card"
    );
    good().without("--network=none").flags(&["--network=host"])
}

impl State {
    /// Adds flags of `podman run`.
    pub(crate) fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(ToString::to_string));
        self
    }

    pub(crate) fn without(mut self, flag: &str) -> Self {
        self.flags.retain(|known| known != flag);
        self
    }

    /// Replaces the workspace's flag; an empty text removes it.
    pub(crate) fn workspace(mut self, flag: &str) -> Self {
        self.workspace = Some(flag.to_owned()).filter(|flag| !flag.is_empty());
        self
    }

    pub(crate) fn runtime(mut self, flag: &str) -> Self {
        self.runtime = Some(flag.to_owned()).filter(|flag| !flag.is_empty());
        self
    }

    pub(crate) fn capabilities(mut self, flags: &[&str]) -> Self {
        self.capabilities = flags.iter().map(ToString::to_string).collect();
        self
    }

    pub(crate) fn user(mut self, user: &'static str) -> Self {
        self.user = user;
        self
    }

    /// Sets shell commands that root of the container runs before the doctor starts as the user of a job.
    pub(crate) fn setup(mut self, commands: &str) -> Self {
        self.setup = Some(commands.to_owned());
        self
    }

    /// Uses podman's own seccomp profile.
    pub(crate) fn default_seccomp(mut self) -> Self {
        self.seccomp = None;
        self
    }

    /// Uses the project's profile, but refuses one system call.
    pub(crate) fn refuse(self, call: &str) -> Self {
        self.filter(call, r#""action": "SCMP_ACT_ERRNO", "errnoRet": 1"#)
    }

    /// Uses the project's profile with another rule for one system call.
    pub(crate) fn filter(self, call: &str, rule: &str) -> Self {
        self.filters(call, &[rule])
    }

    /// Uses several rules for one system call, each for other arguments.
    pub(crate) fn filters(mut self, call: &str, rules_of_it: &[&str]) -> Self {
        let text = std::fs::read_to_string(root().join("k8s/seccomp/buildah.json")).unwrap();
        let mut profile: Value = serde_json::from_str(&text).unwrap();
        let rules = profile["syscalls"].as_array_mut().unwrap();
        for rule in rules.iter_mut() {
            let names = rule["names"].as_array_mut().unwrap();
            names.retain(|name| name != call);
        }
        rules.retain(|rule| !rule["names"].as_array().unwrap().is_empty());
        for rule in rules_of_it {
            let rule = format!(r#"{{"names": ["{call}"], {rule}}}"#);
            rules.push(serde_json::from_str(&rule).unwrap());
        }
        let path = self.directory.path().join("seccomp.json");
        std::fs::write(&path, profile.to_string()).unwrap();
        self.seccomp = Some(path);
        self
    }

    /// Adds a file with this content at the path `at` of the container.
    pub(crate) fn file(self, at: &str, content: &str) -> Self {
        let path = self.directory.path().join(at.replace('/', "_"));
        std::fs::write(&path, content).unwrap();
        let flag = format!("--volume={}:{at}:ro", path.display());
        self.flags(&[&flag])
    }

    /// Applies a remedy as its text has it: the line for podman, or the first line of a Containerfile.
    pub(crate) fn with_remedy(mut self, remedy: &str, volume: &str) -> Self {
        let mut lines = remedy.lines();
        if let Some(line) = lines.find_map(|line| line.strip_prefix("  RUN ")) {
            let broken = self.setup.unwrap_or_default();
            self.setup = Some(format!("{broken}; {line}"));
            return self;
        }
        let mut lines = remedy.lines();
        let line = lines.find_map(|line| line.strip_prefix("With podman: "));
        let line = line.unwrap_or_else(|| panic!("no line for podman in: {remedy}"));
        if let Some(flag) = line.strip_prefix("leave out ") {
            let flag = flag.replacen(' ', "=", 1);
            self.flags.retain(|known| *known != flag);
            return self;
        }
        for flag in line.replace("NAME:", &format!("{volume}:")).split(" --") {
            let flag = format!("--{}", flag.trim_start_matches("--"));
            self.apply(&flag.replacen(' ', "=", 1));
        }
        self
    }

    /// Adds a flag and removes flags that set the same.
    fn apply(&mut self, flag: &str) {
        let (option, value) = flag.split_once('=').unwrap();
        match option {
            "--cap-drop" => self.capabilities = vec![flag.to_owned()],
            "--cap-add" => self.capabilities.push(flag.to_owned()),
            "--security-opt" => {
                let profile = value.strip_prefix("seccomp=").unwrap();
                self.seccomp = Some(root().join(profile));
            }
            _ if value.contains(":/workspace") => self.workspace = Some(flag.to_owned()),
            _ if value.contains("/run/supervisor") => self.runtime = Some(flag.to_owned()),
            _ => {
                // There is one --ulimit for each limit.
                let limit = value.split_once('=').map_or("", |(name, _)| name);
                let same = format!("{option}={limit}");
                self.flags.retain(|known| !known.starts_with(&same));
                self.flags.push(flag.to_owned());
            }
        }
    }

    /// Runs the supervisor in this state.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let binary = format!(
            "--volume={}:/usr/local/bin/supervisor:ro",
            supervisor().display()
        );
        let image = single_image();
        let mut command = podman_command();
        command
            .args(["run", "--rm", "--env", "LANG=C.UTF-8"])
            .args(security_flags())
            .arg(&binary);
        command.args(
            self.workspace
                .iter()
                .chain(&self.runtime)
                .chain(&self.flags),
        );
        for limit in ["nofile", "nproc"] {
            if !self.flags.iter().any(|flag| flag.contains(limit)) {
                command.arg(format!("--ulimit={limit}=1024:1024"));
            }
        }
        if let Some(profile) = &self.seccomp {
            command.arg(format!("--security-opt=seccomp={}", profile.display()));
        }
        match &self.setup {
            None => {
                command
                    .args(&self.capabilities)
                    .args(["--user", self.user, &image]);
            }
            Some(setup) => {
                // The entry point is a shell that becomes the supervisor, as PID 1 too.
                command.args(["--user=0", "--cap-add=all", "--entrypoint=bash", &image]);
                command.args([
                    "-c",
                    &format!("set -e; chown 1000:1000 /run/supervisor /workspace; {setup}\nexec {DROP} supervisor \"$@\""),
                    "bash",
                ]);
            }
        }
        // If the kernel kills a container for its memory, conmon writes a file into the working directory.
        command.args(arguments).current_dir(self.directory.path());
        command.output().unwrap()
    }

    /// Runs the doctor and returns its JSON.
    pub(crate) fn doctor(&self, arguments: &[&str]) -> DoctorResult {
        let mut all = vec!["doctor", "--json"];
        all.extend(arguments);
        let output = self.run(&all);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "{error}: {}\n{stderr}",
                String::from_utf8_lossy(&output.stdout)
            )
        });
        DoctorResult {
            report,
            code: output.status.code(),
        }
    }

    /// Runs a job that builds an image of two steps, without preflight. The image has a file of another user: Buildah can
    /// fall back to a single id without failing, and only such a file shows it.
    ///
    /// Returns the storage driver of the run, or its log.
    pub(crate) fn builds(&self) -> Result<String, String> {
        let script = r#"mkdir context && cp /usr/local/bin/supervisor context/program &&
            printf 'FROM scratch\nCOPY --chown=1:1 program /program\nRUN ["/program", "--version"]\n' >context/Containerfile &&
            buildah build --no-cache context"#;
        let output = self.run(&[
            "run",
            "--no-preflight",
            "--flavor",
            "exec",
            "--",
            "bash",
            "-c",
            script,
        ]);
        if output.status.success() {
            let stdout = String::from_utf8_lossy(&output.stdout);
            let report: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
            return Ok(report["storage_driver"].as_str().unwrap().to_owned());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The doctor's report and exit code.
pub(crate) struct DoctorResult {
    pub(crate) report: Value,
    pub(crate) code: Option<i32>,
}

impl DoctorResult {
    pub(crate) fn check(&self, id: &str) -> &Value {
        let checks = self.report["checks"].as_array().unwrap();
        let found = checks.iter().find(|check| check["id"] == id);
        found.unwrap_or_else(|| panic!("no {id} in {:#}", self.report))
    }

    /// Asserts a check's status and finding, a text in its remedy, and the exit code that follows from all checks.
    pub(crate) fn assert(&self, id: &str, expected: &str, remedy: &str) {
        let check = self.check(id);
        let text = |part: &str| check[part].as_str().unwrap_or_default().to_owned();
        let found = format!("{} {}", text("status"), text("case"));
        assert_eq!(found.trim(), expected, "{id}: {check:#}");
        assert!(text("cure").contains(remedy), "{id}: {remedy} in {check:#}");
        if matches!(&*text("status"), "warn" | "fail") {
            for part in ["found", "means", "cure"] {
                assert!(!text(part).is_empty(), "{id} has no {part}: {check:#}");
            }
        }
        let mut checks = self.report["checks"].as_array().unwrap().iter();
        let fails = checks.any(|check| check["status"] == "fail");
        let code = if fails { 70 } else { 0 };
        assert_eq!(self.code, Some(code), "{:#}", self.report);
    }
}

/// Whether a directory is empty.
pub(crate) fn is_empty(path: &Path) -> bool {
    std::fs::read_dir(path).unwrap().next().is_none()
}
