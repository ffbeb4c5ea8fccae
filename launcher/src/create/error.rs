//! Errors of the Kubernetes API: what each rejection means, and its remedy.

use std::time::Duration;

use kube::core::Status;

/// The kind of a Kubernetes failure. It decides about retries and the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterErrorKind {
    /// No kubeconfig and no service account, or one that cannot be used.
    Config,
    /// 401: the credentials are not accepted.
    Unauthorized,
    /// 403: the account's role lacks a right.
    Forbidden,
    /// 403: admission control or a quota rejects the object.
    Denied,
    /// 404: the object or its namespace does not exist.
    NotFound,
    /// 409: another field manager owns a field.
    Conflict,
    /// 422: the object exists with other values in immutable fields.
    Immutable,
    /// 400 or 422: the object does not match the API's schema.
    Invalid,
    /// 429: too many requests.
    Limited,
    /// 5xx, no connection, or no response in time.
    Unavailable,
}

/// A failed Kubernetes request: the operation, the API server's message and the remedy.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{operation}: {message}. {remedy}")]
pub struct ClusterError {
    /// The operation that failed, as in `applying the Job "runner-1"`.
    pub operation: String,
    /// The message of the API server or of the network layer.
    pub message: String,
    /// What the user has to change.
    pub remedy: String,
    /// The kind of failure.
    pub kind: ClusterErrorKind,
    /// The fields that another field manager owns, if it is a conflict.
    pub(super) conflicts: Vec<String>,
}

impl ClusterError {
    pub(super) fn config(error: &dyn std::error::Error) -> Self {
        Self {
            operation: "finding the cluster".to_owned(),
            message: with_sources(error),
            remedy: "Name a kubeconfig in KUBECONFIG and a context with --context, or run in a pod whose service account has the role in k8s/rbac".to_owned(),
            kind: ClusterErrorKind::Config,
            conflicts: Vec::new(),
        }
    }

    pub(super) fn timed_out(operation: &str, after: Duration) -> Self {
        Self {
            operation: operation.to_owned(),
            message: format!("no response within {} seconds", after.as_secs()),
            remedy: remedy(ClusterErrorKind::Unavailable, "", ""),
            kind: ClusterErrorKind::Unavailable,
            conflicts: Vec::new(),
        }
    }

    pub(crate) fn rejected(operation: &str, namespace: &str, error: &kube::Error) -> Self {
        let (kind, message, conflicts) = match error {
            kube::Error::Api(status) => (
                kind(status.code, &status.message),
                status.message.clone(),
                conflicts(status),
            ),
            other => (
                ClusterErrorKind::Unavailable,
                with_sources(other),
                Vec::new(),
            ),
        };
        Self {
            operation: operation.to_owned(),
            remedy: remedy(kind, &message, namespace),
            message,
            kind,
            conflicts,
        }
    }

    /// Returns whether the same request may succeed a moment later.
    pub(super) fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            ClusterErrorKind::Limited | ClusterErrorKind::Unavailable
        )
    }

    /// Returns whether every later request will fail too, until an administrator changes something.
    pub(crate) fn is_final(&self) -> bool {
        matches!(
            self.kind,
            ClusterErrorKind::Unauthorized | ClusterErrorKind::Forbidden
        )
    }

    /// Returns whether this is the conflict about `spec.suspend`, which means that the Job is started.
    pub(super) fn is_started(&self) -> bool {
        self.kind == ClusterErrorKind::Conflict
            && self.conflicts.iter().any(|field| field == ".spec.suspend")
    }
}

/// The fields in conflict, from `details.causes` of the status.
fn conflicts(status: &Status) -> Vec<String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.map(|cause| cause.field.clone()).collect()
}

fn kind(code: u16, message: &str) -> ClusterErrorKind {
    let denied = [
        "admission",
        "exceeded quota",
        "violates PodSecurity",
        "denied the request",
    ];
    match code {
        401 => ClusterErrorKind::Unauthorized,
        403 if denied.iter().any(|word| message.contains(word)) => ClusterErrorKind::Denied,
        403 => ClusterErrorKind::Forbidden,
        404 => ClusterErrorKind::NotFound,
        409 => ClusterErrorKind::Conflict,
        422 if message.contains("immutable") => ClusterErrorKind::Immutable,
        429 => ClusterErrorKind::Limited,
        500.. => ClusterErrorKind::Unavailable,
        _ => ClusterErrorKind::Invalid,
    }
}

