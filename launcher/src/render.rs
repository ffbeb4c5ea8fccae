//! From a template to the objects of one launch. Nothing here talks to anybody.

pub mod images;
pub mod patch;
pub mod template;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::id::{Id, Prefix};
use crate::secret::Secret;
use images::Images;
use template::{Template, TemplateError};

/// The value of `app.kubernetes.io/managed-by` on every object that a launch makes.
pub const MANAGED_BY: &str = "ci-cd-agents-launcher";
/// Kubernetes' label for it.
const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Kubernetes' label for the one of several: a launch's name.
const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
/// The label with the launch's id.
pub const ID_LABEL: &str = "ci-cd-agents/id";
/// The label by which Kueue knows its Jobs. It starts them itself.
pub const QUEUE_LABEL: &str = "kueue.x-k8s.io/queue-name";
/// The volume whose Secret the runner's tokens come from.
const SECRET_VOLUME: &str = "mounted-runner-secrets";

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            /// Its name in `k8s/overlays`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(format!("it is one of {}", [$($text),*].join(", "))),
                }
            }
        }
    };
}

choice! {
    /// Which runner.
    Flavor {
        /// GitHub Actions.
        Github = "github",
        /// CircleCI.
        Circleci = "circleci",
    }
}
choice! {
    /// One container or two.
    Shape {
        /// The builder beside the job.
        Split = "split",
        /// Both in one.
        Single = "single",
    }
}
choice! {
    /// What the nodes offer.
    Profile {
        /// Unprivileged user namespaces.
        Rootless = "rootless",
        /// Pods with a user namespace of their own.
        Userns = "userns",
    }
}

impl Flavor {
    /// The key of the Secret that the runner's tokens are under.
    #[must_use]
    pub const fn secret_key(self) -> &'static str {
        match self {
            Self::Github => "jitconfig",
            Self::Circleci => "resource_class_token",
        }
    }
}

/// Why a job cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The template.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A patch that does not fit its object.
    #[error("the patch does not fit {kind}: {error}")]
    Patch {
        /// The object.
        kind: String,
        /// Why.
        error: patch::PatchError,
    },
    /// A patch for an object that the template does not have.
    #[error("the patch is for {wanted}, which the template does not have; it has {had}")]
    NoTarget {
        /// The object.
        wanted: String,
        /// What there is.
        had: String,
    },
    /// A patch that is no map.
    #[error(
        "{from}: the patch is not a map of an object's fields, as in \"spec: {{activeDeadlineSeconds: 3600}}\""
    )]
    NoMap {
        /// The option or file.
        from: String,
    },
    /// An image that nobody named.
    #[error(
        "the template's image \"{0}\" is a name without a registry: say where yours are with --registry REGISTRY, or --image {0}=REFERENCE"
    )]
    Image(String),
    /// The template mounts no Secret where the tokens belong.
    #[error(
        "the template's pod has no volume \"{SECRET_VOLUME}\" with a Secret, where the runner's tokens come from"
    )]
    NoSecretVolume,
}

/// What one installation adds to a template, whatever the job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Adjustments {
    /// Another namespace than the template's.
    pub namespace: Option<String>,
    /// Where the images are.
    pub images: Images,
    /// Strategic merge patches, in turn: for the Job, or for the object whose `kind` (and name) they state.
    pub patches: Vec<Value>,
}

/// A template with an installation's adjustments: what [`Blueprint::job`] makes jobs of.
#[derive(Debug, Clone, PartialEq)]
pub struct Blueprint {
    template: Template,
    namespace: String,
    queued: bool,
}

