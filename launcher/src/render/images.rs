//! Where the images come from: the template names them as kustomize's `images` do, and an installation says what they are.

use serde_json::Value;

/// What the template's own image names begin with. No registry has them.
const PLACEHOLDER: &str = "ci-cd-agents/";

/// Which image takes the place of which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Images {
    /// A registry, with or without a namespace, that has this project's images under their own names.
    pub registry: Option<String>,
    /// Their tag, or `sha256:…`.
    pub tag: Option<String>,
    /// Single ones: the template's name, and the whole reference that takes its place.
    pub replaced: Vec<(String, String)>,
}

impl Images {
    /// What an image of the template becomes, or nothing where it stays a placeholder.
    #[must_use]
    pub fn resolve(&self, image: &str) -> Option<String> {
        let (name, _) = split(image);
        if let Some((_, reference)) = self.replaced.iter().find(|(from, _)| from == name) {
            return Some(reference.clone());
        }
        let Some(own) = name.strip_prefix(PLACEHOLDER) else {
            return Some(image.to_owned());
        };
        let registry = self.registry.as_deref()?.trim_end_matches('/');
        let tag = self.tag.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"));
        let separator = if tag.starts_with("sha256:") { '@' } else { ':' };
        Some(format!("{registry}/{own}{separator}{tag}"))
    }

    /// Names the images of a pod's containers; the first that nobody named is the error.
    pub(super) fn apply(&self, pod: &mut Value) -> Result<(), String> {
        for list in ["initContainers", "containers"] {
            for container in pod[list].as_array_mut().into_iter().flatten() {
                if let Some(image) = container["image"].as_str() {
                    container["image"] =
                        self.resolve(image).ok_or_else(|| image.to_owned())?.into();
                }
            }
        }
        Ok(())
    }
}

/// A reference's name and the rest, its tag or digest. A colon before the last slash is a port's.
fn split(image: &str) -> (&str, &str) {
    let last = image.rfind('/').map_or(0, |at| at + 1);
    let end = image[last..]
        .find(['@', ':'])
        .map_or(image.len(), |at| last + at);
    image.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_resolved() {
        let images = Images {
            registry: Some("registry.example:5000/ci/".to_owned()),
            tag: Some("1.2".to_owned()),
            replaced: vec![(
                "ci-cd-agents/builder".to_owned(),
                "other.example/b@sha256:0".to_owned(),
            )],
        };
        for (from, to) in [
            (
                "ci-cd-agents/runner-github",
                "registry.example:5000/ci/runner-github:1.2",
            ),
            (
                "ci-cd-agents/runner:old",
                "registry.example:5000/ci/runner:1.2",
            ),
            ("ci-cd-agents/builder", "other.example/b@sha256:0"),
            ("registry.example:5000/x", "registry.example:5000/x"),
        ] {
            assert_eq!(images.resolve(from).as_deref(), Some(to));
        }
    }

    #[test]
    fn a_placeholder_needs_a_registry() {
        assert_eq!(Images::default().resolve("ci-cd-agents/runner"), None);
        assert_eq!(
            Images::default().resolve("example/runner").as_deref(),
            Some("example/runner")
        );
        let digest = Images {
            registry: Some("r".to_owned()),
            tag: Some("sha256:00".to_owned()),
            ..Images::default()
        };
        assert_eq!(
            digest.resolve("ci-cd-agents/runner").as_deref(),
            Some("r/runner@sha256:00")
        );
    }
}
