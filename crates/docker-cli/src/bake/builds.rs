//! The command line of `docker build` for each target.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bake::{Resolved, Target};
use pflag::csv::CsvFields;

use super::super::error::TranslateError;
use super::sources::{Place, dockerfile, is_remote, local};

/// The build of one target.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TargetBuild {
    /// The target.
    pub(crate) name: String,
    /// The arguments of `docker`.
    pub(crate) arguments: Vec<String>,
    /// The scratch directory of the build. It needs its own name: images are called after it.
    pub(crate) scratch: PathBuf,
    /// The text of the Dockerfile, and the file for it.
    pub(crate) inline: Option<(PathBuf, String)>,
    /// The file with the build's metadata. Targets that others use have none.
    pub(crate) metadata: Option<PathBuf>,
    /// A name of the image, and the name that other targets know it by. Both are equal if the image has no other name.
    pub(crate) link: Option<(String, String)>,
    /// A line for the job.
    pub(crate) notice: Option<String>,
}

/// Returns the builds in their order.
pub(crate) fn builds(
    resolved: &Resolved,
    place: Place<'_>,
    scratch: &Path,
    progress: Option<&str>,
) -> Result<Vec<TargetBuild>, TranslateError> {
    let call = scratch.file_name().unwrap_or_default().to_string_lossy();
    let order = resolved.in_order();
    let used: Vec<&str> = resolved.targets.values().flat_map(links).collect();
    let mut known: BTreeMap<&str, String> = BTreeMap::new();
    let mut builds = Vec::new();
    for (index, name) in order.into_iter().enumerate() {
        let Some(target) = resolved.targets.get(name) else {
            continue;
        };
        let scratch = scratch.join(format!("{call}-{}", index + 1));
        let mut build = TargetBuild {
            name: name.to_owned(),
            arguments: Vec::new(),
            inline: target
                .text("dockerfile-inline")
                .map(|text| (scratch.join("Dockerfile"), text.to_owned())),
            metadata: (!target.linked).then(|| scratch.join("metadata.json")),
            link: None,
            notice: None,
            scratch,
        };
        let mut line = Line(vec!["buildx".to_owned(), "build".to_owned()]);
        line.options(target);
        if used.contains(&name) {
            let alias = format!("localhost/bake-{}-{}:latest", plain(&call), index + 1);
            let own = first_name(target);
            if own.is_none() {
                line.value("tag", &alias);
            }
            build.link = Some((own.unwrap_or_else(|| alias.clone()), alias.clone()));
            known.insert(name, alias);
        }
        let has_links = links(target).next().is_some();
        if target.is_on("pull") && has_links {
            build.notice = Some(format!(
                "target {name}: pull is left out, because the target uses images of other targets, which no registry has"
            ));
        } else if target.is_on("pull") {
            line.0.push("--pull".to_owned());
        }
        let context = line.inputs(target, &build, place, &known)?;
        if let Some(metadata) = &build.metadata {
            line.value("metadata-file", &metadata.to_string_lossy());
        }
        if let Some(progress) = progress {
            line.value("progress", progress);
        }
        line.0.push("--".to_owned());
        line.0.push(context);
        build.arguments = line.0;
        builds.push(build);
    }
    Ok(builds)
}

/// Returns the letters of a text that a name of an image may have.
fn plain(text: &str) -> String {
    let letters = text.chars().filter(char::is_ascii_alphanumeric);
    letters.collect::<String>().to_lowercase()
}

/// Returns the targets that a target uses.
fn links(target: &Target) -> impl Iterator<Item = &str> {
    let contexts = target.map("contexts");
    contexts.filter_map(|(_, value)| value.strip_prefix("target:"))
}

/// Returns a name that the image gets.
fn first_name(target: &Target) -> Option<String> {
    if let Some(tag) = target.list("tags").first() {
        return Some(tag.clone());
    }
    let outputs = target.records("output").into_iter();
    let mut names = outputs.filter_map(|output| {
        let fields = CsvFields::parse(&output);
        let names = fields.get("name")?.split(',').next()?;
        Some(names.to_owned())
    });
    names.next()
}

struct Line(Vec<String>);

impl Line {
    fn value(&mut self, flag: &str, value: &str) {
        self.0.push(format!("--{flag}={value}"));
    }

    /// Adds the flags whose values are those of the target.
    fn options(&mut self, target: &Target) {
        for (attribute, flag) in [
            ("entitlements", "allow"),
            ("annotations", "annotation"),
            ("no-cache-filter", "no-cache-filter"),
            ("platforms", "platform"),
            ("tags", "tag"),
            ("ulimits", "ulimit"),
        ] {
            for value in target.list(attribute) {
                self.value(flag, value);
            }
        }
        for (attribute, flag) in [
            ("args", "build-arg"),
            ("extra-hosts", "add-host"),
            ("labels", "label"),
        ] {
            for (key, value) in target.map(attribute) {
                self.value(flag, &format!("{key}={value}"));
            }
        }
        for attribute in [
            "attest",
            "cache-from",
            "cache-to",
            "output",
            "secret",
            "ssh",
        ] {
            for record in target.records(attribute) {
                self.value(attribute, &record);
            }
        }
        for attribute in ["call", "network", "shm-size", "target"] {
            if let Some(value) = target.text(attribute) {
                self.value(attribute, value);
            }
        }
        if target.is_on("no-cache") {
            self.0.push("--no-cache".to_owned());
        }
    }

