//! `docker buildx bake` with the command lines of docker/bake-action.

use crate::fixture::{Fixture, REGISTRY};
use crate::json;

const DEFINITION: &str = r#"
variable "VERSION" { default = "dev" }
target "docker-metadata-action" {}
target "_base" {
  context = "base"
}
target "app" {
  name = "app-${flavor}"
  inherits = ["docker-metadata-action"]
  matrix = { flavor = ["a", "b"] }
  context = "app"
  contexts = { base = "target:_base" }
  args = { FLAVOR = flavor, VERSION = VERSION }
  tags = ["REGISTRY/bake/app:${flavor}"]
}
target "inline" {
  context = "app"
  dockerfile-inline = <<EOT
FROM scratch
COPY word /inline
EOT
  output = ["type=local,dest=inline-out"]
}
"#;

/// As docker/metadata-action writes it.
const METADATA: &str =
    r#"{"target": {"docker-metadata-action": {"labels": {"from": "metadata ${1 + 1}"}}}}"#;

/// Runs a line in the directory of the test.
fn bake(fixture: &Fixture, line: &str) -> String {
    let directory = fixture.path(".").display().to_string();
    let script = format!("cd {directory} && {line}");
    let ran = fixture.inside(&["sh", "-c", &script]);
    assert_eq!(ran.code, 0, "{line}: {}{}", ran.stdout, ran.stderr);
    ran.stdout
}

#[test]
fn a_definition_is_printed_built_and_pushed() {
    let fixture = Fixture::start("bake");
    let definition = DEFINITION.replace("REGISTRY", REGISTRY);
    fixture.write("docker-bake.hcl", &definition);
    fixture.write("metadata.json", METADATA);
    fixture.write("base/Dockerfile", "FROM scratch\nCOPY word /base\n");
    fixture.write("base/word", "base");
    fixture.write(
        "app/Dockerfile",
        "FROM base\nARG FLAVOR\nARG VERSION\nLABEL flavor=$FLAVOR version=$VERSION\nCOPY word /app\n",
    );
    fixture.write("app/word", "app");

    let files = "--file ./docker-bake.hcl --file ./metadata.json";
    let printed = bake(&fixture, &format!("docker buildx bake {files} --print app"));
    let printed = json(&printed);
    assert_eq!(printed["group"]["app"]["targets"][1], "app-b");
    assert_eq!(printed["target"]["app-a"]["args"]["VERSION"], "dev");
    assert_eq!(printed["target"]["app-a"]["labels"]["from"], "metadata 2");
    assert_eq!(printed["target"]["_base"]["output"][0]["type"], "cacheonly");

    bake(
        &fixture,
        &format!(
            "VERSION=7 docker buildx bake {files} --set '*.labels.set=yes' --metadata-file meta.json --provenance=false --no-cache --push app"
        ),
    );
    let metadata = json(&fixture.read("meta.json"));
    for flavor in ["a", "b"] {
        let target = &metadata[format!("app-{flavor}")];
        assert_eq!(
            target["containerimage.digest"],
            fixture.digest("bake/app", flavor)
        );
        let name = format!("{REGISTRY}/bake/app:{flavor}");
        assert_eq!(target["image.name"], name);
        let labels = "{{.flavor}} {{.version}} {{.from}} {{.set}}";
        let format = format!("{{{{with .Config.Labels}}}}{labels}{{{{end}}}}");
        let found = fixture.docker(&["inspect", "-f", &format, &name]);
        assert_eq!(found, format!("{flavor} 7 metadata 2 yes\n"));
        assert_eq!(fixture.file_of(&name, "/base"), "base");
    }
    assert!(metadata.get("_base").is_none(), "{metadata}");
    let images = fixture.docker(&["images", "--format", "{{.Repository}}"]);
    assert!(!images.contains("localhost/bake-"), "{images}");

    bake(&fixture, "docker bake inline");
    assert_eq!(fixture.read("inline-out/inline"), "app");
    let piped = "docker buildx bake -f - --print inline <docker-bake.hcl";
    assert_eq!(
        json(&bake(&fixture, piped))["target"]["inline"]["context"],
        "app"
    );
}
