//! The media types of what leaves, and that they change nothing of the steps.

use crate::fixture::{Fixture, Program, REGISTRY};

const PIPE: &str = r#"["/bin/bash","-o","pipefail","-c"]"#;

/// Options of `docker build` after which the image has OCI's media types.
fn options(image: &str) -> [String; 3] {
    [
        format!("type=image,oci-mediatypes=true,name={image},push=true"),
        format!("type=image,compression=zstd,name={image},push=true"),
        "type=oci,dest=image.tar".to_owned(),
    ]
}

#[test]
fn media_types_change_nothing_of_the_steps() {
    let fixture = Fixture::start("media-types");
    let base = format!("FROM {REGISTRY}/base:trixie\nSHELL {PIPE}\n");
    let failing = fixture.context("failing", &format!("{base}RUN false | true\n"));
    let passing = fixture.context("passing", &format!("{base}RUN [[ x == x ]] | cat\n"));
    let image = format!("{REGISTRY}/media-types:1");
    for output in options(&image) {
        let build = |context: &str| {
            fixture.run(
                Program::Docker,
                &["build", "--no-cache", "-o", &output, context],
            )
        };
        let ran = build(&failing);
        assert_ne!(ran.code, 0, "{output}: {}{}", ran.stdout, ran.stderr);
        let ran = build(&passing);
        assert_eq!(ran.code, 0, "{output}: {}{}", ran.stdout, ran.stderr);
        if output.contains("push=true") {
            assert_eq!(media_type(&fixture, "media-types", "1"), OCI, "{output}");
        }
    }
    fixture.docker(&["build", "--no-cache", "-t", &image, "--push", &passing]);
    assert_eq!(media_type(&fixture, "media-types", "1"), DOCKER);
}

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// Returns the media type of a manifest in the registry.
fn media_type(fixture: &Fixture, name: &str, tag: &str) -> String {
    let address = format!("http://{REGISTRY}/v2/{name}/manifests/{tag}");
    let accept = format!("Accept: {OCI}, {DOCKER}");
    let line = ["curl", "--silent", "--fail", "--header", &accept, &address];
    let manifest = fixture.inside(&line).stdout;
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    manifest["mediaType"].as_str().unwrap().to_owned()
}
