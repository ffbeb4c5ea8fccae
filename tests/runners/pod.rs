//! A pod's runner container under the restricted standard: no capability, no new privileges, a read-only root.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use support::{podman, run_image};
use tempfile::TempDir;

/// One container to run.
pub(crate) struct Pod {
    image: String,
    directory: TempDir,
    secrets: TempDir,
    flags: Vec<String>,
    rights: Vec<&'static str>,
}

const RESTRICTED: [&str; 5] = [
    "--user=1000:1000",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--read-only",
    "--pids-limit=500",
];

impl Pod {
    pub(crate) fn new(image: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // In memory, as the init container stages them.
        let secrets = tempfile::tempdir_in("/dev/shm").unwrap();
        for path in [directory.path(), secrets.path()] {
            chown(path, Some(1000), Some(1000)).unwrap();
        }
        let pod = Self {
            image: image.to_owned(),
            directory,
            secrets,
            flags: Vec::new(),
            rights: RESTRICTED.to_vec(),
        };
        pod.set("STORAGE__DRIVER", "none")
            .set("LOG__FORMAT", "json")
    }

    /// Root in the pod's own user namespace, which may change users and owners.
    pub(crate) fn with_root(mut self) -> Self {
        self.rights = vec![
            "--user=0:0",
            "--cap-drop=all",
            "--cap-add=SETUID",
            "--cap-add=SETGID",
            "--cap-add=SETPCAP",
            "--cap-add=CHOWN",
            "--cap-add=DAC_OVERRIDE",
            "--cap-add=KILL",
            "--security-opt=no-new-privileges",
            "--read-only",
        ];
        self
    }

    /// Root as the profile `userns` has it: what nested builds need, and no more.
    pub(crate) fn with_rights_of_userns(mut self) -> Self {
        self.rights = vec![
            "--user=0:0",
            "--cap-drop=all",
            "--cap-add=SETUID",
            "--cap-add=SETGID",
            "--cap-add=SETFCAP",
            "--security-opt=no-new-privileges",
            "--read-only",
        ];
        for directory in [self.directory.path(), self.secrets.path()] {
            chown(directory, Some(0), Some(0)).unwrap();
            for entry in fs::read_dir(directory).unwrap() {
                chown(entry.unwrap().path(), Some(0), Some(0)).unwrap();
            }
        }
        self
    }

    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        self.flags.push(format!("--env=SUPERVISOR_{key}={value}"));
        self
    }

    pub(crate) fn secret(self, key: &str, value: &str) -> Self {
        let path = self.secrets.path().join(key);
        fs::write(&path, value).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        chown(&path, Some(1000), Some(1000)).unwrap();
        self
    }

    /// A file in the directory that plays the vendor, mounted at `/vendor`.
    pub(crate) fn vendor(self, name: &str, content: &str) -> Self {
        fs::write(self.directory.path().join(name), content).unwrap();
        self
    }

    /// Where agent and task are different users, both write the vendor's log.
    pub(crate) fn run_open(self) -> Ended {
        for entry in fs::read_dir(self.directory.path()).unwrap() {
            let open = fs::Permissions::from_mode(0o666);
            fs::set_permissions(entry.unwrap().path(), open).unwrap();
        }
        self.run()
    }

    pub(crate) fn run(self) -> Ended {
        let vendor = format!("--volume={}:/vendor:rw", self.directory.path().display());
        let secrets = format!(
            "--volume={}:/run/secrets/supervisor:rw",
            self.secrets.path().display()
        );
        let mut flags = self.rights.clone();
        flags.extend([
            "--tmpfs=/tmp:rw,exec,mode=1777",
            "--tmpfs=/var/tmp:rw,exec,mode=1777",
        ]);
        flags.extend(["--mount=type=tmpfs,destination=/run/supervisor,tmpfs-mode=0700,U=true"]);
        flags.extend(["--mount=type=tmpfs,destination=/workspace,tmpfs-mode=0750,U=true"]);
        flags.extend([vendor.as_str(), secrets.as_str()]);
        flags.extend(self.flags.iter().map(String::as_str));
        let output = run_image(&self.image, &flags, &[]);
        Ended {
            output,
            directory: self.directory,
            secrets: self.secrets,
        }
    }
}

