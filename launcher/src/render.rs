//! Renders the objects of one launch from a template. It sends no request.
//!
//! | module | |
//! |---|---|
//! | [`overlay`] | flavor, shape and profile: which manifests of `k8s/` |
//! | [`template`] | the manifests that the launcher embeds, or the user's own |
//! | [`images`] | image names and their registry |
//! | [`patch`] | strategic merge patches |
//! | [`yaml`] | reading and writing YAML streams |

mod error;
pub mod images;
pub(crate) mod labels;
mod namespace;
pub mod overlay;
pub mod patch;
pub mod template;
mod volumes;
pub mod yaml;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::id::{Id, Prefix};
use crate::secret::Secret;
pub use error::{RenderError, TemplateError};
use images::Images;
use labels::{
    ID_LABEL, INSTANCE_LABEL, MANAGED_BY, MANAGED_BY_LABEL, QUEUE_LABEL, label, label_job,
};
use namespace::set_namespace;
pub use overlay::{Flavor, Profile, Shape};
use template::Template;
use volumes::secret_volume;

/// An installation's changes to a template. They are the same for every job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// The namespace, in place of the template's.
    pub namespace: Option<String>,
    /// The images' registry, tag and replacements.
    pub images: Images,
    /// Strategic merge patches, in order. Each is for the Job, or for the object whose `kind` (and name) it states.
    pub patches: Vec<Value>,
}

/// A template with an installation's overrides. It renders the objects of any number of launches.
#[derive(Debug, Clone, PartialEq)]
pub struct Renderer {
    template: Template,
    namespace: String,
    queued: bool,
}

impl Renderer {
    /// Applies overrides to a template.
    ///
    /// ```
    /// use launcher::render::{Flavor, Overrides, Profile, Renderer, Shape};
    /// use launcher::render::{images::Images, template::Template};
    ///
    /// let template = Template::embedded(Flavor::Github, Shape::Split, Profile::Rootless)?;
    /// let overrides = Overrides {
    ///     images: Images { registry: Some("registry.example/ci".to_owned()), ..Images::default() },
    ///     patches: vec![serde_json::json!({"spec": {"activeDeadlineSeconds": 3600}})],
    ///     ..Overrides::default()
    /// };
    /// let renderer = Renderer::new(template, &overrides)?;
    /// let job = renderer.job(&"runner".parse()?, &"build-4711".parse()?, None);
    /// assert_eq!(job["metadata"]["name"], "runner-build-4711");
    /// assert_eq!(job["spec"]["activeDeadlineSeconds"], 3600);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If a patch cannot be merged, an image has no registry, or the pod has no volume for the runner's token.
    pub fn new(mut template: Template, overrides: &Overrides) -> Result<Self, RenderError> {
        for patch in &overrides.patches {
            apply_patch(&mut template, patch)?;
        }
        if let Some(namespace) = &overrides.namespace {
            set_namespace(&mut template, namespace);
        }
        let pod = &mut template.job["spec"]["template"]["spec"];
        overrides.images.apply(pod).map_err(RenderError::Image)?;
        if secret_volume(pod).is_none() {
            return Err(RenderError::NoSecretVolume);
        }
        label_job(&mut template.job, &[(MANAGED_BY_LABEL, MANAGED_BY)]);
        let namespace = template.namespace().unwrap_or("default").to_owned();
        let queued = template.job["metadata"]["labels"]
            .get(QUEUE_LABEL)
            .is_some();
        Ok(Self {
            template,
            namespace,
            queued,
        })
    }

    /// Returns the namespace of the jobs.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns whether Kueue starts the jobs, because the Job has a queue's label.
    #[must_use]
    pub fn queued(&self) -> bool {
        self.queued
    }

    /// Returns the objects that a namespace needs once for all jobs: the namespace itself, the service account and the
    /// network policy.
    #[must_use]
    pub fn shared_objects(&self) -> &[Value] {
        &self.template.shared
    }

    /// Renders the Job of one launch. Its pod mounts the Secret `secret`, or one of the Job's own name.
    #[must_use]
    pub fn job(&self, prefix: &Prefix, id: &Id, secret: Option<&str>) -> Value {
        let mut job = self.template.job.clone();
        let name = prefix.name(id);
        if let Some(volume) = secret_volume(&mut job["spec"]["template"]["spec"]) {
            volume["secret"]["secretName"] = secret.unwrap_or(&name).into();
        }
        let id = id.to_string();
        label_job(&mut job, &[(ID_LABEL, &id), (INSTANCE_LABEL, &name)]);
        job["metadata"]["name"] = name.into();
        job
    }

