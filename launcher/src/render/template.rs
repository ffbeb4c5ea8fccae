//! The template: the manifests of `k8s/` as this launcher carries them, or one's own.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Flavor, Profile, Shape};

/// Why a template cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// Not readable.
    #[error("the template {path} cannot be read: {error}")]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Not YAML.
    #[error("{from} is not YAML: {error}")]
    Yaml {
        /// The file, or where else it came from.
        from: String,
        /// Where and why.
        error: Box<serde_saphyr::Error>,
    },
    /// An object without its kind or name.
    #[error("{from}: an object has no \"{field}\"")]
    Incomplete {
        /// The file.
        from: String,
        /// The field.
        field: &'static str,
    },
    /// None or several Jobs.
    #[error("{from} has {found} Jobs; a template is one Job and what is applied beside it")]
    Jobs {
        /// The file.
        from: String,
        /// How many.
        found: usize,
    },
    /// `kubectl kustomize` failed.
    #[error(
        "\"kubectl kustomize {path}\" failed: {said}; a template may also be a file: kubectl kustomize DIRECTORY > FILE"
    )]
    Kustomize {
        /// The directory.
        path: PathBuf,
        /// What it said.
        said: String,
    },
}

/// The objects of one job: its Job, and what a namespace needs once.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    pub(super) job: Value,
    pub(super) others: Vec<Value>,
}

macro_rules! carried {
    ($($flavor:ident $shape:ident $profile:ident => $name:literal),* $(,)?) => {
        const fn carried(flavor: Flavor, shape: Shape, profile: Profile) -> &'static str {
            match (flavor, shape, profile) {
                $((Flavor::$flavor, Shape::$shape, Profile::$profile) =>
                    include_str!(concat!("../../templates/", $name, ".yaml")),)*
            }
        }
    };
}

// scripts/generate_templates.sh renders them from k8s/overlays; a test holds them to it.
carried! {
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
    /// An overlay of `k8s/`.
    ///
    /// # Errors
    /// None that a test has not excluded.
    pub fn carried(flavor: Flavor, shape: Shape, profile: Profile) -> Result<Self, TemplateError> {
        Self::parse(
            carried(flavor, shape, profile),
            "the launcher's own template",
        )
    }

    /// One's own: a YAML file, a directory of them, or a directory that kustomize renders.
    ///
    /// # Errors
    /// Where it cannot be read, is no YAML, or has another number of Jobs than one.
    pub fn load(path: &Path) -> Result<Self, TemplateError> {
        let from = path.display().to_string();
        Self::parse(&read(path)?, &from)
    }

    /// A stream of YAML documents.
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
        let (mut jobs, others): (Vec<Value>, Vec<Value>) = objects
            .into_iter()
            .partition(|object| object["kind"] == "Job");
        match (jobs.pop(), jobs.len()) {
            (Some(job), 0) => Ok(Self { job, others }),
            (job, rest) => Err(TemplateError::Jobs {
                from: from.to_owned(),
                found: rest + usize::from(job.is_some()),
            }),
        }
    }

    /// The namespace that its Job names.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.job["metadata"]["namespace"].as_str()
    }
}

/// The documents of a YAML stream, empty ones left out.
///
/// # Errors
/// Where it is no YAML.
pub(super) fn documents(yaml: &str, from: &str) -> Result<Vec<Value>, TemplateError> {
    // The core schema of YAML 1.2: `yes` and `0755` are strings, and the API server rejects them if it wants something else.
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    };
    let documents = serde_saphyr::from_multiple_with_options::<Value>(yaml, options);
    let documents = documents.map_err(|error| TemplateError::Yaml {
        from: from.to_owned(),
        error: Box::new(error),
    })?;
    Ok(documents
        .into_iter()
        .filter(|document| !document.is_null())
        .collect())
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
    let failed = |said: String| TemplateError::Kustomize {
        path: path.to_owned(),
        said,
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
    fn every_combination_is_carried() {
        for flavor in [Flavor::Github, Flavor::Circleci] {
            for shape in [Shape::Split, Shape::Single] {
                for profile in [Profile::Rootless, Profile::Userns] {
                    let template = Template::carried(flavor, shape, profile).unwrap();
                    assert_eq!(
                        template.job["metadata"]["labels"]["ci-cd-agents/flavor"],
                        flavor.name()
                    );
                    assert_eq!(template.others.len(), 3);
                }
            }
        }
    }

    #[test]
    fn a_template_has_one_job() {
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
    fn plain_scalars_follow_the_core_schema() {
        let read = documents(
            "{a: yes, b: 0755, c: 1_000, d: 12:30, e: 0x1f, f: 'true', g: ~}",
            "x",
        );
        let expected = serde_json::json!({
            "a": "yes", "b": "0755", "c": "1_000", "d": "12:30", "e": 31, "f": "true", "g": null
        });
        assert_eq!(read.unwrap(), [expected]);
    }

    #[test]
    fn a_directory_is_its_files() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("b.yaml"), JOB).unwrap();
        std::fs::write(
            directory.path().join("a.yml"),
            "apiVersion: v1\nkind: Namespace\n",
        )
        .unwrap();
        std::fs::write(directory.path().join("README"), "not: [yaml").unwrap();
        let template = Template::load(directory.path()).unwrap();
        assert_eq!(template.others.len(), 1);
        let error = Template::load(&directory.path().join("none")).unwrap_err();
        assert!(error.to_string().contains("none cannot be read"), "{error}");
    }
}
