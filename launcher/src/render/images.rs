//! Image names: the template has placeholders, and an installation says which images take their place.

use serde_json::Value;

/// The prefix of the template's placeholders. No registry has images of these names.
const PLACEHOLDER: &str = "ci-cd-agents/";

/// The images of an installation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Images {
    /// A registry, with or without a namespace, that has this project's images under their own names.
    pub registry: Option<String>,
    /// The images' tag, or a digest as in `sha256:…`. `None` is the launcher's version.
    pub tag: Option<String>,
    /// Replacements of single images: the template's name, and the complete reference that takes its place.
    pub replacements: Vec<(String, String)>,
}

impl Images {
    /// Returns the reference for an image of the template, or `None` if it is a placeholder without a registry.
    fn resolve(&self, image: &str) -> Option<String> {
        let (name, _) = split(image);
        if let Some((_, reference)) = self.replacements.iter().find(|(from, _)| from == name) {
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

    /// Replaces the images of a pod's containers. The error is the first placeholder without a registry.
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

/// Splits a reference into its name and its tag or digest. A colon before the last slash belongs to a port.
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
    fn placeholders_are_resolved() {
        let images = Images {
            registry: Some("registry.example:5000/ci/".to_owned()),
            tag: Some("1.2".to_owned()),
            replacements: vec![(
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