    /// Renders the Secret of one launch, without its owner reference.
    #[must_use]
    pub fn secret(&self, prefix: &Prefix, id: &Id, key: &str, value: &Secret) -> Value {
        let mut secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": prefix.name(id), "namespace": self.namespace},
            "type": "Opaque",
            "immutable": true,
            "data": {key: STANDARD.encode(value.expose())},
        });
        let id = id.to_string();
        label(
            &mut secret,
            &[(MANAGED_BY_LABEL, MANAGED_BY), (ID_LABEL, &id)],
        );
        secret
    }
}

/// Merges a patch into the object of the template that it is for.
fn apply_patch(template: &mut Template, patch: &Value) -> Result<(), RenderError> {
    let kind = patch["kind"].as_str().unwrap_or("Job").to_owned();
    let name = patch["metadata"]["name"].as_str();
    let objects = || std::iter::once(&template.job).chain(&template.shared);
    let wanted = |object: &&Value| {
        object["kind"] == *kind && name.is_none_or(|name| object["metadata"]["name"] == name)
    };
    let Some(at) = objects().position(|object| wanted(&object)) else {
        let present: Vec<String> = objects().map(kind_and_name).collect();
        return Err(RenderError::NoTarget {
            wanted: name.map_or(kind.clone(), |name| format!("{kind} \"{name}\"")),
            present: present.join(", "),
        });
    };
    let target = match at.checked_sub(1) {
        None => &mut template.job,
        Some(at) => &mut template.shared[at],
    };
    patch::merge(target, patch).map_err(|error| RenderError::Patch { kind, error })
}

fn kind_and_name(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    format!(
        "{} \"{}\"",
        text(&object["kind"]),
        text(&object["metadata"]["name"])
    )
}

#[cfg(test)]
mod tests {
    use super::yaml::parse_patch;
    use super::*;

    fn renderer(overrides: Overrides) -> Result<Renderer, RenderError> {
        let template = Template::embedded(Flavor::Github, Shape::Split, Profile::Rootless)?;
        let registry = Some("registry.example/ci".to_owned());
        let images = Images {
            registry,
            ..overrides.images
        };
        Renderer::new(
            template,
            &Overrides {
                images,
                ..overrides
            },
        )
    }

    fn job(renderer: &Renderer, secret: Option<&str>) -> Value {
        renderer.job(&"runner".parse().unwrap(), &"a".parse().unwrap(), secret)
    }

    #[test]
    fn a_job_has_its_own_name_labels_and_secret() {
        let renderer = renderer(Overrides::default()).unwrap();
        let own = job(&renderer, None);
        let pod = &own["spec"]["template"];
        for labels in [&own["metadata"]["labels"], &pod["metadata"]["labels"]] {
            assert_eq!(labels[ID_LABEL], "a");
            assert_eq!(labels[MANAGED_BY_LABEL], MANAGED_BY);
            assert_eq!(labels[INSTANCE_LABEL], "runner-a");
            assert_eq!(labels["app.kubernetes.io/component"], "runner");
        }
        let secret = |job: &Value| {
            let mut pod = job["spec"]["template"]["spec"].clone();
            secret_volume(&mut pod).unwrap()["secret"]["secretName"].take()
        };
        assert_eq!(secret(&own), "runner-a");
        assert_eq!(secret(&job(&renderer, Some("mine"))), "mine");
    }

    #[test]
    fn only_the_runners_secret_is_renamed_in_every_overlay() {
        for flavor in [Flavor::Github, Flavor::Circleci] {
            for shape in [Shape::Split, Shape::Single] {
                for profile in [Profile::Rootless, Profile::Userns] {
                    let template = Template::embedded(flavor, shape, profile).unwrap();
                    let registry = Some("registry.example".to_owned());
                    let images = Images {
                        registry,
                        ..Images::default()
                    };
                    let overrides = Overrides {
                        images,
                        ..Overrides::default()
                    };
                    let job = job(&Renderer::new(template, &overrides).unwrap(), None);
                    let volumes = job["spec"]["template"]["spec"]["volumes"].as_array();
                    let secrets: Vec<(&str, &str)> = volumes
                        .unwrap()
                        .iter()
                        .filter_map(|volume| {
                            let name = volume["secret"]["secretName"].as_str()?;
                            Some((volume["name"].as_str()?, name))
                        })
                        .collect();
                    let expected = [
                        ("mounted-runner-secrets", "runner-a"),
                        ("mounted-registry-secrets", "registry"),
                    ];
                    assert_eq!(secrets, expected);
                }
            }
        }
    }