impl Blueprint {
    /// Adjusts a template.
    ///
    /// ```
    /// use launcher::render::{Adjustments, Blueprint, Flavor, Profile, Shape};
    /// use launcher::render::{images::Images, template::Template};
    ///
    /// let template = Template::carried(Flavor::Github, Shape::Split, Profile::Rootless)?;
    /// let adjustments = Adjustments {
    ///     images: Images { registry: Some("registry.example/ci".to_owned()), ..Images::default() },
    ///     patches: vec![serde_json::json!({"spec": {"activeDeadlineSeconds": 3600}})],
    ///     ..Adjustments::default()
    /// };
    /// let blueprint = Blueprint::new(template, &adjustments)?;
    /// let job = blueprint.job(&"runner".parse()?, &"build-4711".parse()?, None);
    /// assert_eq!(job["metadata"]["name"], "runner-build-4711");
    /// assert_eq!(job["spec"]["activeDeadlineSeconds"], 3600);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Where a patch does not fit, an image has no registry, or the pod mounts no Secret.
    pub fn new(mut template: Template, adjustments: &Adjustments) -> Result<Self, RenderError> {
        for patch in &adjustments.patches {
            apply(&mut template, patch)?;
        }
        if let Some(namespace) = &adjustments.namespace {
            rename_namespace(&mut template, namespace);
        }
        let pod = &mut template.job["spec"]["template"]["spec"];
        adjustments.images.apply(pod).map_err(RenderError::Image)?;
        if secret_volume(pod).is_none() {
            return Err(RenderError::NoSecretVolume);
        }
        label(&mut template.job, &[(MANAGED_BY_LABEL, MANAGED_BY)]);
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

    /// Where its jobs run.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether Kueue starts its jobs.
    #[must_use]
    pub fn queued(&self) -> bool {
        self.queued
    }

    /// What a namespace needs once, beside any job: the namespace itself, the service account, the network policy.
    #[must_use]
    pub fn others(&self) -> &[Value] {
        &self.template.others
    }

    /// The Job of one launch. Its tokens come from the Secret `secret`, or from one of its own name.
    #[must_use]
    pub fn job(&self, prefix: &Prefix, id: &Id, secret: Option<&str>) -> Value {
        let mut job = self.template.job.clone();
        let name = prefix.name(id);
        if let Some(volume) = secret_volume(&mut job["spec"]["template"]["spec"]) {
            volume["secret"]["secretName"] = secret.unwrap_or(&name).into();
        }
        let id = id.to_string();
        label(&mut job, &[(ID_LABEL, &id), (INSTANCE_LABEL, &name)]);
        job["metadata"]["name"] = name.into();
        job
    }

    /// The Secret of one launch, without its owner.
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
        let labels = [(MANAGED_BY_LABEL, MANAGED_BY), (ID_LABEL, id.as_str())];
        label_object(&mut secret, &labels);
        secret
    }
}

/// A patch from text: YAML or JSON, one document.
///
/// # Errors
/// Where it is neither, or no map.
pub fn parse_patch(text: &str, from: &str) -> Result<Vec<Value>, RenderError> {
    let patches = template::documents(text, from)?;
    if patches.is_empty() || patches.iter().any(|patch| !patch.is_object()) {
        let from = from.to_owned();
        return Err(RenderError::NoMap { from });
    }
    Ok(patches)
}

/// Objects as a YAML stream.
#[must_use]
pub fn yaml<'a>(objects: impl IntoIterator<Item = &'a Value>) -> String {
    let mut stream = String::new();
    for object in objects {
        // JSON's values are YAML's, so this cannot fail.
        let text = serde_saphyr::to_string(object).unwrap_or_default();
        let _ = write!(stream, "---\n{text}");
    }
    stream
}

fn apply(template: &mut Template, patch: &Value) -> Result<(), RenderError> {
    let kind = patch["kind"].as_str().unwrap_or("Job").to_owned();
    let name = patch["metadata"]["name"].as_str();
    let objects = || std::iter::once(&template.job).chain(&template.others);
    let wanted = |object: &&Value| {
        object["kind"] == *kind && name.is_none_or(|name| object["metadata"]["name"] == name)
    };
    let Some(at) = objects().position(|object| wanted(&object)) else {
        let had: Vec<String> = objects().map(described).collect();
        return Err(RenderError::NoTarget {
            wanted: name.map_or(kind.clone(), |name| format!("{kind} \"{name}\"")),
            had: had.join(", "),
        });
    };
    let target = match at.checked_sub(1) {
        None => &mut template.job,
        Some(at) => &mut template.others[at],
    };
    patch::merge(target, patch).map_err(|error| RenderError::Patch { kind, error })
}

