//! Staged secrets. No value is ever shown or kept.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::unistd::{AccessFlags, access};
use zeroize::Zeroizing;

use super::jwt;
use super::probes::errno_text;
use crate::config::FlavorName;
use crate::doctor::check::{Check, Finding, Observation};
use crate::doctor::context::Context;
use crate::doctor::duty::Duty;
use crate::flavor;
use linux::errno::to_nix;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "secrets.directory",
        title: "The staged secrets are readable",
        method: "Lists the directory of staged secrets and compares it with secrets.required.",
        duty: Duty::Secrets,
        preflight: true,
        run: directory,
        findings: &[UNREADABLE, MISSING],
        ..Check::DEFAULT
    },
    Check {
        id: "secrets.content",
        title: "The staged secrets have values that are valid now",
        method: "Reads each secret and its mode. Reads the validity of a JWT, alone or in a JIT configuration.",
        duty: Duty::Secrets,
        needs: &["secrets.directory"],
        run: content,
        findings: &[UNREADABLE, EXPIRED, EMPTY, EXPIRED_OTHER, NOT_YET, OPEN],
        ..Check::DEFAULT
    },
    Check {
        id: "secrets.unlink",
        title: "The supervisor can remove the staged secrets before the job",
        method: "Calls access(2) to see whether the supervisor may remove the files before the job starts.",
        duty: Duty::Secrets,
        needs: &["secrets.directory"],
        run: unlink,
        findings: &[STAYS],
        ..Check::DEFAULT
    },
];

const UNREADABLE: Finding = Finding::fails("unreadable")
    .means("The secrets of the job are mounted, but this container's user may not read them.")
    .remedy("In the pod spec, for the whole pod:\n  securityContext:\n    fsGroup: {gid}\nand on the volume:\n  secret: {secretName: NAME, defaultMode: 0440}");
const MISSING: Finding = Finding::fails("missing")
    .means("The configuration requires secrets that were not staged. The job would start without its credentials.")
    .remedy("kubectl create secret generic NAME --from-literal={key}=VALUE\nand in the pod spec, on the stage-secrets container:\n  volumeMounts: [{name: NAME, mountPath: {secrets}}]\nOr remove {key} from secrets.required.");

const EXPIRED: Finding = Finding::fails("expired")
    .means("The runner's own token has expired. The CI service will refuse it.")
    .remedy("Make a new one for each job (the launcher does that), or by hand:\n  kubectl create secret generic NAME --from-file={key}=FILE --dry-run=client -o yaml | kubectl apply -f -");
const EXPIRED_OTHER: Finding = Finding::warns("expired-other")
    .means("This token has expired. The runner does not need it, but a step of the job that uses it will fail.")
    .remedy(EXPIRED.remedy);
const EMPTY: Finding = Finding::fails("empty")
    .means("The file of this secret is empty. Usually the command that made the Secret failed without a message.")
    .remedy("kubectl create secret generic NAME --from-literal={key}=VALUE --dry-run=client -o yaml | kubectl apply -f -");
const NOT_YET: Finding = Finding::warns("not-yet")
    .means("This token is valid only from a later time on. The clock of this node, or of the token's issuer, is wrong.")
    .remedy("On the node, as root:\n  timedatectl set-ntp true && timedatectl");
const OPEN: Finding = Finding::warns("mode")
    .means("Every user of this container can read the file of this secret.")
    .remedy("In the pod spec, on the volume:\n  secret: {secretName: NAME, defaultMode: 0440}\nAnd for the whole pod: securityContext: {fsGroup: {gid}}\nIn a directory of yours: chmod 0400 {key}");
const STAYS: Finding = Finding::warns("stays")
    .means("The supervisor removes the files of secrets before the job starts. It cannot remove these (a mounted Secret is read-only), so every step of the job can read them.")
    .remedy("Stage them: let an init container copy the Secret into a memory volume. This container mounts it for writing. In the pod spec:\n  volumes: [{name: staged, emptyDir: {medium: Memory}}]\nand on this container:\n  volumeMounts: [{name: staged, mountPath: {secrets}}]");

