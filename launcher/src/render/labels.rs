//! The labels of a launch's objects, and the selector that finds them again.

use serde_json::Value;

/// The value of `app.kubernetes.io/managed-by` on every object that a launch creates.
pub(super) const MANAGED_BY: &str = "ci-cd-agents-launcher";
/// The label with the launch's id.
pub(super) const ID_LABEL: &str = "ci-cd-agents/id";
/// Kueue's label for the queue of a Job. Kueue itself starts a Job that has it.
pub(crate) const QUEUE_LABEL: &str = "kueue.x-k8s.io/queue-name";
pub(super) const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Kubernetes' label that tells one instance of an application from the others: a launch's name.
pub(super) const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";

/// Returns the label selector that matches everything a launcher created.
pub(crate) fn managed_by_launcher() -> String {
    format!("{MANAGED_BY_LABEL}={MANAGED_BY}")
}

/// Sets labels on a Job and on its pod template.
pub(super) fn label_job(job: &mut Value, labels: &[(&str, &str)]) {
    label(job, labels);
    label(&mut job["spec"]["template"], labels);
}

/// Sets labels on an object.
pub(super) fn label(object: &mut Value, labels: &[(&str, &str)]) {
    for (key, value) in labels {
        object["metadata"]["labels"][*key] = (*value).into();
    }
}
