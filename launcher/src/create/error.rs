//! What the API server's refusals mean, and what has to be changed for each.

use std::time::Duration;

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No cluster, or no way to it, is configured.
    Config,
    /// 401.
    Unauthorized,
    /// 403: a right that the role lacks.
    Forbidden,
    /// 403: admission or quota.
    Denied,
    /// 404.
    NotFound,
    /// 409.
    Conflict,
    /// 422: an immutable object is another one.
    Immutable,
    /// 400 or 422.
    Invalid,
    /// 429.
    Limited,
    /// 5xx, no connection, or no answer in time.
    Unavailable,
}

/// A request that failed: what for, what the API server said, and the cure.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}: {said}. {cure}")]
pub struct ClusterError {
    /// What was to be done.
    pub what: String,
    /// The API server's words, or the network's.
    pub said: String,
    /// What has to be changed.
    pub cure: String,
    /// Which kind.
    pub cause: Cause,
}

impl ClusterError {
    pub(super) fn config(error: &dyn std::error::Error) -> Self {
        Self {
            what: "finding the cluster".to_owned(),
            said: chain(error),
            cure: "Name a kubeconfig in KUBECONFIG and a context in --context, or run in a pod whose service account has the role in k8s/rbac".to_owned(),
            cause: Cause::Config,
        }
    }

    pub(super) fn late(what: &str, after: Duration) -> Self {
        let said = format!("no answer within {} seconds", after.as_secs());
        Self {
            what: what.to_owned(),
            said,
            cure: cure(Cause::Unavailable, "", ""),
            cause: Cause::Unavailable,
        }
    }

    pub(crate) fn refused(what: &str, namespace: &str, error: &kube::Error) -> Self {
        let (cause, said) = match error {
            kube::Error::Api(answer) => {
                (cause(answer.code, &answer.message), answer.message.clone())
            }
            other => (Cause::Unavailable, chain(other)),
        };
        Self {
            what: what.to_owned(),
            cure: cure(cause, &said, namespace),
            said,
            cause,
        }
    }

    /// Whether the same request may succeed a moment later.
    pub(super) fn passes(&self) -> bool {
        matches!(self.cause, Cause::Limited | Cause::Unavailable)
    }

    /// Whether no later request will fare better.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self.cause, Cause::Unauthorized | Cause::Forbidden)
    }

    /// Whether it is the conflict that says that somebody has started the Job.
    pub(super) fn is_started(&self) -> bool {
        self.cause == Cause::Conflict && self.said.contains(".spec.suspend")
    }
}

fn cause(code: u16, said: &str) -> Cause {
    let denied = [
        "admission",
        "exceeded quota",
        "violates PodSecurity",
        "denied the request",
    ];
    match code {
        401 => Cause::Unauthorized,
        403 if denied.iter().any(|word| said.contains(word)) => Cause::Denied,
        403 => Cause::Forbidden,
        404 => Cause::NotFound,
        409 => Cause::Conflict,
        422 if said.contains("immutable") => Cause::Immutable,
        429 => Cause::Limited,
        500.. => Cause::Unavailable,
        _ => Cause::Invalid,
    }
}

fn cure(cause: Cause, said: &str, namespace: &str) -> String {
    match cause {
        Cause::Unauthorized => {
            "The kubeconfig's credentials are expired or withdrawn: log in again (kubectl auth whoami)".to_owned()
        }
        Cause::Forbidden => format!(
            "The account lacks this right in the namespace \"{namespace}\": k8s/rbac has roles with what the launcher needs"
        ),
        Cause::Denied if said.contains("quota") => format!(
            "Raise the namespace's quota, wait for jobs to end, or let Kueue queue them (kubectl -n {namespace} describe quota)"
        ),
        Cause::Denied => {
            "A policy of the cluster refuses the object as it is: change the policy, or the object with --patch; the pod needs no more than the standard \"baseline\"".to_owned()
        }
        Cause::NotFound if said.contains("namespaces") => format!(
            "There is no namespace \"{namespace}\": launcher render … | kubectl apply -f - makes it and what belongs there"
        ),
        Cause::NotFound => "It is gone: somebody removed it meanwhile; launch again".to_owned(),
        Cause::Conflict => {
            "Somebody else manages these fields of an object with the launch's name: take another --id".to_owned()
        }
        Cause::Immutable => {
            "This --id was launched with another template, other patches or other images: take another id, or remove that Job".to_owned()
        }
        Cause::Invalid => "A --patch or --template makes an object that the API does not know: its words name the field".to_owned(),
        Cause::Limited => "The API server is busy: launch fewer at once with --concurrency".to_owned(),
        Cause::Unavailable | Cause::Config => {
            "Is the cluster reachable from here (kubectl version)? The same --id makes no second job".to_owned()
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut beneath = error.source();
    while let Some(error) = beneath {
        let text = error.to_string();
        // kube's own errors quote what is beneath them.
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        beneath = error.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, message: &str) -> ClusterError {
        let status = kube::core::Status::failure(message, "").with_code(code);
        let error = kube::Error::Api(status.boxed());
        ClusterError::refused("applying the Job \"a\"", "ci", &error)
    }

    #[test]
    fn each_refusal_has_its_cause_and_cure() {
        for (code, said, cause, cure) in [
            (401, "Unauthorized", Cause::Unauthorized, "whoami"),
            (
                403,
                "jobs.batch is forbidden: User \"x\" cannot patch resource",
                Cause::Forbidden,
                "k8s/rbac",
            ),
            (
                403,
                "pods \"a\" is forbidden: exceeded quota: q",
                Cause::Denied,
                "quota",
            ),
            (
                403,
                "admission webhook \"x\" denied the request: no",
                Cause::Denied,
                "policy",
            ),
            (
                404,
                "namespaces \"ci\" not found",
                Cause::NotFound,
                "render",
            ),
            (404, "jobs.batch \"a\" not found", Cause::NotFound, "gone"),
            (
                409,
                "Apply failed with 1 conflict: conflict with \"x\": .spec.backoffLimit",
                Cause::Conflict,
                "another --id",
            ),
            (
                422,
                "Job.batch \"a\" is invalid: spec.template: Invalid value: field is immutable",
                Cause::Immutable,
                "another template",
            ),
            (
                400,
                "strict decoding error: unknown field \"spec.x\"",
                Cause::Invalid,
                "--patch",
            ),
            (429, "", Cause::Limited, "--concurrency"),
            (503, "", Cause::Unavailable, "reachable"),
        ] {
            let error = refused(code, said);
            assert_eq!(error.cause, cause, "{error}");
            assert!(error.to_string().contains(cure), "{error}");
        }
    }

    #[test]
    fn only_the_conflict_about_suspend_means_started() {
        let conflict = "Apply failed with 1 conflict: conflict with \"ci-cd-agents-launcher-start\" using batch/v1: .spec.suspend";
        assert!(refused(409, conflict).is_started());
        assert!(!refused(409, "conflict with \"x\": .spec.backoffLimit").is_started());
        assert!(!refused(422, ".spec.suspend").is_started());
    }
}
