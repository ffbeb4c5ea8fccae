//! Translates a container's specification into podman's options. A field without a translation fails the test.

use std::path::Path;

use serde_json::Value;
use support::manifests::seccomp_file;

/// podman's flags for the rights of a container, and what the kernel then shows of PID 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) user: String,
    pub(crate) group: String,
    pub(crate) added: Vec<String>,
    pub(crate) no_new_privileges: bool,
    pub(crate) read_only: bool,
    pub(crate) seccomp: Value,
    flags: Vec<String>,
}

impl Rights {
    /// Of a container within a pod.
    pub(crate) fn of(pod: &Value, container: &Value, scratch: &Path) -> Self {
        let context = &container["securityContext"];
        for field in context.as_object().unwrap().keys() {
            assert!(
                FIELDS.contains(&field.as_str()),
                "securityContext.{field} is not translated"
            );
        }
        assert_eq!(context["privileged"], false);
        assert_eq!(context["procMount"], "Default");
        assert_eq!(context["capabilities"]["drop"], serde_json::json!(["ALL"]));
        let id = |field: &str| context[field].as_u64().unwrap().to_string();
        let (user, group) = (id("runAsUser"), id("runAsGroup"));
        assert_eq!(context["runAsNonRoot"], user != "0");
        let added = context["capabilities"]["add"]
            .as_array()
            .into_iter()
            .flatten();
        let added: Vec<String> = added.map(|one| one.as_str().unwrap().to_owned()).collect();
        let no_new_privileges = context["allowPrivilegeEscalation"] == false;
        let read_only = context["readOnlyRootFilesystem"] == true;
        let profile = seccomp_file(&context["seccompProfile"], scratch);
        let mut flags = vec![
            format!("--user={user}:{group}"),
            format!("--group-add={}", pod["securityContext"]["fsGroup"]),
            "--cap-drop=all".to_owned(),
            format!("--security-opt=seccomp={}", profile.display()),
        ];
        flags.extend(
            added
                .iter()
                .map(|capability| format!("--cap-add={capability}")),
        );
        if no_new_privileges {
            flags.push("--security-opt=no-new-privileges".to_owned());
        }
        if read_only {
            flags.extend(["--read-only", "--read-only-tmpfs=false"].map(str::to_owned));
        }
        let seccomp = serde_json::from_slice(&std::fs::read(profile).unwrap()).unwrap();
        Self {
            user,
            group,
            added,
            no_new_privileges,
            read_only,
            seccomp,
            flags,
        }
    }

    pub(crate) fn flags(&self) -> &[String] {
        &self.flags
    }

    /// CapBnd in /proc/PID/status, capabilities(7).
    pub(crate) fn bounding(&self) -> String {
        let bit = |name: &String| match name.as_str() {
            "SETGID" => 1_u64 << 6,
            "SETUID" => 1 << 7,
            "SETFCAP" => 1 << 31,
            other => panic!("{other}: no bit here"),
        };
        format!("{:016x}", self.added.iter().map(bit).sum::<u64>())
    }
}

const FIELDS: [&str; 9] = [
    "allowPrivilegeEscalation",
    "capabilities",
    "privileged",
    "procMount",
    "readOnlyRootFilesystem",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "seccompProfile",
];
