//! Staged secrets. No value is ever shown, and none is kept.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::unistd::{AccessFlags, access};
use zeroize::Zeroizing;

use super::tokens;
use super::trials::told;
use crate::config::FlavorName;
use crate::doctor::check::{Case, Check, Finding, Status};
use crate::doctor::duty::Duty;
use crate::doctor::scene::Scene;
use crate::flavor;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "secrets.directory",
        title: "The staged secrets can be read",
        how: "Lists the directory of staged secrets and compares it with secrets.required.",
        duty: Duty::Secrets,
        preflight: true,
        look: directory,
        cases: &[UNREADABLE, MISSING],
        ..Check::NEW
    },
    Check {
        id: "secrets.content",
        title: "The staged secrets have a value, and it is valid now",
        how: "Reads each: whether it is empty, its mode, and what one that is a JWT, or a JIT configuration with one, says of its time.",
        duty: Duty::Secrets,
        after: &["secrets.directory"],
        look: content,
        cases: &[UNREADABLE, EXPIRED, EMPTY, EXPIRED_OTHER, NOT_YET, OPEN],
        ..Check::NEW
    },
    Check {
        id: "secrets.unlink",
        title: "The job will not find the staged secrets",
        how: "Asks access(2) whether the supervisor may remove the files once they are read, before the job starts.",
        duty: Duty::Secrets,
        after: &["secrets.directory"],
        look: unlink,
        cases: &[STAYS],
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
    means: "The configuration requires secrets that were not staged; the job would start without its credentials.",
    cure: "kubectl create secret generic NAME --from-literal={key}=VALUE\nand in the pod spec, on the stage-secrets container:\n  volumeMounts: [{name: NAME, mountPath: {secrets}}]\nOr take {key} out of secrets.required.",
};

const EXPIRED: Case = Case {
    name: "expired",
    status: Status::Fail,
    means: "The runner's own token says of itself that its time is over; the CI service will refuse it.",
    cure: "Make a new one (the launcher does it for each job), or by hand:\n  kubectl create secret generic NAME --from-file={key}=FILE --dry-run=client -o yaml | kubectl apply -f -",
};
const EXPIRED_OTHER: Case = Case {
    name: "expired-other",
    status: Status::Warn,
    means: "This token says of itself that its time is over. The runner does not need it; a step of the job that uses it will be refused.",
    cure: EXPIRED.cure,
};
const EMPTY: Case = Case {
    name: "empty",
    status: Status::Fail,
    means: "The file of this secret is there and holds nothing; usually the command that made it failed without a word.",
    cure: "kubectl create secret generic NAME --from-literal={key}=VALUE --dry-run=client -o yaml | kubectl apply -f -",
};
const NOT_YET: Case = Case {
    name: "not-yet",
    status: Status::Warn,
    means: "This token says of itself that it becomes valid later: the clock of this node, or that of whoever made it, is wrong.",
    cure: "On the node, as root:\n  timedatectl set-ntp true && timedatectl",
};
const OPEN: Case = Case {
    name: "mode",
    status: Status::Warn,
    means: "Every user of this container may read the file of this secret.",
    cure: "In the pod spec, on the volume:\n  secret: {secretName: NAME, defaultMode: 0440}\nAnd for the whole pod: securityContext: {fsGroup: {gid}}\nIn a directory of yours: chmod 0400 {key}",
};
const STAYS: Case = Case {
    name: "stays",
    status: Status::Warn,
    means: "The supervisor removes the files of secrets before the job starts. These it cannot remove (a mounted Secret is read-only), so every step of the job may read them.",
    cure: "Stage them: an init container copies the Secret into a memory volume that this one mounts for writing. In the pod spec:\n  volumes: [{name: staged, emptyDir: {medium: Memory}}]\nand on this container:\n  volumeMounts: [{name: staged, mountPath: {secrets}}]",
};