    /// Adds the contexts and the Dockerfile. Returns the context.
    fn inputs(
        &mut self,
        target: &Target,
        build: &TargetBuild,
        place: Place<'_>,
        known: &BTreeMap<&str, String>,
    ) -> Result<String, TranslateError> {
        let context = target.text("context").unwrap_or(".");
        let from_stdin = [context, target.text("dockerfile").unwrap_or_default()].contains(&"-");
        if from_stdin {
            return Err(TranslateError::usage(
                "docker buildx bake",
                &format!("target {}: context and dockerfile cannot be -", build.name),
            ));
        }
        let context = local(context, place);
        for (name, value) in target.map("contexts") {
            let value = match value
                .strip_prefix("target:")
                .and_then(|used| known.get(used))
            {
                Some(image) => format!("docker-image://{image}"),
                None if is_image(value) || is_remote(value) => value.to_owned(),
                None => local(value, place),
            };
            self.value("build-context", &format!("{name}={value}"));
        }
        match &build.inline {
            Some((file, _)) => self.value("file", &file.to_string_lossy()),
            None => self.value("file", &dockerfile(target, &context)),
        }
        Ok(context)
    }
}

fn is_image(value: &str) -> bool {
    ["docker-image:", "oci-layout:"]
        .iter()
        .any(|start| value.starts_with(start))
}

#[cfg(test)]
mod tests {
    use bake::{File, Request};

    use super::*;

    fn resolved(text: &str) -> Resolved {
        let files = [File {
            name: "docker-bake.hcl".to_owned(),
            text: text.to_owned(),
        }];
        let none = BTreeMap::new();
        let request = Request {
            files: &files,
            targets: &[],
            overrides: &[],
            variables: &none,
            builtins: &none,
            environment: &|_| None,
            project: &none,
            now: 0,
        };
        request.resolve().unwrap()
    }

    fn lines(text: &str, place: Place<'_>) -> Vec<String> {
        let builds = builds(&resolved(text), place, Path::new("/s/docker-1"), None).unwrap();
        let lines = builds.iter().map(|build| build.arguments.join(" "));
        lines.collect()
    }

    #[test]
    fn each_attribute_becomes_a_flag_of_docker_build() {
        let text = r#"target "default" {
            context = "app"
            dockerfile = "d/x.Dockerfile"
            args = { A = "b c" }
            tags = ["r/app:1", "r/app:2"]
            labels = { l = "x" }
            platforms = ["linux/amd64", "linux/arm64"]
            output = ["type=image,push=true"]
            cache-from = ["type=registry,ref=r/cache"]
            secret = ["type=env,id=T"]
            attest = ["type=provenance,mode=max"]
            target = "final"
            no-cache = true
            pull = true
        }"#;
        assert_eq!(
            lines(text, None),
            [
                "buildx build --platform=linux/amd64 --platform=linux/arm64 --tag=r/app:1 --tag=r/app:2 \
                 --build-arg=A=b c --label=l=x --attest=type=provenance,mode=max \
                 --cache-from=type=registry,ref=r/cache --output=type=image,push=true --secret=id=T \
                 --target=final --no-cache --pull --file=app/d/x.Dockerfile \
                 --metadata-file=/s/docker-1/docker-1-1/metadata.json -- app"
            ]
        );
    }

    #[test]
    fn a_target_is_built_after_those_that_it_uses() {
        let text = r#"
            group "default" { targets = ["app", "base"] }
            target "app" {
              contexts = { b = "target:base", h = "target:hidden", src = "./src", i = "docker-image://alpine" }
              pull = true
            }
            target "base" { tags = ["r/base"] }
            target "hidden" { dockerfile-inline = "FROM scratch" }"#;
        let built = builds(&resolved(text), None, Path::new("/s/docker-1"), None).unwrap();
        let names: Vec<&str> = built.iter().map(|build| &*build.name).collect();
        assert_eq!(names, ["base", "hidden", "app"]);
        let (base, hidden) = (
            "localhost/bake-docker1-1:latest",
            "localhost/bake-docker1-2:latest",
        );
        assert_eq!(built[0].link, Some(("r/base".to_owned(), base.to_owned())));
        assert_eq!(built[1].link, Some((hidden.to_owned(), hidden.to_owned())));
        assert!(built[1].arguments.contains(&format!("--tag={hidden}")));
        assert!(built[1].metadata.is_none() && built[1].inline.is_some());
        let app = built[2].arguments.join(" ");
        assert!(
            app.contains(&format!(
                "--build-context=b=docker-image://{base} --build-context=h=docker-image://{hidden} \
             --build-context=i=docker-image://alpine --build-context=src=src"
            )),
            "{app}"
        );
        assert!(!app.contains("--pull") && built[2].notice.is_some());
    }

    #[test]
    fn a_repositorys_targets_are_built_from_its_files() {
        let place = Some(("https://h/r.git", Path::new("/s/git")));
        let found = lines(r#"target "default" { context = "app" }"#, place);
        assert!(
            found[0].contains("--file=/s/git/app/Dockerfile "),
            "{found:?}"
        );
        assert!(found[0].ends_with(" -- /s/git/app"), "{found:?}");
        let found = lines(r#"target "default" { context = "cwd://app" }"#, place);
        assert!(found[0].ends_with(" -- app"), "{found:?}");
        let found = lines(r#"target "default" { context = "https://h/o.git" }"#, None);
        assert!(found[0].contains("--file=Dockerfile "), "{found:?}");
    }

    #[test]
    fn nothing_is_built_from_standard_input() {
        let refused = |text: &str| builds(&resolved(text), None, Path::new("/s/x"), None).is_err();
        assert!(refused(r#"target "default" { context = "-" }"#));
        assert!(refused(r#"target "default" { dockerfile = "-" }"#));
    }
}
