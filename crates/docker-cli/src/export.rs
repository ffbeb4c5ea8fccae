//! The destinations of a build's result: `--output`, `--push` and `--load`.

use std::path::{Path, PathBuf};

use pflag::parse_bool;

use super::arguments::Parsed;
use super::buildkit;
use super::csv_fields::CsvFields;
use super::error::TranslateError;
use super::handover::{HandOver, Place};
use super::plan::{Command, SavedImage, Stdout, Step};
use super::planner::{Planner, text};
use super::reference;

/// Whether a build makes one image or a list of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// One image.
    Single,
    /// A list with an image for each platform.
    List,
}

impl Mode {
    pub(super) fn of(platforms: &[String]) -> Self {
        match platforms {
            [] | [_] => Self::Single,
            _ => Self::List,
        }
    }
}

/// The result of a build in Buildah's storage.
pub(super) struct BuildResult {
    /// The name that the next steps use. An image without a name has its ID in `iid`.
    pub(super) image: String,
    /// The file with the image's ID.
    pub(super) iid: PathBuf,
    /// All names that the user requested.
    pub(super) names: Vec<String>,
    pub(super) mode: Mode,
    /// Whether it has OCI's media types in the storage.
    pub(super) oci: bool,
}

/// The options of a push.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PushOptions {
    /// Flags of `buildah push`.
    flags: Vec<String>,
    /// Whether the user requested OCI's media types.
    oci: bool,
}

/// One destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Export {
    /// The registries of all tags.
    Registry(PushOptions),
    /// An archive or a layout: its kind, path and options.
    Image(&'static str, String, PushOptions),
    /// The files of the last stage: the value of `buildah build --output`.
    Files(String),
    /// Buildah's own storage. Every build ends there.
    Storage,
}

/// All destinations, and the names in them.
#[derive(Debug, Default)]
pub(super) struct Exports {
    pub(super) list: Vec<Export>,
    pub(super) names: Vec<String>,
    /// Whether files get the time of SOURCE_DATE_EPOCH, as with `rewrite-timestamp`.
    has_epoch: bool,
    /// The copy of the build's files to a place that the builder does not see.
    copied: Option<Step>,
}

/// An OCI layout in a directory. The client unpacks an archive, because Buildah would write only beneath its own paths.
const LAYOUT: &str = "oci";
const TO_REGISTRY: &str = "Buildah pushes an image under a tag";
const INSTEAD_OF_DIGEST: &str = "a tag for each platform (tags: …-amd64, no push-by-digest), and docker buildx imagetools create";

impl Exports {
    pub(super) fn parse(
        parsed: &Parsed,
        planner: &mut Planner<'_>,
    ) -> Result<Self, TranslateError> {
        let mut exports = Self {
            has_epoch: buildkit::epoch(parsed, planner)?.is_some(),
            ..Self::default()
        };
        for record in parsed.values("output") {
            exports.add(record, planner)?;
        }
        if parsed.on("push") && !exports.pushes() {
            exports.list.push(Export::Registry(PushOptions::default()));
        }
        let files = exports
            .list
            .iter()
            .filter(|export| matches!(export, Export::Files(_)));
        if files.count() > 1 {
            return Err(planner.not_available(
                "--output",
                "Buildah writes a build's files to one place",
                "one --output of type local or tar",
            ));
        }
        Ok(exports)
    }

    fn add(&mut self, record: &str, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
        let fields = match record {
            "-" => CsvFields::parse("type=tar,dest=-"),
            path if !path.contains('=') => CsvFields::parse(&format!("type=local,\"dest={path}\"")),
            record => CsvFields::parse(record),
        };
        let destination = fields.any(&["dest", "dst", "destination", "output"]);
        let is_on = |key: &str| {
            fields
                .get(key)
                .is_some_and(|text| parse_bool(text) != Some(false))
        };
        if is_on("push-by-digest") {
            return Err(planner.not_available(
                "--output push-by-digest",
                TO_REGISTRY,
                INSTEAD_OF_DIGEST,
            ));
        }
        if let Some(names) = fields.get("name") {
            self.names.extend(
                names
                    .split(',')
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned),
            );
        }
        let mut options = push_options(&fields, self.has_epoch, planner)?;
        options.oci |= fields.get("type") == Some("oci");
        let path = |kind: &str| {
            let what = format!("--output type={kind} needs dest=PATH");
            destination
                .map(str::to_owned)
                .ok_or_else(|| planner.usage(&what))
        };
        let export = match fields.get("type").unwrap_or("") {
            "registry" => Export::Registry(options),
            "image" if is_on("push") => Export::Registry(options),
            "image" | "cacheonly" => Export::Storage,
            "docker" if destination.is_none() => Export::Storage,
            "docker" => Export::Image("docker-archive", path("docker")?, options),
            "oci" if fields.get("tar").and_then(parse_bool) == Some(false) => {
                Export::Image(LAYOUT, path("oci")?, options)
            }
            "oci" => Export::Image("oci-archive", path("oci")?, options),
            kind @ ("local" | "tar") => {
                let path = self.shared_output(kind, &path(kind)?, planner);
                Export::Files(format!("type={kind},dest={path}"))
            }
            kind => return Err(planner.usage(&format!(
                "--output type={kind}: expected registry, image, docker, oci, local, tar or cacheonly"
            ))),
        };
        self.list.push(export);
        Ok(())
    }

    /// Returns the path to which Buildah writes a build's files. What goes elsewhere is copied afterwards.
    fn shared_output(&mut self, kind: &str, given: &str, planner: &mut Planner<'_>) -> String {
        match (planner.job.place)(Path::new(given)) {
            _ if given == "-" => given.to_owned(),
            Place::Shared => given.to_owned(),
            Place::SharedAs(path) => text(&path),
            Place::Outside => {
                let from = planner.scratch("exported");
                let path = text(&from);
                let to = PathBuf::from(given);
                self.copied = Some(if kind == "local" {
                    Step::HandOver(HandOver::Exported { from, to })
                } else {
                    Step::CopyOut { from, to: Some(to) }
                });
                path
            }
        }
    }

    pub(super) fn pushes(&self) -> bool {
        self.list
            .iter()
            .any(|export| matches!(export, Export::Registry(_)))
    }

    /// Returns the value of `buildah build --output`.
    pub(super) fn files(&self) -> Option<&str> {
        self.list.iter().find_map(|export| match export {
            Export::Files(record) => Some(record.as_str()),
            _ => None,
        })
    }

    /// Returns whether the files go to standard output.
    pub(super) fn files_to_stdout(&self) -> bool {
        self.files().is_some_and(|files| files.ends_with("dest=-"))
    }

    /// Adds the steps that send the result.
    pub(super) fn send(
        &self,
        result: &BuildResult,
        digest: &Path,
        planner: &mut Planner<'_>,
    ) -> Result<(), TranslateError> {
        for export in &self.list {
            match export {
                Export::Registry(_) if result.names.is_empty() => {
                    return Err(planner.usage("a push needs a --tag, or name= in --output"));
                }
                Export::Registry(options) => {
                    for name in &result.names {
                        let target = reference::remote(name);
                        planner.step(options.push(result, digest, &target, Stdout::Inherited));
                    }
                }
                Export::Image(transport, path, options) => {
                    let place = (*transport, path.as_str());
                    send_to_path(place, options, result, planner)?;
                }
                Export::Files(_) => self
                    .copied
                    .iter()
                    .for_each(|step| planner.step(step.clone())),
                Export::Storage => {}
            }
        }
        Ok(())
    }
}

