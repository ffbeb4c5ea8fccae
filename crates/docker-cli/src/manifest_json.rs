//! The fields of manifests and lists, as registries have them.

use serde_json::{Map, Value};

pub(crate) const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Returns the media type of a manifest. A manifest of OCI's may leave it out.
pub(crate) fn media_type(manifest: &Value) -> Option<&str> {
    let written = manifest["mediaType"].as_str();
    let found = match written {
        Some(_) => written,
        None if manifest["manifests"].is_array() => Some(OCI_INDEX),
        None if manifest["config"].is_object() => Some(OCI_IMAGE),
        None => None,
    };
    found.filter(|kind| [DOCKER_IMAGE, DOCKER_LIST, OCI_IMAGE, OCI_INDEX].contains(kind))
}

/// Returns whether a descriptor or a manifest is one of a list.
pub(crate) fn is_list(descriptor: &Value) -> bool {
    matches!(media_type_of(descriptor), DOCKER_LIST | OCI_INDEX)
}

/// Returns the media type that a descriptor or a manifest states.
pub(crate) fn media_type_of(descriptor: &Value) -> &str {
    descriptor["mediaType"].as_str().unwrap_or_default()
}

/// Returns `OS/ARCHITECTURE[/VARIANT]`.
pub(crate) fn platform_text(platform: &Value) -> String {
    let parts =
        ["os", "architecture", "variant"].map(|key| platform[key].as_str().unwrap_or_default());
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("/")
}

/// Returns the platform of an image by its config.
pub(crate) fn platform(config: &Value) -> Value {
    let mut platform = Map::new();
    for key in ["architecture", "os", "variant", "os.version", "os.features"] {
        if !config[key].is_null() {
            platform.insert(key.to_owned(), config[key].clone());
        }
    }
    platform.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_config_has_the_platform() {
        let config = json!({"os": "linux", "architecture": "arm", "variant": "v7", "config": {}});
        assert_eq!(platform_text(&platform(&config)), "linux/arm/v7");
        assert_eq!(platform(&config).as_object().unwrap().len(), 3);
    }
}
