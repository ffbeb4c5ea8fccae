//! Rendering the manifests: each overlay, each component on it, all components at once, and each example.

use std::sync::{LazyLock, Mutex};

use serde_json::Value;
use support::manifests::{kustomize, kustomize_own, parse};
use support::root;

/// Flavors, shapes and profiles: each combination is an overlay.
const FLAVORS: [&str; 2] = ["github", "circleci"];
const SHAPES: [&str; 2] = ["single", "split"];
const PROFILES: [&str; 2] = ["userns", "rootless"];

/// Examples that are whole by themselves.
const EXAMPLES: [&str; 4] = ["buildkite", "forgejo", "gitlab", "production"];

/// What `kubectl apply -k` would send.
#[derive(Debug, Clone)]
pub(crate) struct Rendering {
    pub(crate) name: String,
    /// The components that were added to the overlay.
    pub(crate) components: Vec<String>,
    pub(crate) objects: Vec<Value>,
}

impl Rendering {
    /// The one object of a kind.
    pub(crate) fn of_kind(&self, kind: &str) -> &Value {
        let mut found = self.objects.iter().filter(|object| object["kind"] == kind);
        let one = found
            .next()
            .unwrap_or_else(|| panic!("{}: no {kind}", self.name));
        assert!(
            found.next().is_none(),
            "{}: more than one {kind}",
            self.name
        );
        one
    }

    pub(crate) fn job(&self) -> &Value {
        self.of_kind("Job")
    }

    pub(crate) fn pod(&self) -> &Value {
        &self.job()["spec"]["template"]["spec"]
    }

    /// `shape` or `profile`, as the Job itself says.
    pub(crate) fn label(&self, what: &str) -> &str {
        label(self.job(), what)
    }

    pub(crate) fn has(&self, component: &str) -> bool {
        self.components.iter().any(|one| one == component)
    }
}

/// A label of the project's own.
pub(crate) fn label<'a>(job: &'a Value, what: &str) -> &'a str {
    let label = &job["metadata"]["labels"][format!("ci-cd-agents/{what}")];
    label.as_str().unwrap_or_else(|| panic!("no label {what}"))
}

/// The directories under k8s/components.
pub(crate) fn components() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("k8s/components")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// The overlays' names.
pub(crate) fn overlays() -> Vec<String> {
    let mut all = Vec::new();
    for flavor in FLAVORS {
        for shape in SHAPES {
            all.extend(PROFILES.map(|profile| format!("{flavor}-{shape}-{profile}")));
        }
    }
    all
}

/// What is to be rendered: a name, the directory, and components on top of it.
type Wanted = (String, String, Vec<String>);

fn wanted() -> Vec<Wanted> {
    let mut all = Vec::new();
    let components = components();
    let reversed: Vec<String> = components.iter().rev().cloned().collect();
    for (number, overlay) in overlays().into_iter().enumerate() {
        let directory = format!("k8s/overlays/{overlay}");
        let mut want = |what: &str, components: &[String]| {
            all.push((
                format!("{overlay}{what}"),
                directory.clone(),
                components.to_vec(),
            ));
        };
        want("", &[]);
        want(" with all components", &components);
        if number < 4 {
            want(" with all components, last first", &reversed);
        }
        // A flavor changes nothing that a component does: each of its overlays takes half of them.
        for (other, component) in components.iter().enumerate() {
            if (number / 4 + other) % 2 == 0 {
                want(
                    &format!(" with {component}"),
                    std::slice::from_ref(component),
                );
            }
        }
    }
    for example in EXAMPLES {
        let added = if example == "production" {
            added_by_production()
        } else {
            Vec::new()
        };
        all.push((
            format!("example {example}"),
            format!("k8s/examples/{example}"),
            Vec::new(),
        ));
        all.last_mut().unwrap().2 = added;
    }
    all
}

/// The example brings its components itself.
fn added_by_production() -> Vec<String> {
    let file = root().join("k8s/examples/production/kustomization.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let names = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- ../../components/"));
    names.map(str::to_owned).collect()
}

/// Everything, rendered once.
pub(crate) fn all() -> &'static [Rendering] {
    static ALL: LazyLock<Vec<Rendering>> = LazyLock::new(|| {
        let wanted = wanted();
        let yaml = in_parallel(&wanted, |(_, directory, components)| {
            if directory.starts_with("k8s/examples/") {
                kustomize(directory)
            } else {
                with(directory, components)
            }
        });
        let objects = parse(&yaml);
        let made = wanted.into_iter().zip(objects);
        made.map(|((name, _, components), objects)| Rendering {
            name,
            components,
            objects,
        })
        .collect()
    });
    &ALL
}

/// The overlays alone.
pub(crate) fn plain() -> Vec<&'static Rendering> {
    let names = overlays();
    let plain = all().iter().filter(|one| names.contains(&one.name));
    plain.collect()
}

/// Does the same to each, on a few threads.
pub(crate) fn in_parallel<T: Sync, R: Send>(of: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let queue = Mutex::new(of.iter().enumerate());
    let next = || queue.lock().unwrap().next();
    let worker = || {
        let mut done = Vec::new();
        while let Some((number, one)) = next() {
            done.push((number, work(one)));
        }
        done
    };
    let mut all = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
        let done = workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap());
        done.collect::<Vec<_>>()
    });
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, result)| result).collect()
}

/// An overlay of a user's own: a directory, and components on top of it.
fn with(directory: &str, components: &[String]) -> String {
    let mut text = format!("resources: [../../{directory}]\ncomponents:\n");
    for component in components {
        text += &format!("  - ../../k8s/components/{component}\n");
    }
    kustomize_own(&text, &[])
}

#[test]
fn init_containers_run_in_their_order_whatever_is_added() {
    for rendering in all() {
        let init = rendering.pod()["initContainers"].as_array().unwrap();
        let names: Vec<&str> = init
            .iter()
            .map(|one| one["name"].as_str().unwrap())
            .collect();
        let mut expected = vec!["stage-runner-secrets", "stage-registry-secrets"];
        if rendering.label("shape") == "split" {
            expected.push("builder");
        }
        assert_eq!(names, expected, "{}", rendering.name);
    }
}

#[test]
fn labels_each_overlay_as_kubernetes_recommends() {
    for rendering in plain() {
        let name = ["flavor", "shape", "profile"].map(|what| rendering.label(what));
        assert_eq!(name.join("-"), rendering.name);
        for object in &rendering.objects {
            let labels = &object["metadata"]["labels"];
            for key in ["name", "instance", "version", "part-of", "managed-by"] {
                let label = &labels[format!("app.kubernetes.io/{key}")];
                assert!(
                    label.is_string(),
                    "{}: {key} of {}",
                    rendering.name,
                    object["kind"]
                );
            }
        }
        let template = &rendering.job()["spec"]["template"]["metadata"];
        let annotation = &template["annotations"]["kubectl.kubernetes.io/default-container"];
        assert_eq!(annotation, "runner");
        let version = &template["labels"]["app.kubernetes.io/version"];
        assert_eq!(version, env!("CARGO_PKG_VERSION"));
    }
}