fn remedy(kind: ClusterErrorKind, message: &str, namespace: &str) -> String {
    match kind {
        ClusterErrorKind::Unauthorized => {
            "The kubeconfig's credentials are expired or revoked: log in again (kubectl auth whoami)".to_owned()
        }
        ClusterErrorKind::Forbidden => format!(
            "The account lacks this right in the namespace \"{namespace}\": bind it to a role of k8s/rbac, which has all rights that the launcher needs"
        ),
        ClusterErrorKind::Denied if message.contains("quota") => format!(
            "Raise the namespace's quota, wait until jobs end, or let Kueue queue them (kubectl -n {namespace} describe quota)"
        ),
        ClusterErrorKind::Denied => {
            "An admission policy of the cluster rejects the object: change the policy, or change the object with --patch; the pod meets the Pod Security standard \"baseline\"".to_owned()
        }
        ClusterErrorKind::NotFound if message.contains("namespaces") => format!(
            "The namespace \"{namespace}\" does not exist: create it and its objects with \"launcher render … | kubectl apply -f -\""
        ),
        ClusterErrorKind::NotFound => {
            "The object was deleted in the meantime: launch again".to_owned()
        }
        ClusterErrorKind::Conflict => {
            "Another field manager owns these fields of an object with this name: choose another --id".to_owned()
        }
        ClusterErrorKind::Immutable => {
            "This --id was launched with another template, other patches or other images: choose another --id, or delete that Job".to_owned()
        }
        ClusterErrorKind::Invalid => {
            "A --patch or the --template makes an object that the API does not accept: correct the field that the message names".to_owned()
        }
        ClusterErrorKind::Limited => {
            "The API server is busy: launch fewer jobs at once with --concurrency".to_owned()
        }
        ClusterErrorKind::Unavailable | ClusterErrorKind::Config => {
            "Check that the cluster is reachable from here (kubectl version), then run the same command; the same --id makes no second job".to_owned()
        }
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        // kube's own errors quote their sources already.
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        source = error.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(code: u16, message: &str) -> ClusterError {
        conflicting(code, message, &[])
    }

    fn conflicting(code: u16, message: &str, fields: &[&str]) -> ClusterError {
        let cause = |field: &&str| kube::core::response::StatusCause {
            field: (*field).to_owned(),
            message: String::new(),
            reason: "FieldManagerConflict".to_owned(),
        };
        let details = kube::core::response::StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: fields.iter().map(cause).collect(),
            retry_after_seconds: 0,
        };
        let status = Status::failure(message, "")
            .with_code(code)
            .with_details(details);
        let error = kube::Error::Api(status.boxed());
        ClusterError::rejected("applying the Job \"a\"", "ci", &error)
    }

    #[test]
    fn each_rejection_has_its_kind_and_remedy() {
        for (code, message, kind, remedy) in [
            (
                401,
                "Unauthorized",
                ClusterErrorKind::Unauthorized,
                "whoami",
            ),
            (
                403,
                "jobs.batch is forbidden: User \"x\" cannot patch resource",
                ClusterErrorKind::Forbidden,
                "k8s/rbac",
            ),
            (
                403,
                "pods \"a\" is forbidden: exceeded quota: q",
                ClusterErrorKind::Denied,
                "quota",
            ),
            (
                403,
                "admission webhook \"x\" denied the request: no",
                ClusterErrorKind::Denied,
                "policy",
            ),
            (
                404,
                "namespaces \"ci\" not found",
                ClusterErrorKind::NotFound,
                "render",
            ),
            (
                404,
                "jobs.batch \"a\" not found",
                ClusterErrorKind::NotFound,
                "deleted",
            ),
            (
                409,
                "Apply failed with 1 conflict: conflict with \"x\": .spec.backoffLimit",
                ClusterErrorKind::Conflict,
                "another --id",
            ),
            (
                422,
                "Job.batch \"a\" is invalid: spec.template: Invalid value: field is immutable",
                ClusterErrorKind::Immutable,
                "another template",
            ),
            (
                400,
                "strict decoding error: unknown field \"spec.x\"",
                ClusterErrorKind::Invalid,
                "--patch",
            ),
            (429, "", ClusterErrorKind::Limited, "--concurrency"),
            (503, "", ClusterErrorKind::Unavailable, "reachable"),
        ] {
            let error = rejected(code, message);
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.to_string().contains(remedy), "{error}");
        }
    }

    #[test]
    fn only_a_conflict_about_suspend_means_started() {
        assert!(conflicting(409, "conflict", &[".spec.suspend"]).is_started());
        assert!(!conflicting(409, "conflict", &[".spec.backoffLimit"]).is_started());
        assert!(!conflicting(422, "invalid", &[".spec.suspend"]).is_started());
        assert!(!rejected(409, "conflict with \"x\": .spec.suspend").is_started());
    }
}
