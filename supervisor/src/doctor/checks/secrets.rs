//! Staged secrets. No value is ever shown, and none is kept.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use serde::Deserialize;
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use super::jwt;
use super::trials::told;
use crate::doctor::check::{Case, Check, Duty, Finding, Status};
use crate::doctor::scene::Scene;
use crate::secrets::DOCKER_CONFIG;
use crate::storage::in_memory;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "secrets.present",
        title: "The staged secrets can be read",
        how: "Lists the directory of staged secrets, compares it with secrets.required, and opens each.",
        duty: Duty::Secrets,
        preflight: true,
        look: present,
        cases: &[UNREADABLE, MISSING, EMPTY],
        ..Check::NEW
    },
    Check {
        id: "secrets.expired",
        title: "No staged token has expired",
        how: "Reads the expiry out of JSON Web Tokens, by themselves or within a JIT configuration.",
        duty: Duty::Secrets,
        after: &["secrets.present"],
        preflight: true,
        look: expired,
        cases: &[EXPIRED, EXPIRES],
        ..Check::NEW
    },
    Check {
        id: "secrets.mode",
        title: "Other users cannot read the staged secrets",
        how: "Reads the mode of each file.",
        duty: Duty::Secrets,
        after: &["secrets.present"],
        look: mode,
        cases: &[LOOSE],
        ..Check::NEW
    },
    Check {
        id: "secrets.exposed",
        title: "The job cannot read the staged secrets",
        how: "Asks whether the supervisor can remove the files before the job starts: a memory volume that it may write.",
        duty: Duty::Secrets,
        after: &["secrets.present"],
        look: exposed,
        cases: &[EXPOSED],
        ..Check::NEW
    },
];

const UNREADABLE: Case = Case {
    name: "unreadable",
    status: Status::Fail,
    means: "The secrets of the job are mounted, and the user that this container runs as may not read them.",
    cure: "In the pod spec, for the whole pod:\n  securityContext:\n    fsGroup: {gid}\nand on the volume:\n  secret: {secretName: NAME, defaultMode: 0440}",
};
const MISSING: Case = Case {
    name: "missing",
    status: Status::Fail,
    means: "The configuration requires a secret that was not staged: the job would start without its credentials.",
    cure: "kubectl create secret generic NAME --from-literal={key}=VALUE\nand in the pod spec, on the stage-secrets container:\n  volumeMounts: [{name: NAME, mountPath: {secrets}}]\nOr take {key} out of secrets.required.",
};
const EMPTY: Case = Case {
    name: "empty",
    status: Status::Fail,
    means: "A secret is there but empty, usually because a variable was not set where it was made.",
    cure: "kubectl delete secret NAME; kubectl create secret generic NAME --from-literal={key}=VALUE",
};
const EXPIRED: Case = Case {
    name: "expired",
    status: Status::Fail,
    means: "The token is no longer valid: the CI service or the registry will refuse it.",
    cure: "Make a new one and store it under {key}:\n  kubectl delete secret NAME; kubectl create secret generic NAME --from-literal={key}=VALUE\nIf it is new, compare the node's clock: supervisor doctor --only kernel.clock",
};
const EXPIRES: Case = Case {
    name: "expires-soon",
    status: Status::Warn,
    means: "The token is valid for less than five minutes: a job that waits for its node or its image will come too late.",
    cure: EXPIRED.cure,
};
const LOOSE: Case = Case {
    name: "loose",
    status: Status::Warn,
    means: "Every user in this container may read the file.",
    cure: "In the pod spec, on the volume:\n  secret: {secretName: NAME, defaultMode: 0400}",
};
const EXPOSED: Case = Case {
    name: "exposed",
    status: Status::Warn,
    means: "The supervisor cannot take the files away before the job starts, so the job reads them too: every step, and every action that a workflow names.",
    cure: "Stage the Secret in an init container onto a memory volume that this container may write:\n  volumes: [{name: staged, emptyDir: {medium: Memory}}]\n  volumeMounts: [{name: staged, mountPath: {secrets}}]\nWith podman: a writable directory in /dev/shm",
};

/// The largest value that is looked at; the supervisor takes no larger one either.
const LIMIT: u64 = 64 * 1024;
const SOON: u64 = 300;

/// Keys and files, sorted. Names with `..` in front are the kubelet's own.
fn list(directory: &Path) -> std::io::Result<BTreeMap<String, PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        other => other?,
    };
    let named = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        (!name.starts_with("..")).then(|| (name, entry.path()))
    });
    Ok(named.collect())
}

