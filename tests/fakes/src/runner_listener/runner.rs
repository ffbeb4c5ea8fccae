//! The commands of the listener: configure, remove and run.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, exit};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::{SigSet, Signal};
use serde_json::{Value, json};

use super::command_line::{CommandLine, Environment};
use super::directory::{github, note, says};
use super::exit_code::{RETRYABLE, SUCCESS, TERMINATED};
use super::signals::{Signals, ended, received};

/// Files of the root, ConfigurationStore.cs.
const SETTINGS: &str = ".runner";
const CREDENTIALS: &str = ".credentials";
const KEY: &str = ".credentials_rsaparams";

/// The socket that .NET's runtime makes at its start, by which a debugger of the same user speaks to it.
fn diagnostic_port() -> UnixListener {
    let name = format!("dotnet-diagnostic-{}-600-socket", std::process::id());
    note(&format!("diagnostic port: {name}"));
    UnixListener::bind(std::env::temp_dir().join(name)).unwrap()
}

pub(super) struct Runner {
    pub(super) root: PathBuf,
    pub(super) line: CommandLine,
    pub(super) environment: Environment,
}

impl Runner {
    /// ConfigurationStore.cs, IsConfigured and HasCredentials.
    fn has(&self, file: &str) -> bool {
        fs::metadata(self.root.join(file)).is_ok_and(|found| found.len() > 0)
    }

    /// ConfigurationManager.cs, DeleteLocalRunnerConfig: credentials and their key, then the settings.
    fn delete_local_configuration(&self) {
        for file in [CREDENTIALS, KEY, SETTINGS] {
            if fs::remove_file(self.root.join(file)).is_err() {
                exit(RETRYABLE);
            }
        }
    }

