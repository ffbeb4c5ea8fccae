//! Templates: the manifests of `k8s/` that the launcher embeds, or the user's own.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::TemplateError;
use super::overlay::{Flavor, Profile, Shape};
use super::yaml::documents;

/// A Job, and the objects that a namespace needs once for all jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    pub(super) job: Value,
    pub(super) shared: Vec<Value>,
}

macro_rules! embedded {
    ($($flavor:ident $shape:ident $profile:ident => $name:literal),* $(,)?) => {
        const fn embedded(flavor: Flavor, shape: Shape, profile: Profile) -> &'static str {
            match (flavor, shape, profile) {
                $((Flavor::$flavor, Shape::$shape, Profile::$profile) =>
                    include_str!(concat!("../../templates/", $name, ".yaml")),)*
            }
        }
    };
}

// scripts/generate_templates.sh renders these files from k8s/overlays. A test compares them.
embedded! {
    Github Split Rootless => "github-split-rootless",
    Github Split Userns => "github-split-userns",
    Github Single Rootless => "github-single-rootless",
    Github Single Userns => "github-single-userns",
    Circleci Split Rootless => "circleci-split-rootless",
    Circleci Split Userns => "circleci-split-userns",
    Circleci Single Rootless => "circleci-single-rootless",
    Circleci Single Userns => "circleci-single-userns",
}

impl Template {
    /// Returns the embedded template for an overlay of `k8s/overlays`.
    ///
    /// # Errors
    /// Never: a test reads every embedded template.
    pub fn embedded(flavor: Flavor, shape: Shape, profile: Profile) -> Result<Self, TemplateError> {
        Self::parse(embedded(flavor, shape, profile), "the embedded template")
    }

    /// Loads a template: a YAML file, a directory of YAML files, or a directory that `kubectl kustomize` renders.
    ///
    /// # Errors
    /// If it cannot be read, is not YAML, or does not have exactly one Job.
    pub fn load(path: &Path) -> Result<Self, TemplateError> {
        let from = path.display().to_string();
        Self::parse(&read(path)?, &from)
    }

    /// Parses a stream of YAML documents. `from` names the source in errors.
    ///
    /// # Errors
    /// As [`Template::load`].
    pub fn parse(yaml: &str, from: &str) -> Result<Self, TemplateError> {
        let objects = documents(yaml, from)?;
        for (object, field) in objects
            .iter()
            .flat_map(|o| ["kind", "apiVersion"].map(|f| (o, f)))
        {
            if !object[field].is_string() {
                let from = from.to_owned();
                return Err(TemplateError::Incomplete { from, field });
            }
        }
        let (mut jobs, shared): (Vec<Value>, Vec<Value>) = objects
            .into_iter()
            .partition(|object| object["kind"] == "Job");
        match (jobs.pop(), jobs.len()) {
            (Some(job), 0) => Ok(Self { job, shared }),
            (job, rest) => Err(TemplateError::Jobs {
                from: from.to_owned(),
                found: rest + usize::from(job.is_some()),
            }),
        }
    }

    /// Returns the namespace that the Job states.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.job["metadata"]["namespace"].as_str()
    }
}

fn read(path: &Path) -> Result<String, TemplateError> {
    let unreadable = |error| TemplateError::Unreadable {
        path: path.to_owned(),
        error,
    };
    if !path.metadata().map_err(unreadable)?.is_dir() {
        return std::fs::read_to_string(path).map_err(unreadable);
    }
    if ["kustomization.yaml", "kustomization.yml", "Kustomization"]
        .iter()
        .any(|name| path.join(name).exists())
    {
        return kustomize(path);
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(path)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        })
        .map_err(unreadable)?;
    files.retain(|file| {
        file.extension()
            .is_some_and(|end| end == "yaml" || end == "yml")
    });
    files.sort();
    let texts: Result<Vec<String>, TemplateError> = files.iter().map(|file| read(file)).collect();
    Ok(texts?.join("\n---\n"))
}

fn kustomize(path: &Path) -> Result<String, TemplateError> {
    let failed = |message: String| TemplateError::Kustomize {
        path: path.to_owned(),
        message,
    };
    let mut kubectl = std::process::Command::new("kubectl");
    let output = kubectl.arg("kustomize").arg(path).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ));
    }
    String::from_utf8(output.stdout).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\n";

    #[test]
    fn every_overlay_is_embedded() {
        for flavor in [Flavor::Github, Flavor::Circleci] {
            for shape in [Shape::Split, Shape::Single] {
                for profile in [Profile::Rootless, Profile::Userns] {
                    let template = Template::embedded(flavor, shape, profile).unwrap();
                    assert_eq!(
                        template.job["metadata"]["labels"]["ci-cd-agents/flavor"],
                        flavor.name()
                    );
                    assert_eq!(template.shared.len(), 3);
                }
            }
        }
    }

    #[test]
    fn a_template_has_exactly_one_job() {
        for (yaml, found) in [("", 0), (&format!("{JOB}---\n{JOB}"), 2)] {
            let error = Template::parse(yaml, "x").unwrap_err();
            assert!(
                matches!(error, TemplateError::Jobs { found: is, .. } if is == found),
                "{error}"
            );
        }
        assert!(
            Template::parse("a: b", "x")
                .unwrap_err()
                .to_string()
                .contains("kind")
        );
        assert!(
            Template::parse("a: [", "x")
                .unwrap_err()
                .to_string()
                .starts_with("x is not YAML")
        );
    }

    #[test]
    fn a_directory_is_read_file_by_file() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("b.yaml"), JOB).unwrap();
        std::fs::write(
            directory.path().join("a.yml"),
            "apiVersion: v1\nkind: Namespace\n",
        )
        .unwrap();
        std::fs::write(directory.path().join("README"), "not: [yaml").unwrap();
        let template = Template::load(directory.path()).unwrap();
        assert_eq!(template.shared.len(), 1);
        let error = Template::load(&directory.path().join("none")).unwrap_err();
        assert!(error.to_string().contains("none cannot be read"), "{error}");
    }
}
