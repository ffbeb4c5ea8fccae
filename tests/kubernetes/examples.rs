//! Other agents than GitHub's and CircleCI's: their examples are whole, valid, and set what the supervisor takes.

use std::process::Command;

use serde_json::Value;
use support::supervisor;

use crate::manifests::{kustomize, objects};
use crate::schemas::validate;
use crate::standards::level;

/// Each with the program that is its agent.
const EXAMPLES: [(&str, &str); 3] = [
    ("buildkite", "buildkite-agent"),
    ("gitlab", "gitlab-runner"),
    ("forgejo", "forgejo-runner"),
];

fn job(objects: &[Value]) -> &Value {
    objects.iter().find(|found| found["kind"] == "Job").unwrap()
}

fn words(value: &Value) -> Vec<&str> {
    let words = value.as_array().into_iter().flatten();
    words.map(|word| word.as_str().unwrap()).collect()
}

#[test]
fn every_example_is_valid_and_needs_no_privileged_namespace() {
    for (name, program) in EXAMPLES {
        let yaml = kustomize(&format!("k8s/examples/{name}"));
        let objects = objects(&yaml);
        validate(name, &yaml, objects.len());
        let pod = &job(&objects)["spec"]["template"]["spec"];
        let (found, forbidden) = level(pod);
        assert_eq!(found, "baseline", "{name}: {forbidden}");
        let runner = &pod["containers"][0];
        let arguments = words(&runner["args"]).join(" ");
        assert!(
            arguments.starts_with("run --flavor=exec -- "),
            "{arguments}"
        );
        assert!(arguments.contains(program), "{arguments}");
    }
}

#[test]
fn the_supervisor_takes_every_examples_settings_and_each_staged_key_is_one_of_the_agents() {
    for (name, _) in EXAMPLES {
        let objects = objects(&kustomize(&format!("k8s/examples/{name}")));
        let pod = &job(&objects)["spec"]["template"]["spec"];
        let runner = &pod["containers"][0];
        let variables = runner["env"].as_array().unwrap();
        let variables = variables.iter().map(|variable| {
            let text = |key: &str| variable[key].as_str().unwrap();
            (text("name"), text("value"))
        });
        let output = Command::new(supervisor())
            .args(["config", "--json"])
            .envs(variables)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {said}");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        for key in words(&pod["initContainers"][0]["args"])[3..].iter() {
            assert!(shown.contains(&format!("\"{key}\"")), "{name}: {shown}");
        }
    }
}