fn directory(context: &Context) -> Observation {
    let path = &context.config.secrets.directory;
    let shown = path.display();
    let keys = match keys(path) {
        Ok(keys) => keys,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            let errno = to_nix(&error);
            return Observation::problem(UNREADABLE, format!("{shown}: {}", errno_text(errno)));
        }
    };
    let secrets = &context.config.secrets;
    let mut needed = secrets.required.iter().chain(secrets.environment.values());
    if let Some(key) = needed.find(|key| !keys.contains(key)) {
        if let Some(reason) = context.secrets_taken() {
            return Observation::skipped(reason);
        }
        return Observation::problem(MISSING, format!("{shown}/{key} does not exist"))
            .fill("key", key);
    }
    match keys.len() {
        0 => Observation::skipped(format!("{shown} has no secret, and no secret is required")),
        count => Observation::ok(format!("{count} secrets in {shown}")),
    }
}

/// Lists the keys, sorted. Kubernetes' own entries start with two dots.
fn keys(path: &Path) -> std::io::Result<Vec<String>> {
    let entries = std::fs::read_dir(path)?;
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut keys: Vec<String> = names.filter(|name| !name.starts_with("..")).collect();
    keys.sort();
    Ok(keys)
}

fn content(context: &Context) -> Observation {
    let path = &context.config.secrets.directory;
    let keys = keys(path).unwrap_or_default();
    if keys.is_empty() {
        return Observation::skipped("there are no staged secrets");
    }
    let own = flavor::own_token(context.config.flavor);
    let mut wrong: Vec<Observation> = keys
        .iter()
        .filter_map(|key| value(key, &path.join(key), own == Some(key)))
        .collect();
    wrong.sort_by_key(|finding| !finding.is_fatal());
    let ok = || Observation::ok(format!("{} secrets, each with a value", keys.len()));
    wrong.into_iter().next().unwrap_or_else(ok)
}

/// Returns the problem with one secret. `own`: it is the runner's own token. The value is not kept.
fn value(key: &str, path: &Path, own: bool) -> Option<Observation> {
    let problem =
        |finding, found: String| Some(Observation::problem(finding, found).fill("key", key));
    let bytes = match std::fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) => {
            let errno = to_nix(&error);
            return problem(UNREADABLE, format!("{key}: {}", errno_text(errno)));
        }
    };
    // A value that is not UTF-8 is not a token.
    let text = std::str::from_utf8(&bytes).unwrap_or("binary");
    if text.trim().is_empty() {
        return problem(EMPTY, format!("{key} is empty"));
    }
    if let Some(finding) = invalid_now(key, text, own) {
        return Some(finding);
    }
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o007 != 0)
        .then(|| problem(OPEN, format!("{key} has mode {mode:04o}")))
        .flatten()
}

/// Returns the problem if a token has expired or is not valid yet.
fn invalid_now(key: &str, text: &str, own: bool) -> Option<Observation> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let now = i64::try_from(now).ok()?;
    let problem =
        |finding, found: String| Some(Observation::problem(finding, found).fill("key", key));
    let times = jwt::times(text)?;
    if let Some(expired) = times.expires.filter(|time| *time <= now) {
        let minutes = (now - expired) / 60;
        let finding = if own { EXPIRED } else { EXPIRED_OTHER };
        return problem(finding, format!("{key} expired {minutes} minutes ago"));
    }
    let early = times.begins.filter(|time| *time > now + 300)?;
    let minutes = (early - now) / 60;
    problem(NOT_YET, format!("{key} becomes valid in {minutes} minutes"))
}

/// Returns the reason not to stage a value: it is a runner's own token and has expired.
pub(in crate::doctor) fn refused(key: &str, text: &str) -> Option<String> {
    let flavors = [FlavorName::Github, FlavorName::Circleci];
    let own = flavors
        .into_iter()
        .any(|name| flavor::own_token(name) == Some(key));
    let finding = invalid_now(key, text, own)?;
    finding.is_fatal().then(|| finding.found().to_owned())
}

fn unlink(context: &Context) -> Observation {
    let path = &context.config.secrets.directory;
    if keys(path).unwrap_or_default().is_empty() {
        return Observation::skipped("there are no staged secrets");
    }
    match access(path, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => Observation::ok("the supervisor removes their files before the job starts"),
        Err(errno) => {
            Observation::problem(STAYS, format!("{}: {}", path.display(), errno_text(errno)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_runners_own_expired_token_is_refused() {
        // {"alg":"none"}.{"exp":1}
        let expired = "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln";
        let reason = refused("jitconfig", expired).unwrap();
        assert!(reason.starts_with("jitconfig expired "), "{reason}");
        assert_eq!(refused("another", expired), None);
        assert_eq!(refused("jitconfig", "opaque"), None);
    }
}
