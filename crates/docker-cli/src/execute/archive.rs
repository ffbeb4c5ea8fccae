//! Archives of images: puts Docker's names into them, puts several into one, and reads the names in them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use super::super::plan::SavedImage;
use super::tar::{self, Kind};

const MANIFEST: &str = "manifest.json";
/// The older description of the names, which Docker writes too.
const REPOSITORIES: &str = "repositories";
const INDEX: &str = "index.json";

/// The images of an archive.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Listing {
    /// An archive of Docker's: the names of each image.
    Docker(Vec<Vec<String>>),
    /// An OCI layout: the names of its image.
    Oci(Vec<String>),
}

/// Writes one archive with all images. Each comes from an archive of Buildah's with one image.
///
/// # Errors
/// As read(2) and write(2).
pub(super) fn join(images: &[SavedImage], to: &mut dyn Write) -> io::Result<()> {
    let mut seen = BTreeSet::new();
    let (mut manifest, mut repositories) = (Vec::<Value>::new(), Map::new());
    for image in images {
        let mut from = BufReader::new(File::open(&image.archive)?);
        let mut layer = None;
        while let Some(member) = tar::next(&mut from)? {
            match member.name.as_str() {
                MANIFEST => {
                    let found = json(&mut from, member.size)?;
                    let entries = found.as_array().cloned().unwrap_or_default();
                    entries
                        .into_iter()
                        .for_each(|entry| add(entry, &image.names, &mut manifest));
                }
                REPOSITORIES => {
                    let found = json(&mut from, member.size)?;
                    let tags = found
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(_, tags)| tags);
                    let mut ids = tags
                        .filter_map(Value::as_object)
                        .flatten()
                        .map(|(_, id)| id);
                    layer = ids.next().cloned();
                }
                name if seen.insert(name.to_owned()) => tar::copy(&member, &mut from, to)?,
                _ => tar::content(&mut from, member.size, &mut io::sink())?,
            }
        }
        for name in image.names.iter().filter(|_| layer.is_some()) {
            if let Some((repository, tag)) = name.rsplit_once(':') {
                repositories.entry(repository).or_insert_with(|| json!({}))[tag] = json!(layer);
            }
        }
    }
    tar::write(MANIFEST, Value::from(manifest).to_string().as_bytes(), to)?;
    if !repositories.is_empty() {
        let text = Value::from(repositories).to_string();
        tar::write(REPOSITORIES, text.as_bytes(), to)?;
    }
    tar::finish(to)
}

/// Adds an image to the manifest. The same image under another name is one entry.
fn add(mut entry: Value, names: &[String], manifest: &mut Vec<Value>) {
    let same = |known: &&mut Value| known["Config"] == entry["Config"];
    if let Some(known) = manifest.iter_mut().find(same) {
        let mut all: Vec<Value> = known["RepoTags"].as_array().cloned().unwrap_or_default();
        all.extend(names.iter().map(|name| json!(name)));
        known["RepoTags"] = if all.is_empty() {
            Value::Null
        } else {
            all.into()
        };
        return;
    }
    entry["RepoTags"] = match names {
        [] => Value::Null,
        names => json!(names),
    };
    manifest.push(entry);
}

fn json(from: &mut dyn Read, size: u64) -> io::Result<Value> {
    Ok(serde_json::from_slice(&tar::small(from, size)?)?)
}

/// Lists the images of an archive, which may be compressed.
///
/// # Errors
/// As read(2); `InvalidData` if it is no archive of images.
pub(super) fn list(archive: &Path) -> io::Result<Listing> {
    let mut file = File::open(archive)?;
    let mut magic = [0; 6];
    let length = file.read(&mut magic)?;
    file.rewind()?;
    let Some(program) = decompressor(&magic[..length]) else {
        return listing(&mut BufReader::new(file));
    };
    let mut command = Command::new(program);
    let child = command
        .arg("-dc")
        .stdin(file)
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("{program}, which decompresses it: {error}"),
        )
    })?;
    let listed = match child.stdout.take() {
        Some(stdout) => listing(&mut BufReader::new(stdout)),
        None => Err(io::ErrorKind::BrokenPipe.into()),
    };
    // It may still write. The names are known.
    let _ = child.kill();
    child.wait()?;
    listed
}

/// Whether a file is a tar archive, which may be compressed. Source: POSIX.1-2017, pax, "ustar Interchange Format".
///
/// # Errors
/// As open(2) and read(2).
pub(super) fn is_tar(file: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(file)?.take(512).read_to_end(&mut start)?;
    let ustar = start.get(257..262) == Some(b"ustar");
    Ok(ustar || decompressor(&start).is_some())
}

/// Returns the program that decompresses a file that begins with these bytes.
fn decompressor(magic: &[u8]) -> Option<&'static str> {
    let programs: [(&[u8], _); 4] = [
        (b"\x1f\x8b", "gzip"),
        (b"BZh", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
    ];
    let found = programs.iter().find(|(bytes, _)| magic.starts_with(bytes));
    found.map(|(_, program)| *program)
}

fn listing(from: &mut dyn Read) -> io::Result<Listing> {
    let mut layout = None;
    while let Some(member) = tar::next(from)? {
        match member.name.trim_start_matches("./") {
            MANIFEST => {
                let images = json(from, member.size)?;
                let names = |image: &Value| {
                    let names = image["RepoTags"].as_array().into_iter().flatten();
                    names.filter_map(Value::as_str).map(str::to_owned).collect()
                };
                let images = images.as_array().into_iter().flatten();
                return Ok(Listing::Docker(images.map(names).collect()));
            }
            INDEX => {
                let index = json(from, member.size)?;
                let entries = index["manifests"].as_array().into_iter().flatten();
                let names = entries
                    .filter_map(|entry| entry["annotations"]["io.containerd.image.name"].as_str());
                layout = Some(names.map(str::to_owned).collect());
            }
            _ => tar::content(from, member.size, &mut io::sink())?,
        }
    }
    let none = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "it has no image: expected manifest.json or index.json",
        )
    };
    layout.map(Listing::Oci).ok_or_else(none)
}