/// Writes an archive in the scratch directory first, because the builder may not see the requested path.
fn send_to_path(
    (transport, path): (&str, &str),
    options: &PushOptions,
    result: &BuildResult,
    planner: &mut Planner<'_>,
) -> Result<(), TranslateError> {
    if result.mode == Mode::List && transport == "docker-archive" {
        return Err(planner.not_available(
            "--output type=docker",
            "its format holds one platform",
            "type=oci, or one --platform",
        ));
    }
    let archive = planner.scratch("image.tar");
    let docker = transport == "docker-archive";
    let target = match result.names.first().filter(|_| !docker) {
        Some(name) => format!("oci-archive:{}:{}", text(&archive), reference::tag(name)),
        None if docker => format!("docker-archive:{}", text(&archive)),
        None => format!("oci-archive:{}", text(&archive)),
    };
    let stdout = if path == "-" {
        Stdout::Captured
    } else {
        Stdout::Inherited
    };
    let digest = planner.scratch("digest");
    planner.step(options.push(result, &digest, &target, stdout));
    let to = (path != "-").then(|| path.into());
    planner.step(if docker {
        let names = result.names.iter().map(|name| reference::full(name));
        let names = names.map(|name| reference::familiar(&name).to_owned());
        Step::Save {
            images: vec![SavedImage {
                archive,
                names: names.collect(),
            }],
            to,
        }
    } else if transport == LAYOUT {
        Step::Unpack {
            from: archive,
            to: path.into(),
        }
    } else {
        Step::CopyOut { from: archive, to }
    });
    Ok(())
}

impl PushOptions {
    /// Returns the push of an image or of a list, with the media types that the user requested.
    fn push(&self, result: &BuildResult, digest: &Path, target: &str, stdout: Stdout) -> Step {
        let mut flags = self.flags.clone();
        if self.oci {
            flags.push("--format=oci".to_owned());
        } else if result.mode == Mode::List && !result.oci {
            flags.push("--format=v2s2".to_owned());
        }
        if target.starts_with("docker://") {
            flags.extend(reference::plain_http([target]));
        }
        if result.mode == Mode::List {
            return Step::push_list(&flags, &result.image, target, digest, stdout);
        }
        let line = ["push".to_owned()].into_iter().chain(flags);
        let line = line.chain([result.image.clone(), target.to_owned()]);
        let command = Command::new(line, stdout).with_digest(digest);
        if result.names.is_empty() {
            Step::RunOnId {
                iid: result.iid.clone(),
                command,
            }
        } else {
            Step::Run(command)
        }
    }
}

fn push_options(
    fields: &CsvFields,
    has_epoch: bool,
    planner: &mut Planner<'_>,
) -> Result<PushOptions, TranslateError> {
    let mut options = PushOptions::default();
    for (key, value) in &fields.0 {
        let flag = match key.as_str() {
            "compression" if value == "uncompressed" => "--disable-compression".to_owned(),
            "compression" if value == "estargz" => {
                return Err(planner.not_available(
                    "--output compression=estargz",
                    "Buildah has no such compression",
                    "compression=zstd",
                ));
            }
            "compression" => {
                options.oci |= value.starts_with("zstd");
                format!("--compression-format={value}")
            }
            "compression-level" => format!("--compression-level={value}"),
            "force-compression" => {
                format!("--force-compression={}", parse_bool(value).unwrap_or(true))
            }
            "oci-mediatypes" => {
                options.oci |= parse_bool(value).unwrap_or(true);
                continue;
            }
            "type" | "name" | "push" | "dest" | "dst" | "destination" | "output" | "tar"
            | "push-by-digest" => continue,
            "rewrite-timestamp" if parse_bool(value) == Some(false) || has_epoch => continue,
            key => {
                planner.notice(&format!(
                    "--output {key}={value} is left out: Buildah has no such option"
                ));
                continue;
            }
        };
        options.flags.push(flag);
    }
    Ok(options)
}
