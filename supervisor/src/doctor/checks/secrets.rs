//! Staged secrets. No value is ever shown, and none is kept.

use std::io::ErrorKind;

use super::trials::told;
use crate::doctor::check::{Case, Check, Duty, Finding, Status};
use crate::doctor::scene::Scene;

pub(super) const CHECKS: &[Check] = &[Check {
    id: "secrets.directory",
    title: "The staged secrets can be read",
    how: "Lists the directory of staged secrets and compares it with secrets.required.",
    duty: Duty::Secrets,
    preflight: true,
    look: directory,
    cases: &[UNREADABLE, MISSING],
    ..Check::NEW
}];

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

fn directory(scene: &Scene) -> Finding {
    let path = &scene.config.secrets.directory;
    let shown = path.display();
    let keys: Vec<String> = match std::fs::read_dir(path) {
        Ok(entries) => entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with(".."))
            .collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            let errno = nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(0));
            return Finding::case(UNREADABLE, format!("{shown}: {}", told(errno)));
        }
    };
    let secrets = &scene.config.secrets;
    let mut needed = secrets.required.iter().chain(secrets.environment.values());
    if let Some(key) = needed.find(|key| !keys.contains(key)) {
        return Finding::case(MISSING, format!("there is no {shown}/{key}")).fill("key", key);
    }
    match keys.len() {
        0 => Finding::skipped(format!("{shown} holds none, and none is required")),
        count => Finding::ok(format!("{count} in {shown}")),
    }
}