fn described(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    format!(
        "{} \"{}\"",
        text(&object["kind"]),
        text(&object["metadata"]["name"])
    )
}

/// Cluster-wide objects state no namespace, and so get none; a binding's subjects move with their accounts.
fn rename_namespace(template: &mut Template, namespace: &str) {
    let before = template.namespace().map(str::to_owned);
    template.job["metadata"]["namespace"] = namespace.into();
    for object in &mut template.others {
        if object["kind"] == "Namespace" {
            object["metadata"]["name"] = namespace.into();
        } else if before.is_none() || object["metadata"]["namespace"].is_string() {
            object["metadata"]["namespace"] = namespace.into();
        }
        let subjects = object.get_mut("subjects").and_then(Value::as_array_mut);
        for subject in subjects.into_iter().flatten() {
            if before
                .as_deref()
                .is_some_and(|of| subject["namespace"] == of)
            {
                subject["namespace"] = namespace.into();
            }
        }
    }
}

fn secret_volume(pod: &mut Value) -> Option<&mut Value> {
    let volumes = pod["volumes"].as_array_mut()?;
    let found = volumes
        .iter_mut()
        .find(|volume| volume["name"] == SECRET_VOLUME);
    found.filter(|volume| volume["secret"].is_object())
}

/// On the Job and on its pod.
fn label(job: &mut Value, labels: &[(&str, &str)]) {
    label_object(job, labels);
    label_object(&mut job["spec"]["template"], labels);
}

