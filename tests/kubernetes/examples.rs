//! Examples for agents of other CI services: each is complete, and has only settings that the supervisor accepts.

use std::process::Command;

use serde_json::Value;
use support::supervisor;

use crate::manifests::all;

/// Each with the program that is its agent.
const EXAMPLES: [(&str, &str); 3] = [
    ("buildkite", "buildkite-agent"),
    ("gitlab", "gitlab-runner"),
    ("forgejo", "forgejo-runner"),
];

fn pod(name: &str) -> &'static Value {
    let name = format!("example {name}");
    all().iter().find(|one| one.name == name).unwrap().pod()
}

fn words(value: &Value) -> Vec<&str> {
    let words = value.as_array().into_iter().flatten();
    words.map(|word| word.as_str().unwrap()).collect()
}

#[test]
fn every_example_runs_its_agent() {
    for (name, program) in EXAMPLES {
        let runner = &pod(name)["containers"][0];
        let arguments = words(&runner["args"]).join(" ");
        assert!(
            arguments.starts_with("run --flavor=exec -- "),
            "{arguments}"
        );
        assert!(arguments.contains(program), "{arguments}");
    }
}

#[test]
fn each_staged_key_is_one_of_the_agents() {
    for (name, _) in EXAMPLES {
        let pod = pod(name);
        let variables = pod["containers"][0]["env"].as_array().unwrap();
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