/// Unpacks an OCI layout of Buildah's into a directory.
///
/// # Errors
/// As open(2) and write(2); `InvalidData` for a member whose name leads out of the directory.
pub(super) fn unpack(archive: &Path, directory: &Path) -> io::Result<()> {
    let mut from = BufReader::new(File::open(archive)?);
    std::fs::create_dir_all(directory)?;
    while let Some(member) = tar::next(&mut from)? {
        let inside = Path::new(&member.name).components();
        let mut inside = inside.filter(|part| *part != std::path::Component::CurDir);
        if !inside.all(|part| matches!(part, std::path::Component::Normal(_))) {
            let text = format!("{} leads out of the layout", member.name);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let path = directory.join(&member.name);
        match member.kind {
            Kind::Directory => std::fs::create_dir_all(&path)?,
            Kind::File => {
                let mut file = File::create(&path)?;
                tar::content(&mut from, member.size, &mut file)?;
                continue;
            }
            Kind::Other => {}
        }
        tar::content(&mut from, member.size, &mut io::sink())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// Writes an archive as Buildah does it.
    fn buildahs(path: &Path, config: &str) -> PathBuf {
        let mut archive = Vec::new();
        tar::write("layer.tar", b"layer", &mut archive).unwrap();
        tar::write(config, config.as_bytes(), &mut archive).unwrap();
        let manifest = format!(
            r#"[{{"Config":"{config}","RepoTags":["docker.io/library/x:1","localhost/x:1"],"Layers":["layer.tar"]}}]"#
        );
        tar::write(MANIFEST, manifest.as_bytes(), &mut archive).unwrap();
        tar::write(
            REPOSITORIES,
            br#"{"localhost/x":{"1":"abc"}}"#,
            &mut archive,
        )
        .unwrap();
        tar::finish(&mut archive).unwrap();
        std::fs::write(path, archive).unwrap();
        path.to_owned()
    }

    #[test]
    fn an_archive_has_dockers_names_and_several_images() {
        let directory = tempfile::tempdir().unwrap();
        let image = |file: &str, config: &str, names: &[&str]| SavedImage {
            archive: buildahs(&directory.path().join(file), config),
            names: names.iter().map(|&name| name.to_owned()).collect(),
        };
        let joined = |images: &[SavedImage]| {
            let path = directory.path().join("joined");
            join(images, &mut File::create(&path).unwrap()).unwrap();
            path
        };
        let names = |images: &[&[&str]]| {
            let owned = |names: &&[&str]| names.iter().map(|&name| name.to_owned()).collect();
            Listing::Docker(images.iter().map(owned).collect())
        };
        let one = joined(&[image("1", "c1", &["a:1"])]);
        assert_eq!(list(&one).unwrap(), names(&[&["a:1"]]));
        let text = String::from_utf8_lossy(&std::fs::read(&one).unwrap()).into_owned();
        assert!(
            text.contains(r#"{"a":{"1":"abc"}}"#) && !text.contains("localhost"),
            "{text}"
        );
        let two = joined(&[
            image("1", "c1", &["a:1"]),
            image("2", "c2", &["r:5000/b:2"]),
            image("3", "c1", &["a:2"]),
            image("4", "c4", &[]),
        ]);
        assert_eq!(
            list(&two).unwrap(),
            names(&[&["a:1", "a:2"], &["r:5000/b:2"], &[]])
        );
        let layers = String::from_utf8_lossy(&std::fs::read(&two).unwrap())
            .matches("layer\0")
            .count();
        assert_eq!(layers, 1, "a layer that images share is there once");
    }

    #[test]
    fn compressed_archives_and_layouts_are_listed() {
        let directory = tempfile::tempdir().unwrap();
        let path = buildahs(&directory.path().join("a"), "c");
        let status = Command::new("gzip").arg(&path).status().unwrap();
        assert!(status.success());
        let images = list(&path.with_extension("gz")).unwrap();
        assert_eq!(
            images,
            Listing::Docker(vec![vec![
                "docker.io/library/x:1".into(),
                "localhost/x:1".into()
            ]])
        );
        let mut layout = Vec::new();
        let index = br#"{"manifests":[{"annotations":{"io.containerd.image.name":"docker.io/library/a:1"}}]}"#;
        tar::write(INDEX, index, &mut layout).unwrap();
        tar::write("oci-layout", b"{}", &mut layout).unwrap();
        tar::finish(&mut layout).unwrap();
        std::fs::write(&path, &layout).unwrap();
        assert_eq!(
            list(&path).unwrap(),
            Listing::Oci(vec!["docker.io/library/a:1".into()])
        );
        let to = directory.path().join("layout");
        unpack(&path, &to).unwrap();
        assert_eq!(std::fs::read(to.join("oci-layout")).unwrap(), b"{}");
        for (name, expected) in [
            ("none", "it has no image"),
            ("../x", "leads out of the layout"),
        ] {
            let mut odd = Vec::new();
            tar::write(name, b"", &mut odd).unwrap();
            tar::finish(&mut odd).unwrap();
            std::fs::write(&path, odd).unwrap();
            let error = list(&path)
                .and_then(|_| unpack(&path, &to))
                .or_else(|error| match name {
                    "none" => Err(error),
                    _ => unpack(&path, &to),
                });
            assert!(error.unwrap_err().to_string().contains(expected));
        }
    }
}
