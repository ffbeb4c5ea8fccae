//! Moves a template to another namespace, as kustomize's `namespace` field does.

use serde_json::Value;

use super::template::Template;

/// Sets the namespace of every namespaced object, the name of the Namespace object, and the subjects of bindings.
///
/// An object that states no namespace is cluster-wide and stays as it is, if the template's Job states one.
pub(super) fn set_namespace(template: &mut Template, namespace: &str) {
    let before = template.namespace().map(str::to_owned);
    template.job["metadata"]["namespace"] = namespace.into();
    for object in &mut template.shared {
        if object["kind"] == "Namespace" {
            object["metadata"]["name"] = namespace.into();
        } else if before.is_none() || object["metadata"]["namespace"].is_string() {
            object["metadata"]["namespace"] = namespace.into();
        }
        let subjects = object.get_mut("subjects").and_then(Value::as_array_mut);
        for subject in subjects.into_iter().flatten() {
            let moves = before
                .as_deref()
                .is_some_and(|before| subject["namespace"] == before);
            if moves {
                subject["namespace"] = namespace.into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::overlay::{Flavor, Profile, Shape};
    use super::*;
    use serde_json::json;

    #[test]
    fn bindings_subjects_move_and_cluster_wide_objects_stay() {
        let mut template =
            Template::embedded(Flavor::Github, Shape::Split, Profile::Rootless).unwrap();
        template.shared = vec![
            json!({"kind": "PriorityClass", "metadata": {"name": "a"}}),
            json!({"kind": "RoleBinding", "metadata": {"name": "a", "namespace": "ci-cd-agents"}, "subjects": [
                {"kind": "ServiceAccount", "name": "runner", "namespace": "ci-cd-agents"},
                {"kind": "ServiceAccount", "name": "other", "namespace": "other"},
            ]}),
        ];
        set_namespace(&mut template, "x");
        let [class, binding] = template.shared.as_slice() else {
            panic!("two objects")
        };
        let unchanged = json!({"kind": "PriorityClass", "metadata": {"name": "a"}});
        assert_eq!(*class, unchanged);
        assert_eq!(binding["metadata"]["namespace"], "x");
        assert_eq!(binding["subjects"][0]["namespace"], "x");
        assert_eq!(binding["subjects"][1]["namespace"], "other");
    }
}
