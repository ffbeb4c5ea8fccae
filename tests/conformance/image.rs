//! An image of a docker-archive: its configuration, and the files of its layers on top of each other.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::Arc;

use flate2::read::GzDecoder;
use serde_json::Value;
use tar::{Archive, EntryType};

/// One image.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) config: Value,
    /// By their paths, which begin with `/`. Names of one inode share it.
    pub(crate) files: BTreeMap<String, Arc<Inode>>,
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inode {
    pub(crate) kind: &'static str,
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    /// Of a symbolic link.
    pub(crate) target: Option<String>,
    /// Of a device.
    pub(crate) device: Option<(u32, u32)>,
    /// Extended attributes.
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
    pub(crate) content: Vec<u8>,
    /// Seconds since 1970.
    pub(crate) time: u64,
}

impl Image {
    /// Reads an archive as `docker save` writes it.
    pub(crate) fn read(archive: &Path) -> std::io::Result<Self> {
        let mut archive = Saved::open(archive)?;
        let manifest: Value = serde_json::from_slice(&archive.take("manifest.json")?)?;
        let config = archive.take(manifest[0]["Config"].as_str().unwrap_or_default())?;
        let mut image = Self {
            config: serde_json::from_slice(&config)?,
            files: BTreeMap::new(),
        };
        for layer in manifest[0]["Layers"].as_array().into_iter().flatten() {
            let layer = archive.take(layer.as_str().unwrap_or_default())?;
            if layer.starts_with(&[0x1f, 0x8b]) {
                image.apply(GzDecoder::new(layer.as_slice()))?;
            } else {
                image.apply(layer.as_slice())?;
            }
        }
        Ok(image)
    }

    /// Puts a layer on top.
    pub(crate) fn apply(&mut self, layer: impl Read) -> std::io::Result<()> {
        let mut own = BTreeMap::new();
        for entry in Archive::new(layer).entries()? {
            let mut entry = entry?;
            let path = absolute(&entry.path_bytes());
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", ""));
            if name == ".wh..wh..opq" {
                self.remove_beneath(parent);
            } else if let Some(hidden) = name.strip_prefix(".wh.") {
                let hidden = format!("{parent}/{hidden}");
                self.files.remove(&hidden);
                self.remove_beneath(&hidden);
            } else if entry.header().entry_type() == EntryType::Link {
                let first = absolute(&entry.link_name_bytes().unwrap_or_default());
                let inode = own.get(&first).or_else(|| self.files.get(&first));
                let inode = Arc::clone(inode.ok_or_else(|| std::io::Error::other(first.clone()))?);
                own.insert(path, inode);
            } else if !name.is_empty() {
                own.insert(path, Arc::new(inode(&mut entry)?));
            }
        }
        for (path, inode) in own {
            if inode.kind != "directory" {
                self.remove_beneath(&path);
            }
            self.files.insert(path, inode);
        }
        Ok(())
    }

    /// How many paths lead to an inode.
    pub(crate) fn links(&self, inode: &Arc<Inode>) -> usize {
        let all = self.files.values();
        all.filter(|other| Arc::ptr_eq(other, inode)).count()
    }

    fn remove_beneath(&mut self, directory: &str) {
        let directory = format!("{directory}/");
        self.files.retain(|path, _| !path.starts_with(&directory));
    }
}

/// `./a/b/` is `/a/b`.
fn absolute(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    let path = path.trim_start_matches("./").trim_matches('/');
    if path.is_empty() || path == "." {
        String::new()
    } else {
        format!("/{path}")
    }
}

fn inode(entry: &mut tar::Entry<'_, impl Read>) -> std::io::Result<Inode> {
    let header = entry.header().clone();
    let kind = match header.entry_type() {
        EntryType::Directory => "directory",
        EntryType::Symlink => "link",
        EntryType::Char => "character device",
        EntryType::Block => "block device",
        EntryType::Fifo => "fifo",
        _ => "file",
    };
    let mut xattrs = BTreeMap::new();
    for extension in entry.pax_extensions()?.into_iter().flatten() {
        let extension = extension?;
        let name = extension.key().unwrap_or_default();
        if let Some(name) = name.strip_prefix("SCHILY.xattr.") {
            xattrs.insert(name.to_owned(), extension.value_bytes().to_vec());
        }
    }
    let device = if kind.ends_with("device") {
        header.device_major()?.zip(header.device_minor()?)
    } else {
        None
    };
    let target = entry.link_name_bytes();
    let target = target.map(|target| String::from_utf8_lossy(&target).into_owned());
    let mut content = Vec::new();
    entry.read_to_end(&mut content)?;
    Ok(Inode {
        kind,
        mode: header.mode()? & 0o7777,
        owner: (header.uid()?, header.gid()?),
        target: target.filter(|_| kind == "link"),
        device,
        xattrs,
        content,
        time: header.mtime()?,
    })
}

