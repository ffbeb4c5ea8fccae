//! A job and its builder that stay, for tests that try many things in one pod.

use std::process::{Command, Output};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tempfile::TempDir;

use crate::{Job, Running, podman};

/// Two containers, started as `scripts/runme_local.sh` starts them.
pub struct Pod {
    running: Option<Running>,
    name: String,
    _secrets: TempDir,
}

/// What a command in a container did.
#[derive(Debug)]
pub struct Done {
    /// Its exit code.
    pub code: i32,
    /// All that it said, stdout before stderr.
    pub said: String,
}

impl Pod {
    /// The pod that all tests of a program share; it is gone when the last of them is done with it.
    #[must_use]
    pub fn shared(builder: &[&str], credentials: &str) -> Arc<Self> {
        static SHARED: Mutex<Weak<Pod>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let pod = Arc::new(Self::start(builder, credentials));
            *shared = Arc::downgrade(&pod);
            pod
        })
    }

    /// Starts one, with settings of the builder and its registry credentials.
    #[must_use]
    pub fn start(builder: &[&str], credentials: &str) -> Self {
        let secrets = tempfile::tempdir().unwrap();
        std::fs::write(secrets.path().join(".dockerconfigjson"), credentials).unwrap();
        let directory = secrets.path().to_string_lossy().into_owned();
        let mut arguments = vec!["--builder-secrets", &directory];
        for setting in builder {
            arguments.extend(["--builder-env", setting]);
        }
        let mut running = Job::shell("exec sleep 86396").arguments(&arguments).start();
        running.wait_for_text("the runner started");
        let name = running.name.clone();
        Self {
            running: Some(running),
            name,
            _secrets: secrets,
        }
    }

    /// Runs a script as the job does.
    #[must_use]
    pub fn job(&self, script: &str) -> Done {
        let script =
            format!("mkdir -p /workspace/work/$$ && cd /workspace/work/$$ || exit 99\n{script}");
        exec(
            &[
                "--env",
                "HOME=/workspace/home",
                "--env",
                "TMPDIR=/workspace/tmp",
                &self.name,
            ],
            &script,
        )
    }

    /// Builds a Containerfile as the job does, with these flags.
    #[must_use]
    pub fn build(&self, containerfile: &str, flags: &str) -> Done {
        self.job(&format!(
            "cat >Containerfile <<'END-OF-CONTAINERFILE'\n{containerfile}\nEND-OF-CONTAINERFILE\nbuildah build {flags} ."
        ))
    }

    /// Looks into the builder, with the rights of its own user.
    #[must_use]
    pub fn builder(&self, script: &str) -> Done {
        exec(&[&format!("{}-builder", self.name)], script)
    }

    /// The name of the job's container; the builder's has `-builder` behind it.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// Runs podman on one of the containers: the job's, or with `-builder` behind its name the other.
    #[must_use]
    pub fn engine(&self, before: &[&str], suffix: &str) -> Output {
        let name = format!("{}{suffix}", self.name);
        let mut arguments = before.to_vec();
        arguments.push(&name);
        podman(&arguments)
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let script = running.child.id().to_string();
            let _ = Command::new("kill").args(["-TERM", &script]).status();
            drop(running.wait());
        }
    }
}

fn exec(before: &[&str], script: &str) -> Done {
    let mut arguments = vec!["exec", "--user", "1000:1000"];
    arguments.extend(before);
    arguments.extend(["bash", "-c", script]);
    let output = podman(&arguments);
    let said = [output.stdout, output.stderr].concat();
    Done {
        code: output.status.code().unwrap_or(-1),
        said: String::from_utf8_lossy(&said).into_owned(),
    }
}