    /// The error of a configuration that fails before a request to GitHub.
    fn invalid_arguments(&self) -> Option<&'static str> {
        if self.has(SETTINGS) {
            return Some("Cannot configure the runner because it is already configured.");
        }
        // PromptManager.cs: without --unattended it prompts, and a missing answer ends it.
        (!self.line.flag("unattended") || self.line.value("url").is_empty()).then_some(
            "Invalid configuration provided for url. Terminating unattended configuration.",
        )
    }

    /// The error of a registration that GitHub or CreateNewAgent rejects.
    fn registration_error(&self, name: &str) -> Option<String> {
        let line = &self.line;
        // The token is traded at GitHub for a credential.
        if line.value("token") != says("registration-token") {
            return Some(
                "Http response code: NotFound from 'POST https://api.github.com/actions/runner-registration'"
                    .to_owned(),
            );
        }
        // CreateNewAgent
        if line.flag("no-default-labels") && line.value("labels").is_empty() {
            return Some(
                "Disabling default labels via --no-default-labels without specifying --labels is not supported"
                    .to_owned(),
            );
        }
        (github("registered").exists() && !line.flag("replace"))
            .then(|| format!("A runner exists with the same name {name}."))
    }

    /// ConfigurationManager.cs, ConfigureAsync. Runner.cs, CtrlCHandler: while it configures, Ctrl-C ends it with
    /// "terminated"; SIGTERM does as .NET has it.
    pub(super) fn configure(&self) -> i32 {
        let signals = Signals::handle(&[Signal::SIGINT]);
        if let Some(message) = self.invalid_arguments() {
            eprintln!("{message}");
            return TERMINATED;
        }
        while github("hang").exists() {
            if signals.wait().is_some() {
                println!("Exiting...");
                return TERMINATED;
            }
        }
        let line = &self.line;
        let (name, labels) = (line.value("name"), line.value("labels"));
        // GetRunnerNameOrPrompt: unattended, a name that is not given is the machine's.
        let name = if name.is_empty() { "machine" } else { name };
        if let Some(message) = self.registration_error(name) {
            eprintln!("{message}");
            return TERMINATED;
        }
        let work = Some(line.value("work")).filter(|work| !work.is_empty());
        let settings = json!({
            "agentName": name,
            "workFolder": work.unwrap_or("_work"),
            "gitHubUrl": line.value("url"),
            "ephemeral": line.flag("ephemeral"),
            "disableUpdate": line.flag("disableupdate"),
        });
        let credentials = json!({"scheme": "OAuth", "data": {"clientId": "fake"}});
        for (file, content) in [
            (SETTINGS, settings),
            (CREDENTIALS, credentials),
            (KEY, json!({"d": "private"})),
        ] {
            fs::write(self.root.join(file), content.to_string()).unwrap();
        }
        let mut flags = line.flags.clone();
        flags.sort();
        note(&format!(
            "registered: name={name} labels={labels} group={} url={} flags={} ",
            line.value("runnergroup"),
            line.value("url"),
            flags.join(" ")
        ));
        fs::write(github("registered"), "").unwrap();
        SUCCESS
    }

    /// ConfigurationManager.cs, UnconfigureAsync: off GitHub's list with a remove token, then the local files.
    pub(super) fn remove(&self) -> i32 {
        if !self.has(SETTINGS) || !self.has(CREDENTIALS) {
            println!(
                "Cannot connect to server, because config files are missing. Skipping removing runner from the server."
            );
        } else if self.line.value("token") != says("remove-token") {
            eprintln!("Failed: Removing runner from the server");
            return TERMINATED;
        } else {
            let _ = fs::remove_file(github("registered"));
            note("removed");
            self.delete_local_configuration();
        }
        SUCCESS
    }

    /// Runner.cs: a JIT configuration is base64 of a JSON object; each key is a file in the root, its value that file in
    /// base64.
    fn write_jit_configuration(&self) -> Option<()> {
        let decoded = STANDARD.decode(self.line.value("jitconfig")).ok()?;
        let files: BTreeMap<String, String> = serde_json::from_slice(&decoded).ok()?;
        for (name, content) in files {
            fs::write(self.root.join(name), STANDARD.decode(content).ok()?).ok()?;
        }
        Some(())
    }

    /// A key of .runner, in either case.
    fn setting(&self, name: &str) -> Value {
        let text = fs::read(self.root.join(SETTINGS)).unwrap();
        let settings: BTreeMap<String, Value> = serde_json::from_slice(&text).unwrap();
        let found = settings
            .into_iter()
            .find(|(key, _)| key.to_lowercase() == name);
        found.map_or(Value::Null, |(_, value)| value)
    }

    fn variable(&self, name: &str) -> &str {
        self.environment.get(name).map_or("", String::as_str)
    }

    pub(super) fn run(&self) -> i32 {
        if !self.line.value("jitconfig").is_empty() && self.write_jit_configuration().is_none() {
            eprintln!("The input is not a valid Base-64 string");
            return TERMINATED;
        }
        if !self.has(SETTINGS) {
            eprintln!("Runner is not configured.");
            return TERMINATED;
        }
        let signals = Signals::handle(&[Signal::SIGINT, Signal::SIGTERM]);
        let _port = diagnostic_port();
        // HostContext.cs, GetDirectory(Work): relative to the root, or absolute.
        let work = self
            .root
            .join(self.setting("workfolder").as_str().unwrap_or("_work"));
        if fs::create_dir_all(&work).is_err() {
            return TERMINATED;
        }
        if let Some(code) = self.session() {
            return code;
        }
        println!("Current runner version: '2.336.0'");
        println!("Listening for Jobs");
        note(&format!("listening: work={}", work.display()));
        let mut shutdown = None;
        while !github("job.sh").exists() && shutdown.is_none() {
            shutdown = received(&signals);
        }
        // actions/runner#2582: a job that GitHub hands out in the moment of the signal is taken all the same.
        if shutdown.is_some() && !github("job-in-that-moment").exists() {
            note("session deleted");
            return ended(shutdown);
        }
        self.work_on_job(&work, &signals, shutdown)
    }

    /// Runner.cs, RunAsync: what ends a session before it asks for jobs. The first line is this start's.
    fn session(&self) -> Option<i32> {
        let codes = says("exit-codes");
        let (first, rest) = codes.split_once('\n')?;
        fs::write(github("exit-codes"), rest).unwrap();
        let mut code = first.parse().unwrap();
        // Program.cs, GetRunnerVersionDeprecatedExitCode: 7 only for who asked for it, else 1.
        if code == 7 && self.variable("ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE") != "1" {
            code = TERMINATED;
        }
        note(&format!("exit: {code}"));
        Some(code)
    }

    /// JobDispatcher.cs: the worker is a separate process that gets messages through pipes, and no signals. A shutdown sends it
    /// a message to end the job, and waits for it. The effect of a second signal, and the reports, are those of 2.336.0
    /// (docs/github.md, "Drain, last words, timeout").
    fn work_on_job(&self, work: &Path, signals: &Signals, mut shutdown: Option<Signal>) -> i32 {
        note("job received");
        let shutdown_file = self.root.join("_diag/shutdown");
        let mut worker = self.start_worker(work, &shutdown_file);
        let status = loop {
            if shutdown.is_some() && !shutdown_file.exists() {
                fs::write(&shutdown_file, "").unwrap();
            }
            if let Some(status) = worker.try_wait().unwrap() {
                break status;
            }
            match received(signals) {
                // .NET's own answer, once the runner is shutting down.
                Some(Signal::SIGTERM) if shutdown.is_some() => {
                    note("listener: ends at once");
                    return 143;
                }
                other => shutdown = other.or(shutdown),
            }
        };
        // The listener reports for a worker that crashed, unless the runner is shutting down.
        let result = status.code().filter(|code| *code >= 100);
        if result.is_none() && shutdown.is_none() {
            note("reported: failed, by the listener");
        }
        let code = result.unwrap_or(102);
        println!("Job build completed with result: {code}");
        note(&format!("job completed: {code}"));
        while github("listener-hangs").exists() {
            if received(signals).is_some() {
                return SUCCESS;
            }
        }
        // Runner.cs: an ephemeral runner is off GitHub's list with its job, and its local files go too. After a shutdown they
        // stay. Newtonsoft.Json: the service writes "True", the runner true.
        if [json!(true), json!("True")].contains(&self.setting("ephemeral")) {
            let _ = fs::remove_file(github("registered"));
            if shutdown.is_none() {
                self.delete_local_configuration();
            }
        }
        // Runner.cs, returnRunOnceJobResult: TaskResultUtil's code of the job's result for who asked for it, else success.
        let result = self.variable("ACTIONS_RUNNER_RETURN_JOB_RESULT_FOR_HOSTED");
        if ["1", "true"].contains(&result) && shutdown.is_none() {
            return code;
        }
        ended(shutdown)
    }

    fn start_worker(&self, work: &Path, shutdown_file: &Path) -> Child {
        let mut command = Command::new(self.root.join("bin/Runner.Worker"));
        command
            .args(["spawnclient", "1", "2"])
            .env_clear()
            .envs(&self.environment)
            .env("FAKE_WORK", work)
            .env("FAKE_SHUTDOWN", shutdown_file);
        // As .NET does it: the mask of a child is the default one.
        let blocked = SigSet::thread_get_mask().unwrap();
        SigSet::empty().thread_set_mask().unwrap();
        let worker = command.spawn().unwrap();
        blocked.thread_set_mask().unwrap();
        worker
    }
}