/// All keys, or why there is nothing to say about them.
fn staged(scene: &Scene) -> Result<BTreeMap<String, PathBuf>, Box<Finding>> {
    let directory = &scene.config.secrets.directory;
    let shown = directory.display();
    match list(directory) {
        Ok(files) if files.is_empty() => {
            Err(Box::new(Finding::skipped(format!("{shown} holds none"))))
        }
        Ok(files) => Ok(files),
        Err(error) => Err(Box::new(unreadable(directory, &error))),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Finding {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
    Finding::case(UNREADABLE, format!("{}: {}", path.display(), told(errno)))
}

/// A value, overwritten when dropped. A fifo is none: opening it would wait for its writer.
fn value(path: &Path) -> std::io::Result<Zeroizing<String>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(ErrorKind::InvalidInput.into());
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT as usize));
    std::fs::File::open(path)?
        .take(LIMIT)
        .read_to_end(&mut bytes)?;
    Ok(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()))
}

fn present(scene: &Scene) -> Finding {
    let secrets = &scene.config.secrets;
    let directory = &secrets.directory;
    let files = match list(directory) {
        Ok(files) => files,
        Err(error) => return unreadable(directory, &error),
    };
    let mut needed = secrets.required.iter().chain(secrets.environment.values());
    if let Some(key) = needed.find(|key| !files.contains_key(*key)) {
        let found = format!("there is no {}", directory.join(key).display());
        return Finding::case(MISSING, found).fill("key", key);
    }
    for (key, path) in &files {
        match value(path) {
            Err(error) => return unreadable(path, &error),
            Ok(value) if value.trim_end_matches('\n').is_empty() => {
                let found = format!("{} is empty", path.display());
                return Finding::case(EMPTY, found).fill("key", key);
            }
            Ok(_) => {}
        }
    }
    match files.len() {
        0 => Finding::skipped(format!(
            "{} holds none, and none is required",
            directory.display()
        )),
        count => Finding::ok(format!("{count} in {}", directory.display())),
    }
}

fn expired(scene: &Scene) -> Finding {
    let files = match staged(scene) {
        Ok(files) => files,
        Err(finding) => return *finding,
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    let expiry = |path: &PathBuf| jwt::times(&value(path).ok()?)?.expires;
    let first = (files.iter())
        .filter_map(|(key, path)| Some((expiry(path)?, key)))
        .min();
    let Some((expires, key)) = first else {
        return Finding::skipped("none tells its expiry");
    };
    let left = expires.saturating_sub(now);
    if left == 0 {
        let found = format!("{key} expired {} s ago", now - expires);
        return Finding::case(EXPIRED, found).fill("key", key);
    }
    let found = format!("{key} expires in {left} s");
    if left < SOON {
        return Finding::case(EXPIRES, found).fill("key", key);
    }
    Finding::ok(found)
}

fn mode(scene: &Scene) -> Finding {
    let files = match staged(scene) {
        Ok(files) => files,
        Err(finding) => return *finding,
    };
    let loose = files.iter().find_map(|(key, path)| {
        let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o7777;
        (mode & 0o004 != 0).then(|| format!("{key} has mode {mode:04o}"))
    });
    match loose {
        Some(found) => Finding::case(LOOSE, found),
        None => Finding::ok("no file is open to others"),
    }
}

fn exposed(scene: &Scene) -> Finding {
    if let Err(finding) = staged(scene) {
        return *finding;
    }
    let directory = &scene.config.secrets.directory;
    let shown = directory.display();
    if !in_memory(directory) {
        return Finding::case(EXPOSED, format!("{shown} is no memory volume"));
    }
    if let Err(errno) = access(directory, AccessFlags::W_OK) {
        return Finding::case(
            EXPOSED,
            format!("{shown} cannot be written: {}", told(errno)),
        );
    }
    Finding::ok("the supervisor removes them first")
}

/// What is looked at in a `.dockerconfigjson`.
#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, IgnoredAny>,
}

/// The registries that staged credentials are for.
pub(super) fn registries(scene: &Scene) -> Vec<String> {
    let path = scene.config.secrets.directory.join(DOCKER_CONFIG);
    let Ok(value) = value(&path) else {
        return Vec::new();
    };
    let parsed: Option<DockerConfig> = serde_json::from_str(&value).ok();
    parsed.map_or_else(Vec::new, |config| config.auths.into_keys().collect())
}
