//! Where a build's result goes: `--output`, `--push` and `--load`.

use std::path::Path;

use pflag::parse_bool;

use super::arguments::Parsed;
use super::attributes::Attributes;
use super::plan::{Output, Planner, Step, command, push_list, text};
use super::reference;
use super::types::Unavailable;

/// What a build leaves in Buildah's storage.
pub(super) struct Built {
    /// The name that the next steps use.
    pub(super) image: String,
    /// All names that the user gave.
    pub(super) names: Vec<String>,
    pub(super) platforms: Vec<String>,
    /// Whether it has OCI's media types.
    pub(super) oci: bool,
}

impl Built {
    pub(super) fn is_list(&self) -> bool {
        self.platforms.len() > 1
    }
}

/// How an image is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sending {
    /// Flags of `buildah push`.
    flags: Vec<String>,
    /// Whether the result has OCI's media types.
    oci: bool,
}

/// One destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Export {
    /// The registry of every tag.
    Registry(Sending),
    /// An archive or a layout: transport, path, and how.
    Image(&'static str, String, Sending),
    /// The files alone, as `buildah build --output` takes it.
    Files(String),
    /// Buildah's own storage, which every build fills.
    Storage,
}

/// All destinations, and the names that they bring along.
#[derive(Debug, Default)]
pub(super) struct Exports {
    pub(super) list: Vec<Export>,
    pub(super) names: Vec<String>,
}

const TO_REGISTRY: &str = "Buildah pushes an image under a tag";
const INSTEAD_OF_DIGEST: &str = "a tag for each platform (tags: …-amd64, no push-by-digest), and docker buildx imagetools create";

impl Exports {
    pub(super) fn read(parsed: &Parsed, to: &mut Planner<'_>) -> Result<Self, Unavailable> {
        let mut exports = Self::default();
        for record in parsed.values("output") {
            exports.add(record, to)?;
        }
        if parsed.on("push") && !exports.pushes() {
            exports.list.push(Export::Registry(Sending::default()));
        }
        let files = exports
            .list
            .iter()
            .filter(|one| matches!(one, Export::Files(_)));
        if files.count() > 1 {
            return Err(to.refused(
                "--output",
                "Buildah writes a build's files to one place",
                "one --output of type local or tar",
            ));
        }
        Ok(exports)
    }

    fn add(&mut self, record: &str, to: &mut Planner<'_>) -> Result<(), Unavailable> {
        let attributes = match record {
            "-" => Attributes::read("type=tar,dest=-"),
            path if !path.contains('=') => Attributes::read(&format!("type=local,\"dest={path}\"")),
            record => Attributes::read(record),
        };
        let destination = attributes.any(&["dest", "dst", "destination", "output"]);
        let is_on = |key: &str| {
            attributes
                .get(key)
                .is_some_and(|text| parse_bool(text) != Some(false))
        };
        if is_on("push-by-digest") {
            return Err(to.refused("--output push-by-digest", TO_REGISTRY, INSTEAD_OF_DIGEST));
        }
        if let Some(names) = attributes.get("name") {
            self.names.extend(
                names
                    .split(',')
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned),
            );
        }
        let sending = sending(&attributes, to)?;
        let needed = |kind: &str| {
            let what = format!("--output type={kind} needs dest=PATH");
            destination
                .map(str::to_owned)
                .ok_or_else(|| to.usage(&what))
        };
        self.list.push(match attributes.get("type").unwrap_or("") {
            "registry" => Export::Registry(sending),
            "image" if is_on("push") => Export::Registry(sending),
            "image" | "cacheonly" => Export::Storage,
            "docker" if destination.is_none() => Export::Storage,
            "docker" => Export::Image("docker-archive", needed("docker")?, sending),
            "oci" if attributes.get("tar").and_then(parse_bool) == Some(false) => {
                Export::Image("oci", needed("oci")?, sending)
            }
            "oci" => Export::Image("oci-archive", needed("oci")?, sending),
            kind @ ("local" | "tar") => {
                Export::Files(format!("type={kind},dest={}", needed(kind)?))
            }
            kind => return Err(to.usage(&format!(
                "--output type={kind}: registry, image, docker, oci, local, tar and cacheonly exist"
            ))),
        });
        Ok(())
    }

    pub(super) fn pushes(&self) -> bool {
        self.list
            .iter()
            .any(|one| matches!(one, Export::Registry(_)))
    }

    /// The files' destination, for `buildah build --output`.
    pub(super) fn files(&self) -> Option<&str> {
        self.list.iter().find_map(|one| match one {
            Export::Files(record) => Some(record.as_str()),
            _ => None,
        })
    }

    /// Whether the image itself goes anywhere but to Buildah's storage.
    pub(super) fn sends_image(&self) -> bool {
        let sends = |one: &Export| matches!(one, Export::Registry(_) | Export::Image(..));
        self.list.iter().any(sends)
    }

    pub(super) fn oci(&self) -> bool {
        self.list.iter().any(|one| match one {
            Export::Registry(sending) => sending.oci,
            Export::Image(transport, ..) => *transport != "docker-archive",
            _ => false,
        })
    }

    /// The steps that send what was built.
    pub(super) fn send(
        &self,
        built: &Built,
        digest: &Path,
        to: &mut Planner<'_>,
    ) -> Result<(), Unavailable> {
        for export in &self.list {
            match export {
                Export::Registry(_) if built.names.is_empty() => {
                    return Err(to.usage("a push needs a --tag, or name= in --output"));
                }
                Export::Registry(sending) => {
                    for name in &built.names {
                        let target = reference::remote(name);
                        to.step(sending.push(built, digest, &target, Output::Job));
                    }
                }
                Export::Image(transport, path, sending) => {
                    let place = (*transport, path.as_str());
                    send_to_path(place, sending, built, to)?;
                }
                Export::Files(_) | Export::Storage => {}
            }
        }
        Ok(())
    }
}