    #[test]
    fn a_secret_is_immutable_and_has_the_jobs_name() {
        let renderer = renderer(Overrides::default()).unwrap();
        let value = Secret::new("x".to_owned());
        let secret = renderer.secret(
            &"runner".parse().unwrap(),
            &"a".parse().unwrap(),
            "jitconfig",
            &value,
        );
        assert_eq!(secret["immutable"], true);
        assert_eq!(secret["metadata"]["name"], "runner-a");
        assert_eq!(secret["data"]["jitconfig"], "eA==");
    }

    #[test]
    fn the_rest_of_the_template_is_unchanged() {
        let template = Template::embedded(Flavor::Github, Shape::Split, Profile::Rootless).unwrap();
        let mut job = job(&renderer(Overrides::default()).unwrap(), Some("github"));
        let restored = |image: &str| {
            image
                .replace("registry.example/ci", "ci-cd-agents")
                .replace(":0.1.0", "")
        };
        for list in ["initContainers", "containers"] {
            for container in job["spec"]["template"]["spec"][list]
                .as_array_mut()
                .unwrap()
            {
                container["image"] = restored(container["image"].as_str().unwrap()).into();
            }
        }
        for labels in ["/metadata/labels", "/spec/template/metadata/labels"] {
            let before = template.job.pointer(labels).unwrap();
            let labels = job.pointer_mut(labels).unwrap().as_object_mut().unwrap();
            labels.remove(ID_LABEL).unwrap();
            for own in [MANAGED_BY_LABEL, INSTANCE_LABEL] {
                labels[own] = before[own].clone();
            }
        }
        job["metadata"]["name"] = "runner".into();
        assert_eq!(job, template.job);
    }

    #[test]
    fn patches_change_the_job_and_other_objects() {
        let patches = parse_patch(
            "metadata: {labels: {kueue.x-k8s.io/queue-name: ci}}\n---\nkind: ServiceAccount\nmetadata: {annotations: {a: b}}\n",
            "x",
        );
        let patched = renderer(Overrides {
            patches: patches.unwrap(),
            namespace: Some("elsewhere".to_owned()),
            ..Overrides::default()
        })
        .unwrap();
        assert!(patched.queued() && !renderer(Overrides::default()).unwrap().queued());
        assert_eq!(patched.namespace(), "elsewhere");
        let account = patched
            .shared_objects()
            .iter()
            .find(|other| other["kind"] == "ServiceAccount")
            .unwrap();
        assert_eq!(account["metadata"]["annotations"]["a"], "b");
        assert_eq!(account["metadata"]["namespace"], "elsewhere");
        let namespace = patched
            .shared_objects()
            .iter()
            .find(|other| other["kind"] == "Namespace")
            .unwrap();
        assert_eq!(namespace["metadata"]["name"], "elsewhere");
    }

    #[test]
    fn errors_name_the_input_and_the_remedy() {
        let with = |patch: Value| {
            let patches = vec![patch];
            renderer(Overrides {
                patches,
                ..Overrides::default()
            })
            .unwrap_err()
            .to_string()
        };
        assert!(
            with(json!({"kind": "Deployment"}))
                .contains("for Deployment, but the template has only Job \"runner\"")
        );
        assert!(with(json!({"spec": {"template": {"spec": {"volumes": [{"name": "mounted-runner-secrets", "$patch": "delete"}]}}}})).contains("no volume"));
        assert!(
            with(json!({"spec": {"$x": 1}}))
                .starts_with("the patch for Job cannot be merged: spec:")
        );
        let template = Template::embedded(Flavor::Github, Shape::Split, Profile::Rootless).unwrap();
        let error = Renderer::new(template, &Overrides::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("--registry"), "{error}");
        assert!(matches!(
            parse_patch("[1]", "x"),
            Err(RenderError::NotAMap { .. })
        ));
    }
}