/// The outer archive: where each of its files lies.
struct Saved {
    file: File,
    places: BTreeMap<String, (u64, u64)>,
    links: BTreeMap<String, String>,
}

impl Saved {
    fn open(path: &Path) -> std::io::Result<Self> {
        let mut saved = Self {
            file: File::open(path)?,
            places: BTreeMap::new(),
            links: BTreeMap::new(),
        };
        let mut archive = Archive::new(saved.file.try_clone()?);
        for entry in archive.entries()? {
            let entry = entry?;
            let name = absolute(&entry.path_bytes());
            if let Some(target) = entry.link_name_bytes() {
                let target = absolute(&target);
                saved
                    .links
                    .insert(name, target.trim_start_matches("/..").to_owned());
            } else {
                let place = (entry.raw_file_position(), entry.size());
                saved.places.insert(name, place);
            }
        }
        Ok(saved)
    }

    fn take(&mut self, name: &str) -> std::io::Result<Vec<u8>> {
        let name = absolute(name.as_bytes());
        let name = self.links.get(&name).unwrap_or(&name);
        let place = self.places.get(name);
        let (from, size) =
            place.ok_or_else(|| std::io::Error::other(format!("no {name} in the archive")))?;
        self.file.seek(std::io::SeekFrom::Start(*from))?;
        let mut content = Vec::new();
        (&self.file).take(*size).read_to_end(&mut content)?;
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A layer with these files; `>` before a content makes a hard link.
    fn layer(files: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_uid(7);
            header.set_gid(8);
            header.set_mtime(9);
            if let Some(first) = content.strip_prefix('>') {
                header.set_entry_type(EntryType::Link);
                header.set_size(0);
                builder.append_link(&mut header, path, first).unwrap();
            } else {
                header.set_size(content.len() as u64);
                let kind = if path.ends_with('/') {
                    EntryType::Directory
                } else {
                    EntryType::Regular
                };
                header.set_entry_type(kind);
                builder
                    .append_data(&mut header, path, content.as_bytes())
                    .unwrap();
            }
        }
        builder.into_inner().unwrap()
    }

    fn stacked(layers: &[&[(&str, &str)]]) -> Image {
        let mut image = Image {
            config: Value::Null,
            files: BTreeMap::new(),
        };
        for files in layers {
            image.apply(layer(files).as_slice()).unwrap();
        }
        image
    }

    #[test]
    fn a_whiteout_hides_what_lies_beneath_its_layer() {
        let first = [
            ("d/", ""),
            ("d/a", "1"),
            ("d/b", "1"),
            ("e/", ""),
            ("e/a", "1"),
            ("f", "1"),
        ];
        let second = [
            ("d/.wh.a", ""),
            ("e/new", "2"),
            ("e/.wh..wh..opq", ""),
            (".wh.f", ""),
        ];
        let image = stacked(&[&first, &second]);
        let paths: Vec<_> = image.files.keys().map(String::as_str).collect();
        assert_eq!(paths, ["/d", "/d/b", "/e", "/e/new"]);
    }

    #[test]
    fn a_file_takes_the_place_of_a_directory() {
        let image = stacked(&[&[("d/", ""), ("d/a", "1")], &[("d", "2")]]);
        assert_eq!(image.files.keys().collect::<Vec<_>>(), ["/d"]);
    }

    #[test]
    fn hard_links_are_counted() {
        let image = stacked(&[&[("a", "1"), ("b", ">a"), ("c", "1")]]);
        assert_eq!(image.links(&image.files["/b"]), 2);
        assert_eq!(image.links(&image.files["/c"]), 1);
        assert_eq!(image.files["/b"].content, b"1");
        assert_eq!(
            (image.files["/b"].owner, image.files["/b"].time),
            ((7, 8), 9)
        );
    }
}