/// Archives are written in the scratch directory, since the wanted path may be one that the builder does not see.
fn send_to_path(
    (transport, path): (&str, &str),
    sending: &Sending,
    built: &Built,
    to: &mut Planner<'_>,
) -> Result<(), Unavailable> {
    if built.is_list() && transport == "docker-archive" {
        return Err(to.refused(
            "--output type=docker",
            "its format holds one platform",
            "type=oci, or one --platform",
        ));
    }
    let name = built.names.first().map(|name| match transport {
        "docker-archive" => reference::full(name),
        _ => reference::tag(name).to_owned(),
    });
    let suffix = name.map(|name| format!(":{name}")).unwrap_or_default();
    if transport == "oci" {
        let target = format!("oci:{path}{suffix}");
        let digest = to.scratch("digest");
        to.step(sending.push(built, &digest, &target, Output::Job));
        return Ok(());
    }
    let archive = to.scratch("image.tar");
    let target = format!("{transport}:{}{suffix}", text(&archive));
    let output = if path == "-" {
        Output::Captured
    } else {
        Output::Job
    };
    let digest = to.scratch("digest");
    to.step(sending.push(built, &digest, &target, output));
    to.step(Step::Deliver {
        from: archive,
        to: (path != "-").then(|| path.into()),
    });
    Ok(())
}

impl Sending {
    /// Sends an image, or a list of images. A list has the media types of its images.
    fn push(&self, built: &Built, digest: &Path, target: &str, output: Output) -> Step {
        if built.is_list() {
            let mut flags = self.flags.clone();
            flags.extend((!built.oci).then(|| "--format=v2s2".to_owned()));
            return push_list(&flags, &built.image, target, digest, output);
        }
        let line = ["push".to_owned()]
            .into_iter()
            .chain(self.flags.iter().cloned());
        let line = line.chain([built.image.clone(), target.to_owned()]);
        Step::Run(command(line, output).with_digest(digest))
    }
}

fn sending(attributes: &Attributes, to: &mut Planner<'_>) -> Result<Sending, Unavailable> {
    let mut sending = Sending::default();
    for (key, value) in &attributes.0 {
        let flag = match key.as_str() {
            "compression" if value == "uncompressed" => "--disable-compression".to_owned(),
            "compression" if value == "estargz" => {
                return Err(to.refused(
                    "--output compression=estargz",
                    "Buildah has no such compression",
                    "compression=zstd",
                ));
            }
            "compression" => {
                sending.oci |= value.starts_with("zstd");
                format!("--compression-format={value}")
            }
            "compression-level" => format!("--compression-level={value}"),
            "force-compression" => {
                format!("--force-compression={}", parse_bool(value).unwrap_or(true))
            }
            "oci-mediatypes" => {
                sending.oci |= parse_bool(value).unwrap_or(true);
                continue;
            }
            "type" | "name" | "push" | "dest" | "dst" | "destination" | "output" | "tar"
            | "push-by-digest" => continue,
            key => {
                to.note(&format!(
                    "--output {key}={value} is left out: Buildah has nothing like it"
                ));
                continue;
            }
        };
        sending.flags.push(flag);
    }
    Ok(sending)
}
