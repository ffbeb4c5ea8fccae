//! One case: the service, the supervisor as PID 1 with the fake as its runner, and signals at their time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Condvar, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How many cases run at a time, whatever test they are of: they mostly wait.
const AT_ONCE: usize = 6;

/// How many run now.
static TAKEN: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// The directory of the fake's sources, its service and its trial.
pub(crate) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fakes/github-runner")
}

/// What all cases of this program share: the fake and the supervisor, where user 1000 reaches them.
pub(crate) struct Built(TempDir);

impl Built {
    pub(crate) fn get() -> &'static Self {
        static BUILT: OnceLock<Built> = OnceLock::new();
        BUILT.get_or_init(|| {
            assert!(
                nix::unistd::getuid().is_root(),
                "these tests make PID namespaces and change users: run them as root"
            );
            let directory = tempfile::tempdir().unwrap();
            open(directory.path());
            let built = Command::new(sources().join("dryrun/build.sh"))
                .arg(directory.path())
                .output()
                .expect("bash and gcc");
            let said = String::from_utf8_lossy(&built.stderr).into_owned();
            assert!(built.status.success(), "{said}");
            let supervisor = directory.path().join("supervisor");
            fs::copy(env!("CARGO_BIN_EXE_supervisor"), supervisor).unwrap();
            Self(directory)
        })
    }

    pub(crate) fn runner(&self) -> PathBuf {
        self.0.path().join("runner")
    }

    pub(crate) fn supervisor(&self) -> PathBuf {
        self.0.path().join("supervisor")
    }
}

fn open(directory: &Path) {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
}

/// For scripts of steps and hooks: from here on they are as a test wants them, and `running` is the time of it.
pub(crate) const RUNNING: &str = "touch \"$RUNNER_PERFLOG/running\"";

/// A step that runs this script if the job went well so far.
pub(crate) fn step(name: &str, script: &str) -> Value {
    json!({"name": name, "run": script})
}

/// A step with a condition.
pub(crate) fn step_if(name: &str, condition: &str, script: &str) -> Value {
    json!({"name": name, "if": condition, "run": script})
}

/// A step, and after it one for each condition.
pub(crate) fn long(script: &str) -> Vec<Value> {
    vec![
        step("Long", script),
        step("Plain", "echo plain"),
        step_if("Always", "always()", "echo always; sleep 0.2"),
        step_if("Failure", "failure()", "echo failure"),
        step_if("Cancelled", "cancelled()", "echo cancelled"),
    ]
}

/// One case to run.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) steps: Vec<Value>,
    pub(crate) settings: Vec<String>,
    pub(crate) signals: &'static str,
    service: Vec<&'static str>,
    speed: u32,
    hook_completed: Option<String>,
    hook_started: Option<String>,
    check: fn(&Seen),
}

impl Case {
    pub(crate) fn new(name: &'static str, steps: Vec<Value>, check: fn(&Seen)) -> Self {
        Self {
            name,
            steps,
            settings: Vec::new(),
            signals: "TERM@running+0.2",
            service: Vec::new(),
            speed: 1,
            hook_completed: None,
            hook_started: None,
            check,
        }
    }

    /// Settings of the supervisor, `KEY=VALUE` with blanks between.
    pub(crate) fn set(mut self, settings: &str) -> Self {
        self.settings
            .extend(settings.split_whitespace().map(str::to_owned));
        self
    }

    /// Signals to the supervisor or others, as trial.sh takes them.
    pub(crate) fn signals(mut self, signals: &'static str) -> Self {
        self.signals = signals;
        self
    }

    /// Options of the service.
    pub(crate) fn service(mut self, options: &'static str) -> Self {
        self.service = options.split_whitespace().collect();
        self
    }

    /// Divides the fake's waiting times.
    pub(crate) fn speed(mut self, speed: u32) -> Self {
        self.speed = speed;
        self
    }

    pub(crate) fn hook_started(mut self, script: &str) -> Self {
        self.hook_started = Some(script.to_owned());
        self
    }

    pub(crate) fn hook_completed(mut self, script: &str) -> Self {
        self.hook_completed = Some(script.to_owned());
        self
    }

    fn run(&self) -> Seen {
        let results = tempfile::tempdir().unwrap();
        open(results.path());
        let file = |name: &str, text: &str| {
            let path = results.path().join(name);
            fs::write(&path, text).unwrap();
            open(&path);
            path.to_string_lossy().into_owned()
        };
        let steps = file("steps.json", &json!(self.steps).to_string());
        let mut settings = self.settings.clone();
        for (key, hook) in [
            ("STARTED", &self.hook_started),
            ("COMPLETED", &self.hook_completed),
        ] {
            if let Some(script) = hook {
                let path = file(&format!("{}.sh", key.to_lowercase()), script);
                settings.push(format!("GITHUB__HOOK_{key}={path}"));
            }
        }
        let trial = Command::new(sources().join("trial.sh"))
            .args(["case", "--job-steps", &steps, "--once"])
            .args(&self.service)
            .arg("--")
            .args(&settings)
            .env("SUPERVISOR", Built::get().supervisor())
            .env("RUNNER", Built::get().runner())
            .env("RESULTS", results.path())
            .env("SIGNALS", self.signals)
            .env("LIMIT", "240")
            .env("RUNNER_ENV", format!("DOUBLE_SPEED=\"{}\"", self.speed))
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&trial.stdout).into_owned()
            + &String::from_utf8_lossy(&trial.stderr);
        Seen::read(&results.path().join("case"), output)
    }
}

