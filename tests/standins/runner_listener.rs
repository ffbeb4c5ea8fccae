//! A stand-in for GitHub's Runner.Listener, with its published contract and without GitHub. Each rule names its source file in
//! github.com/actions/runner (2.336). It is compiled, as GitHub's is: only a compiled program can be execute-only, and its
//! `/proc/PID/environ` stays as it was at the start.
//!
//! GitHub itself is a directory, `$STANDIN_GITHUB`:
//!   registration-token, remove-token   the tokens that it accepts
//!   exit-codes                         a line for each `run`: it ends with that code before it requests a job
//!   hang                               `configure` waits while the file exists
//!   job.sh                             the job's one step; `run` waits until it exists
//!   job-in-that-moment                 a job is accepted although the end was requested
//!   report-hangs                       the worker reports the result only after it is removed
//!   listener-hangs                     the listener stays after its job, until a signal
//!   registered                         written by configure, removed by remove and with an ephemeral runner's job
//!   log                                one line for each event
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, exit};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use serde_json::{Value, json};

// Constants.cs, ReturnCode.
const SUCCESS: i32 = 0;
const TERMINATED: i32 = 1;
const RETRYABLE: i32 = 2;

/// Files of the root, ConfigurationStore.cs.
const SETTINGS: &str = ".runner";
const CREDENTIALS: &str = ".credentials";
const KEY: &str = ".credentials_rsaparams";

fn github(name: &str) -> PathBuf {
    PathBuf::from(std::env::var("STANDIN_GITHUB").expect("STANDIN_GITHUB")).join(name)
}

fn note(text: &str) {
    let mut options = fs::OpenOptions::new();
    let mut log = options
        .append(true)
        .create(true)
        .open(github("log"))
        .unwrap();
    writeln!(log, "{text}").unwrap();
}

fn says(name: &str) -> String {
    fs::read_to_string(github(name)).unwrap_or_default()
}

/// HostContext.cs, GetDirectory(Root): the parent of the directory that holds the program, links resolved.
fn root() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.parent().unwrap().parent().unwrap().to_owned()
}

/// Program.cs: HostContext opens its log in _diag before anything else, and IOUtil.ValidateExecutePermission lists the root
/// and each directory above it.
fn open(root: &Path) {
    let diag = root.join("_diag");
    let log = fs::create_dir_all(&diag)
        .and_then(|()| fs::write(diag.join("Runner_standin.log"), "started\n"));
    if log.is_err() {
        exit(RETRYABLE);
    }
    for directory in root.ancestors() {
        if fs::read_dir(directory).is_err() {
            eprintln!(
                "An error occurred: Permission to read the directory contents is required for '{}'",
                root.display()
            );
            exit(TERMINATED);
        }
    }
}

/// The environment as managed code sees and hands it on; the process's own block stays as it is.
type Environment = BTreeMap<String, String>;

/// Program.cs, LoadAndSetEnv: variables from .env in the root.
fn environment(root: &Path) -> Environment {
    let mut environment: Environment = std::env::vars().collect();
    let file = fs::read_to_string(root.join(".env")).unwrap_or_default();
    for (name, value) in file.lines().filter_map(|line| line.split_once('=')) {
        environment.insert(name.to_owned(), value.to_owned());
    }
    environment
}

/// CommandLineParser.cs: commands, then `--name value` and `--flag`; what begins with one dash is no value.
#[derive(Default)]
struct CommandLine {
    command: String,
    values: BTreeMap<String, String>,
    flags: Vec<String>,
}

/// CommandSettings.cs, validOptions.
const KNOWN: [&str; 17] = [
    "auth",
    "labels",
    "name",
    "runnergroup",
    "token",
    "url",
    "work",
    "disableupdate",
    "ephemeral",
    "replace",
    "unattended",
    "no-default-labels",
    "local",
    "once",
    "jitconfig",
    "startuptype",
    "pat",
];

impl CommandLine {
    fn parse() -> Self {
        let mut parsed = Self::default();
        let mut scope: Option<String> = None;
        for argument in std::env::args().skip(1) {
            if let Some(name) = argument.strip_prefix("--").filter(|name| !name.is_empty()) {
                parsed.flags.extend(scope.replace(name.to_owned()));
            } else if argument.starts_with('-') {
                // "Ignoring arg"
            } else if let Some(name) = scope.take() {
                parsed.values.entry(name).or_insert(argument);
            } else {
                parsed.command = argument;
            }
        }
        parsed.flags.extend(scope);
        parsed
    }

    /// CommandSettings.cs: arguments first, then ACTIONS_RUNNER_INPUT_NAME, trimmed, names in any case. All of those leave
    /// the environment, the empty ones too.
    fn take_inputs(&mut self, environment: &mut Environment) {
        const PREFIX: &str = "ACTIONS_RUNNER_INPUT_";
        environment.retain(|name, value| {
            if !name.to_uppercase().starts_with(PREFIX) {
                return true;
            }
            let input = name[PREFIX.len()..].to_lowercase();
            let value = value.trim();
            if !value.is_empty() {
                self.values.entry(input).or_insert(value.to_owned());
            }
            false
        });
    }

