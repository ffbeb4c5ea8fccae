//! One image with the fields of Docker's type, from Buildah's output. Source: <https://docs.docker.com/reference/api/engine/>.

use serde_json::{Value, json};

use super::digests::Digests;
use super::reference::familiar;

/// Returns the image that `buildah inspect` and `buildah images --json` describe.
pub(super) fn docker_image(inspected: &Value, listed: &Value, known: &Digests) -> Value {
    let image = &inspected["OCIv1"];
    let docker = &inspected["Docker"];
    let manifest = inspected["Manifest"].as_str().unwrap_or("{}");
    let manifest: Value = serde_json::from_str(manifest).unwrap_or_default();
    let layers = manifest["layers"].as_array().into_iter().flatten();
    let size: u64 = layers.filter_map(|layer| layer["size"].as_u64()).sum();
    let names = listed[0]["names"].as_array().cloned().unwrap_or_default();
    let names = names.iter().filter_map(Value::as_str).map(familiar);
    let mut tags: Vec<_> = names.collect();
    // Docker prints `localhost/app` and `docker.io/library/app` as one name.
    let mut seen = std::collections::BTreeSet::new();
    tags.retain(|name| seen.insert(*name));
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let id = format!("sha256:{}", text(&inspected["FromImageID"]));
    let history = image["history"].as_array();
    let last = history.and_then(|history| history.last());
    let comment = match text(&docker["comment"]) {
        comment if comment.is_empty() => {
            last.map_or_else(String::new, |last| text(&last["comment"]))
        }
        comment => comment,
    };
    json!({
        "Id": id,
        "RepoTags": tags,
        "RepoDigests": known.of_image(&id),
        "Parent": text(&docker["parent"]),
        "Comment": comment,
        "Created": image["created"],
        "DockerVersion": text(&docker["docker_version"]),
        "Author": text(&image["author"]),
        "Architecture": image["architecture"],
        "Variant": text(&image["variant"]),
        "Os": image["os"],
        "OsVersion": text(&image["os.version"]),
        "Size": size,
        "VirtualSize": size,
        "GraphDriver": {"Data": null, "Name": ""},
        "Config": config(&docker["config"]),
        "RootFS": {"Type": "layers", "Layers": image["rootfs"]["diff_ids"]},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
    })
}

/// Returns the configuration with all of Docker's fields. A field that the image does not set has Go's zero value.
fn config(config: &Value) -> Value {
    let mut all = json!({
        "Hostname": "", "Domainname": "", "User": "", "AttachStdin": false, "AttachStdout": false,
        "AttachStderr": false, "ExposedPorts": null, "Tty": false, "OpenStdin": false,
        "StdinOnce": false, "Env": null, "Cmd": null, "Healthcheck": null, "ArgsEscaped": false,
        "Image": "", "Volumes": null, "WorkingDir": "", "Entrypoint": null, "OnBuild": null,
        "Labels": null, "StopSignal": "", "Shell": null,
    });
    for (name, value) in config.as_object().into_iter().flatten() {
        // Buildah writes an empty list where nothing is set, and Docker writes null.
        let unset = match value {
            Value::Array(items) => items.is_empty() && name != "Cmd",
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        all[name] = if unset { Value::Null } else { value.clone() };
    }
    all
}