fn directory(scene: &Scene) -> Finding {
    let path = &scene.config.secrets.directory;
    let shown = path.display();
    let keys = match keys(path) {
        Ok(keys) => keys,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            let errno = nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(0));
            return Finding::case(UNREADABLE, format!("{shown}: {}", told(errno)));
        }
    };
    let secrets = &scene.config.secrets;
    let mut needed = secrets.required.iter().chain(secrets.environment.values());
    if let Some(key) = needed.find(|key| !keys.contains(key)) {
        if let Some(reason) = scene.secrets_taken() {
            return Finding::skipped(reason);
        }
        return Finding::case(MISSING, format!("there is no {shown}/{key}")).fill("key", key);
    }
    match keys.len() {
        0 => Finding::skipped(format!("{shown} holds none, and none is required")),
        count => Finding::ok(format!("{count} in {shown}")),
    }
}

/// Kubernetes' own entries begin with two dots.
fn keys(path: &Path) -> std::io::Result<Vec<String>> {
    let entries = std::fs::read_dir(path)?;
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut keys: Vec<String> = names.filter(|name| !name.starts_with("..")).collect();
    keys.sort();
    Ok(keys)
}

fn content(scene: &Scene) -> Finding {
    let path = &scene.config.secrets.directory;
    let keys = keys(path).unwrap_or_default();
    if keys.is_empty() {
        return Finding::skipped("there are none");
    }
    let own = flavor::own_token(scene.config.flavor);
    let mut wrong: Vec<Finding> = keys
        .iter()
        .filter_map(|key| value(key, &path.join(key), own == Some(key)))
        .collect();
    wrong.sort_by_key(|finding| !finding.is_fatal());
    let ok = || Finding::ok(format!("{} with a value", keys.len()));
    wrong.into_iter().next().unwrap_or_else(ok)
}

/// What is wrong with one secret, the runner's `own` token or another. Its value goes nowhere.
fn value(key: &str, path: &Path, own: bool) -> Option<Finding> {
    let case = |case, found: String| Some(Finding::case(case, found).fill("key", key));
    let bytes = match std::fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) => {
            let errno = nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(0));
            return case(UNREADABLE, format!("{key}: {}", told(errno)));
        }
    };
    // What is no text is no token either.
    let text = std::str::from_utf8(&bytes).unwrap_or("binary");
    if text.trim().is_empty() {
        return case(EMPTY, format!("{key} is empty"));
    }
    if let Some(finding) = untimely(key, text, own) {
        return Some(finding);
    }
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o007 != 0)
        .then(|| case(OPEN, format!("{key} has mode {mode:04o}")))
        .flatten()
}

/// What is wrong with the times that a token tells of itself.
fn untimely(key: &str, text: &str, own: bool) -> Option<Finding> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let now = i64::try_from(now).ok()?;
    let case = |case, found: String| Some(Finding::case(case, found).fill("key", key));
    let times = tokens::times(text)?;
    if let Some(over) = times.expires.filter(|time| *time <= now) {
        let minutes = (now - over) / 60;
        let kind = if own { EXPIRED } else { EXPIRED_OTHER };
        return case(kind, format!("{key} expired {minutes} minutes ago"));
    }
    let early = times.begins.filter(|time| *time > now + 300)?;
    let minutes = (early - now) / 60;
    case(NOT_YET, format!("{key} is valid only in {minutes} minutes"))
}

/// Why a value that the init container is about to stage would be refused later: a runner's own token, and its time is over.
pub(in crate::doctor) fn refused(key: &str, text: &str) -> Option<String> {
    let flavors = [FlavorName::Github, FlavorName::Circleci];
    let own = flavors
        .into_iter()
        .any(|name| flavor::own_token(name) == Some(key));
    let finding = untimely(key, text, own)?;
    finding.is_fatal().then(|| finding.found().to_owned())
}

fn unlink(scene: &Scene) -> Finding {
    let path = &scene.config.secrets.directory;
    if keys(path).unwrap_or_default().is_empty() {
        return Finding::skipped("there are none");
    }
    match access(path, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => Finding::ok("their files are removed before the job starts"),
        Err(errno) => Finding::case(STAYS, format!("{}: {}", path.display(), told(errno))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_runners_own_token_is_refused_when_its_time_is_over() {
        // {"alg":"none"}.{"exp":1}
        let over = "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln";
        let said = refused("jitconfig", over).unwrap();
        assert!(said.starts_with("jitconfig expired "), "{said}");
        assert_eq!(refused("another", over), None);
        assert_eq!(refused("jitconfig", "opaque"), None);
    }
}