fn label_object(object: &mut Value, labels: &[(&str, &str)]) {
    for (key, value) in labels {
        object["metadata"]["labels"][*key] = (*value).into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blueprint(adjustments: Adjustments) -> Result<Blueprint, RenderError> {
        let template = Template::carried(Flavor::Github, Shape::Split, Profile::Rootless)?;
        let registry = Some("registry.example/ci".to_owned());
        let images = Images {
            registry,
            ..adjustments.images
        };
        Blueprint::new(
            template,
            &Adjustments {
                images,
                ..adjustments
            },
        )
    }

    fn job(blueprint: &Blueprint, secret: Option<&str>) -> Value {
        blueprint.job(&"runner".parse().unwrap(), &"a".parse().unwrap(), secret)
    }

    #[test]
    fn a_job_has_its_own_name_labels_and_secret() {
        let blueprint = blueprint(Adjustments::default()).unwrap();
        let own = job(&blueprint, None);
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
        assert_eq!(secret(&job(&blueprint, Some("mine"))), "mine");
    }

    #[test]
    fn the_secret_is_the_runners_in_every_overlay_and_never_the_registrys() {
        for flavor in [Flavor::Github, Flavor::Circleci] {
            for shape in [Shape::Split, Shape::Single] {
                for profile in [Profile::Rootless, Profile::Userns] {
                    let template = Template::carried(flavor, shape, profile).unwrap();
                    let registry = Some("registry.example".to_owned());
                    let images = Images {
                        registry,
                        ..Images::default()
                    };
                    let adjustments = Adjustments {
                        images,
                        ..Adjustments::default()
                    };
                    let job = job(&Blueprint::new(template, &adjustments).unwrap(), None);
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
    fn another_namespace_reaches_a_bindings_subjects_and_nothing_cluster_wide() {
        let mut template =
            Template::carried(Flavor::Github, Shape::Split, Profile::Rootless).unwrap();
        template.others = vec![
            json!({"kind": "PriorityClass", "metadata": {"name": "a"}}),
            json!({"kind": "RoleBinding", "metadata": {"name": "a", "namespace": "ci-cd-agents"}, "subjects": [
                {"kind": "ServiceAccount", "name": "runner", "namespace": "ci-cd-agents"},
                {"kind": "ServiceAccount", "name": "other", "namespace": "other"},
            ]}),
        ];
        rename_namespace(&mut template, "x");
        let [class, binding] = template.others.as_slice() else {
            panic!("two objects")
        };
        let unchanged = json!({"kind": "PriorityClass", "metadata": {"name": "a"}});
        assert_eq!(*class, unchanged);
        assert_eq!(binding["metadata"]["namespace"], "x");
        assert_eq!(binding["subjects"][0]["namespace"], "x");
        assert_eq!(binding["subjects"][1]["namespace"], "other");
    }

    #[test]
    fn a_secret_is_immutable_and_named_as_its_job() {
        let blueprint = blueprint(Adjustments::default()).unwrap();
        let value = Secret::new("x".to_owned());
        let secret = blueprint.secret(
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
    fn strings_that_yaml_could_take_for_something_else_are_quoted() {
        let texts = [
            "yes", "n", "null", "0755", "1e3", "1:30", ".inf", "a: b", "#a", "a\n",
        ];
        let written = yaml([&json!(texts)]);
        // YAML 1.1, which kubectl reads, has more words for true, false and null, and more forms of numbers.
        for text in &texts[..7] {
            assert!(written.contains(&format!("\"{text}\"")), "{written}");
        }
        assert_eq!(template::documents(&written, "x").unwrap(), [json!(texts)]);
    }

    #[test]
    fn nothing_else_of_the_template_changes() {
        let template = Template::carried(Flavor::Github, Shape::Split, Profile::Rootless).unwrap();
        let mut job = job(&blueprint(Adjustments::default()).unwrap(), Some("github"));
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
    fn patches_reach_the_job_and_other_objects() {
        let patches = parse_patch(
            "metadata: {labels: {kueue.x-k8s.io/queue-name: ci}}\n---\nkind: ServiceAccount\nmetadata: {annotations: {a: b}}\n",
            "x",
        );
        let patched = blueprint(Adjustments {
            patches: patches.unwrap(),
            namespace: Some("elsewhere".to_owned()),
            ..Adjustments::default()
        })
        .unwrap();
        assert!(patched.queued() && !blueprint(Adjustments::default()).unwrap().queued());
        assert_eq!(patched.namespace(), "elsewhere");
        let account = patched
            .others()
            .iter()
            .find(|other| other["kind"] == "ServiceAccount")
            .unwrap();
        assert_eq!(account["metadata"]["annotations"]["a"], "b");
        assert_eq!(account["metadata"]["namespace"], "elsewhere");
        let namespace = patched
            .others()
            .iter()
            .find(|other| other["kind"] == "Namespace")
            .unwrap();
        assert_eq!(namespace["metadata"]["name"], "elsewhere");
    }

    #[test]
    fn what_cannot_be_rendered_says_why() {
        let with = |patch: Value| {
            let patches = vec![patch];
            blueprint(Adjustments {
                patches,
                ..Adjustments::default()
            })
            .unwrap_err()
            .to_string()
        };
        assert!(
            with(json!({"kind": "Deployment"})).contains(
                "for Deployment, which the template does not have; it has Job \"runner\""
            )
        );
        assert!(with(json!({"spec": {"template": {"spec": {"volumes": [{"name": "mounted-runner-secrets", "$patch": "delete"}]}}}})).contains("no volume"));
        assert!(with(json!({"spec": {"$x": 1}})).starts_with("the patch does not fit Job: spec:"));
        let template = Template::carried(Flavor::Github, Shape::Split, Profile::Rootless).unwrap();
        let error = Blueprint::new(template, &Adjustments::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("--registry"), "{error}");
        assert!(matches!(
            parse_patch("[1]", "x"),
            Err(RenderError::NoMap { .. })
        ));
    }
}
