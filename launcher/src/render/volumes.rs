//! The pod's volume with the runner's token.

use serde_json::Value;

/// The volume whose Secret holds the runner's token.
pub(super) const SECRET_VOLUME: &str = "mounted-runner-secrets";

/// Finds the volume [`SECRET_VOLUME`] of a pod's spec, if it has a Secret as its source.
pub(super) fn secret_volume(pod: &mut Value) -> Option<&mut Value> {
    let volumes = pod["volumes"].as_array_mut()?;
    let named = volumes
        .iter_mut()
        .find(|volume| volume["name"] == SECRET_VOLUME);
    named.filter(|volume| volume["secret"].is_object())
}