    /// An unknown argument is an error message, and no more.
    fn check(&self) {
        for name in self.values.keys().chain(&self.flags) {
            if !KNOWN.contains(&name.as_str()) {
                let command = &self.command;
                eprintln!(
                    "Unrecognized command-line input arguments for command {command}: '{name}'"
                );
            }
        }
    }

    fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    fn flag(&self, name: &str) -> bool {
        self.flags.iter().any(|flag| flag == name)
    }
}

/// Runner.cs: CtrlCHandler for SIGINT and Runner_Unloading for SIGTERM.
struct Signals(SignalFd);

impl Signals {
    fn handle(handled: &[Signal]) -> Self {
        let set: SigSet = handled.iter().copied().collect();
        set.thread_block().unwrap();
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Self(SignalFd::with_flags(&set, flags).unwrap())
    }

    /// Waits a moment for one.
    fn wait(&self) -> Option<Signal> {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(20u8)).unwrap();
        let read = self.0.read_signal().unwrap()?;
        Signal::try_from(read.ssi_signo as i32).ok()
    }
}

struct Runner {
    root: PathBuf,
    line: CommandLine,
    environment: Environment,
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

    /// ConfigurationManager.cs, ConfigureAsync. Runner.cs, CtrlCHandler: while it configures, Ctrl-C ends it with
    /// "terminated"; SIGTERM does as .NET has it.
    fn configure(&self) -> i32 {
        let signals = Signals::handle(&[Signal::SIGINT]);
        let line = &self.line;
        if self.has(SETTINGS) {
            eprintln!("Cannot configure the runner because it is already configured.");
            return TERMINATED;
        }
        // PromptManager.cs: without --unattended it prompts, and a missing answer ends it.
        if !line.flag("unattended") || line.value("url").is_empty() {
            eprintln!(
                "Invalid configuration provided for url. Terminating unattended configuration."
            );
            return TERMINATED;
        }
        while github("hang").exists() {
            if signals.wait().is_some() {
                println!("Exiting...");
                return TERMINATED;
            }
        }
        // The token is traded at GitHub for a credential.
        if line.value("token") != says("registration-token") {
            eprintln!(
                "Http response code: NotFound from 'POST https://api.github.com/actions/runner-registration'"
            );
            return TERMINATED;
        }
        let (name, labels) = (line.value("name"), line.value("labels"));
        // GetRunnerNameOrPrompt: unattended, a name that is not given is the machine's.
        let name = if name.is_empty() { "machine" } else { name };
        // CreateNewAgent
        if line.flag("no-default-labels") && labels.is_empty() {
            eprintln!(
                "Disabling default labels via --no-default-labels without specifying --labels is not supported"
            );
            return TERMINATED;
        }
        if github("registered").exists() && !line.flag("replace") {
            eprintln!("A runner exists with the same name {name}.");
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
        let credentials = json!({"scheme": "OAuth", "data": {"clientId": "standin"}});
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
    fn remove(&self) -> i32 {
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

    fn run(&self) -> i32 {
        if !self.line.value("jitconfig").is_empty() && self.write_jit_configuration().is_none() {
            eprintln!("The input is not a valid Base-64 string");
            return TERMINATED;
        }
        if !self.has(SETTINGS) {
            eprintln!("Runner is not configured.");
            return TERMINATED;
        }
        let signals = Signals::handle(&[Signal::SIGINT, Signal::SIGTERM]);
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
            .env("STANDIN_WORK", work)
            .env("STANDIN_SHUTDOWN", shutdown_file);
        // As .NET does it: the mask of a child is the default one.
        let blocked = SigSet::thread_get_mask().unwrap();
        SigSet::empty().thread_set_mask().unwrap();
        let worker = command.spawn().unwrap();
        blocked.thread_set_mask().unwrap();
        worker
    }
}

/// Whether the end was asked for in this moment.
fn received(signals: &Signals) -> Option<Signal> {
    let signal = signals.wait()?;
    note(&format!("listener: {signal}"));
    println!("Exiting...");
    Some(signal)
}

/// Program.cs: after Ctrl-C the runner ends with success; .NET itself ends with 143 after SIGTERM.
fn ended(shutdown: Option<Signal>) -> i32 {
    match shutdown {
        Some(Signal::SIGTERM) => 143,
        _ => SUCCESS,
    }
}

fn main() {
    let root = root();
    let mut environment = environment(&root);
    open(&root);
    let mut line = CommandLine::parse();
    line.take_inputs(&mut environment);
    let names: Vec<&str> = line.values.keys().map(String::as_str).collect();
    note(&format!("argv: {} {}", line.command, names.join(" ")));
    line.check();
    let runner = Runner {
        root,
        line,
        environment,
    };
    let code = match runner.line.command.as_str() {
        "configure" => runner.configure(),
        "remove" => runner.remove(),
        "run" => runner.run(),
        _ => {
            println!("Commands: configure, remove, run");
            SUCCESS
        }
    };
    exit(code);
}