/// Waits until one more case may run, and runs it.
fn in_turn<T>(work: impl FnOnce() -> T) -> T {
    let running = TAKEN.lock().unwrap();
    let mut running = (ENDED.wait_while(running, |running| *running >= AT_ONCE)).unwrap();
    *running += 1;
    drop(running);
    let done = work();
    *TAKEN.lock().unwrap() -= 1;
    ENDED.notify_one();
    done
}

/// Runs all cases, several at a time, and checks each.
pub(crate) fn run(cases: &[Case]) {
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for case in cases {
            let failed = &failed;
            scope.spawn(move || {
                let seen = in_turn(|| case.run());
                let checked = std::panic::catch_unwind(|| (case.check)(&seen));
                if checked.is_err() {
                    failed.lock().unwrap().push(case.name);
                    eprintln!("{}:\n{}\n{}", case.name, seen.output, seen.stderr);
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{failed:?}");
}

/// The observations of one case.
pub(crate) struct Seen {
    pub(crate) code: i32,
    pub(crate) report: Value,
    /// The job as GitHub received it.
    pub(crate) github: Value,
    pub(crate) stderr: String,
    /// The output of the steps.
    pub(crate) log: String,
    /// The summaries on the job's page.
    pub(crate) summary: String,
    left: Vec<PathBuf>,
    /// The output of `trial.sh`.
    output: String,
}

impl Seen {
    fn read(out: &Path, output: String) -> Self {
        let text = |name: &str| fs::read_to_string(out.join(name)).unwrap_or_default();
        let value = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
        let entries = |name: &str| {
            let entries = fs::read_dir(out.join(name)).into_iter().flatten();
            entries.map(|entry| entry.unwrap().path())
        };
        let blobs = |kind: &'static str| {
            let is_kind = move |path: &PathBuf| path.to_string_lossy().contains(kind);
            let found = entries("service/blobs").filter(is_kind);
            found
                .map(|path| fs::read_to_string(path).unwrap())
                .collect::<String>()
        };
        Self {
            code: text("code").trim().parse().unwrap_or(-1),
            report: value(text("report/report.json").trim()),
            github: value(&text("service/summary.json"))["job"].clone(),
            stderr: text("stderr"),
            log: blobs("/job-log-"),
            summary: blobs("/step-summary-"),
            left: entries("ws").collect(),
            output,
        }
    }

    /// The conclusion of a step that GitHub received.
    pub(crate) fn step(&self, name: &str) -> &str {
        let steps = self.github["steps"].as_array().unwrap();
        let found = steps.iter().find(|step| step["name"] == name);
        found.map_or("", |step| step["conclusion"].as_str().unwrap_or_default())
    }

    pub(crate) fn assert_steps(&self, expected: &[(&str, &str)]) {
        for (name, conclusion) in expected {
            assert_eq!(self.step(name), *conclusion, "{name}");
        }
    }

    /// The time of the supervisor's first log line that contains the text.
    pub(crate) fn at(&self, text: &str) -> Option<SystemTime> {
        let line = self
            .stderr
            .lines()
            .find(|line| line.starts_with('{') && line.contains(text))?;
        let line: Value = serde_json::from_str(line).unwrap();
        Some(humantime::parse_rfc3339(line["timestamp"].as_str().unwrap()).unwrap())
    }

    /// Checks that the supervisor's log has lines with these texts in this order.
    pub(crate) fn assert_order(&self, texts: &[&str]) {
        let at: Vec<SystemTime> = texts
            .iter()
            .map(|text| self.at(text).unwrap_or_else(|| panic!("no line: {text}")))
            .collect();
        assert!(at.is_sorted(), "{texts:?}");
    }

    /// Checks that GitHub and the report have the job as failed, and that the wipe was done within the grace period.
    pub(crate) fn assert_failed(&self, ended_by: &str, period: Duration) {
        assert_eq!(self.github["state"], "completed");
        assert_eq!(self.github["conclusion"], "failed");
        assert_eq!(self.report["job"]["result"], "failed");
        assert_eq!(self.report["job"]["ended_by"], ended_by);
        assert_eq!(self.report["reason"], ended_by);
        assert_eq!(self.report["registration"], "used");
        assert_eq!(self.code, 143);
        assert_eq!(self.report["wiped"]["leftover_count"], 0);
        assert!(self.left.is_empty(), "{:?}", self.left);
        if let Some(asked) = self.at("asked to end") {
            let ended = self.at("\"wiped\"").unwrap();
            assert!(ended.duration_since(asked).unwrap() < period);
        }
    }

    /// Checks that the runner got no signal: its job ended as if one of its steps had failed.
    pub(crate) fn assert_uninterrupted(&self) {
        assert!(!self.stderr.contains("phase 4"));
        assert_eq!(self.report["runner"]["exit_code"], 102);
        assert_eq!(self.step("Complete runner"), "succeeded");
        assert!(self.report["job"]["completed_at"].is_string());
    }
}