/// A container that is over.
pub(crate) struct Ended {
    output: Output,
    directory: TempDir,
    secrets: TempDir,
}

impl Ended {
    pub(crate) fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    /// All that was printed.
    pub(crate) fn said(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        text(&self.output.stdout) + &text(&self.output.stderr)
    }

    pub(crate) fn report(&self) -> Value {
        let stdout = String::from_utf8_lossy(&self.output.stdout).into_owned();
        let line = stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {}", self.said()))
    }

    /// What the vendor's directory holds.
    pub(crate) fn vendor(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}: {}", self.said()))
    }

    pub(crate) fn staged(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.secrets.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

/// An image that is gone with the test. Builds share their layers, so one's removal would fail another: one at a time.
pub(crate) struct Built(
    pub(crate) String,
    #[allow(dead_code, reason = "held")] MutexGuard<'static, ()>,
);

static BUILDING: Mutex<()> = Mutex::new(());

impl Built {
    pub(crate) fn name(what: &str, scratch: &Path) -> Self {
        let unique = scratch
            .parent()
            .unwrap()
            .file_name()
            .unwrap()
            .to_string_lossy();
        let unique = unique.trim_start_matches('.').to_lowercase();
        // A test that failed before spoils nothing.
        let alone = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        Self(format!("localhost/test/{what}-{unique}:local"), alone)
    }
}

impl Drop for Built {
    fn drop(&mut self) {
        let _ = podman(&["rmi", "--force", "--ignore", &self.0]);
    }
}

/// A thief in the job's place, who looks everywhere that his user may look for a text that comes in two halves, so that the
/// search does not find itself. The vendor's side is not his to see; here it is only a directory.
pub(crate) fn thief(needle: &str, programs: &str) -> String {
    let (first, second) = needle.split_at(needle.len() / 2);
    format!(
        r#"
        exec 2>/dev/null
        first={first}; needle=$first"{second}"
        found=
        for p in /proc/[0-9]*; do
            pid=${{p#/proc/}}
            if [ "$pid" = $$ ] || [ "$pid" = "$BASHPID" ]; then continue; fi
            for f in cmdline environ; do
                if tr '\0' '\n' <"$p/$f" | grep -qF "$needle"; then found+="$p/$f "; fi
            done
            case $(cat "$p/comm") in {programs})
                # As root their numbers can be listed; what is behind them cannot be seen.
                if readlink "$p"/fd/* | grep -q .; then found+="$p/fd "; fi
                if head -c 1 "$p/environ" | grep -q .; then found+="$p/environ "; fi
                if (exec 7<"$p/mem"); then found+="$p/mem "; fi
                if cat "$p/maps" | grep -q .; then found+="$p/maps "; fi
            esac
        done
        if env | grep -qF "$needle"; then found+="environment "; fi
        if env | grep -qE '^(SUPERVISOR_|CIRCLECI_RUNNER_|ACTIONS_RUNNER_INPUT_)'; then found+="variables "; fi
        for d in /workspace /run /tmp /var /dev/shm /etc /opt /home /root; do
            if grep -rsqF "$needle" "$d"; then found+="$d "; fi
        done
        if [ "$(ulimit -Hc)" != 0 ]; then found+="core-dumps "; fi
        for d in /proc/self/fd/*; do
            case $(readlink "$d") in /dev/null|pipe:*|/proc/*|/vendor/*.sh|'') ;; *) found+="$(readlink "$d") " ;; esac
        done
        echo "found: $found" >>/vendor/log
        "#
    )
}
