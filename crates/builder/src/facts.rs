//! What the builder says of itself and of its job's builds: counts, images, space and memory.
//!
//! The builder serves one job, so all of it is that job's. It is noted from what the builder itself planned and saw: never from the
//! output of a build, which the job writes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use linux::container_usage::{ContainerUsage, volume};
use report::{BuilderReport, Image};

use super::operation_dir::{Medium, OperationDir};
use super::settings::Settings;

/// The name of the file with the digest of a push, in the operation's own directory.
pub(super) const DIGEST: &str = "digest";

/// What an operation makes if it succeeds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Product {
    /// Nothing that is noted.
    #[default]
    Nothing,
    /// An image with these names.
    Build(Vec<String>),
    /// An image in a registry.
    Push {
        /// Its name as the registry knows it.
        target: String,
        /// The name of the file with its digest, in the operation's own directory in memory, if the program writes one.
        digest_file: Option<String>,
    },
}

impl Product {
    pub(super) fn push(target: String, digest_file: &str) -> Self {
        Self::Push {
            target,
            digest_file: Some(digest_file.to_owned()),
        }
    }
}

/// The notes of one builder.
#[derive(Debug, Default)]
pub(super) struct Facts(Mutex<BuilderReport>);

impl Facts {
    fn notes(&self) -> MutexGuard<'_, BuilderReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the end of an operation.
    pub(super) fn note(&self, product: &Product, directory: &OperationDir, code: u8) {
        match product {
            Product::Build(_) if code != 0 => self.notes().failed_builds += 1,
            Product::Build(names) => self.note_build(names),
            Product::Push {
                target,
                digest_file,
            } if code == 0 => {
                let read = |name: &String| directory.read(Medium::Memory, name).ok();
                let digest = digest_file.as_ref().and_then(read);
                let digest = digest.as_deref().and_then(digest_of);
                // `buildah manifest push --digestfile` of 1.39 ends with 0 if the push failed, without a digest.
                if digest.is_some() || digest_file.is_none() {
                    self.note_push(target, digest);
                }
            }
            Product::Push { .. } | Product::Nothing => {}
        }
    }

    fn note_build(&self, names: &[String]) {
        let mut notes = self.notes();
        notes.builds += 1;
        for name in names {
            add(&mut notes.built, name, None);
        }
    }

    fn note_push(&self, target: &str, digest: Option<String>) {
        let mut notes = self.notes();
        notes.pushes += 1;
        add(&mut notes.pushed, target, digest);
    }

    /// Returns the notes, and the builder's space and memory as of now.
    pub(super) fn report(&self, settings: &Settings) -> BuilderReport {
        let usage = ContainerUsage::read();
        BuilderReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cache: settings.cache.clone(),
            volume: volume(&settings.volume),
            memory_limit_bytes: usage.memory_limit,
            memory_peak_bytes: usage.memory_peak,
            written_bytes: usage.written,
            ..self.notes().clone()
        }
    }
}

/// Adds an image, unless the list is full. An image of the same name is replaced.
fn add(images: &mut Vec<Image>, name: &str, digest: Option<String>) {
    let name: String = name.chars().take(Image::NAME).collect();
    images.retain(|image| image.name != name);
    if images.len() < BuilderReport::IMAGES {
        images.push(Image { name, digest });
    }
}

/// Reads a digest file. `None` if it has anything but a digest.
fn digest_of(file: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(file).ok()?.trim_end();
    let digits = text.strip_prefix("sha256:")?;
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (digits.len() == 64 && digits.bytes().all(is_digit)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn push(target: &str) -> Product {
        Product::push(target.to_owned(), DIGEST)
    }

    #[test]
    fn note_counts_and_lists_what_an_operation_made() {
        let fixture = Fixture::new();
        let directory = fixture.builder.operation_dirs.create().unwrap();
        let digest = format!("sha256:{HEX}");
        directory.write(DIGEST, digest.as_bytes()).unwrap();
        let facts = Facts::default();
        let build = Product::Build(vec!["a".to_owned(), "b".to_owned()]);
        facts.note(&build, &directory, 0);
        facts.note(&build, &directory, 1);
        facts.note(&push("r/a:1"), &directory, 0);
        facts.note(&push("r/a:1"), &directory, 0);
        facts.note(&push("r/b:1"), &directory, 125);
        let report = facts.report(&fixture.builder.settings);
        assert_eq!(
            (report.builds, report.failed_builds, report.pushes),
            (1, 1, 2)
        );
        let names: Vec<&str> = report.built.iter().map(|image| &*image.name).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(report.pushed.len(), 1);
        assert_eq!(report.pushed[0].digest.as_deref(), Some(&*digest));
        assert!(report.volume.unwrap().bytes > 0);
    }

    #[test]
    fn lists_and_names_are_bounded() {
        let fixture = Fixture::new();
        let directory = fixture.builder.operation_dirs.create().unwrap();
        let facts = Facts::default();
        for number in 0..100 {
            let push = Product::Push {
                target: format!("{number}{}", "ä".repeat(1000)),
                digest_file: None,
            };
            facts.note(&push, &directory, 0);
        }
        let report = facts.report(&fixture.builder.settings);
        assert_eq!(report.pushes, 100);
        assert_eq!(report.pushed.len(), BuilderReport::IMAGES);
        let longest = |image: &Image| image.name.chars().count() <= Image::NAME;
        assert!(report.pushed.iter().all(longest));
        assert_eq!(report.pushed[0].digest, None);
    }

    #[test]
    fn push_that_wrote_no_digest_was_none() {
        let fixture = Fixture::new();
        let directory = fixture.builder.operation_dirs.create().unwrap();
        let facts = Facts::default();
        facts.note(&push("r/a:1"), &directory, 0);
        assert_eq!(facts.report(&fixture.builder.settings).pushes, 0);
    }

    #[test]
    fn only_a_digest_is_one() {
        let digest = format!("sha256:{HEX}");
        assert_eq!(digest_of(format!("{digest}\n").as_bytes()), Some(digest));
        let upper = format!("sha256:{}", HEX.to_uppercase());
        for text in ["", "sha256:0", &upper, HEX] {
            assert_eq!(digest_of(text.as_bytes()), None, "{text}");
        }
    }
}
