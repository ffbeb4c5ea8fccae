//! The files of a crate, by the module that each of them is.

use std::path::{Path, PathBuf};

/// A file that is a module.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    /// `["work", "build"]` for `work/build.rs`; nothing for `lib.rs`.
    pub(crate) module: Vec<String>,
    pub(crate) text: String,
}

impl File {
    /// Whether it is compiled for tests alone.
    pub(crate) fn is_test(&self) -> bool {
        self.module.iter().any(|name| name == "tests")
    }
}

/// All of them but `main.rs`, sorted.
pub(crate) fn of(directory: &Path) -> Vec<File> {
    let mut files = Vec::new();
    collect(directory, &[], &mut files);
    files.sort_by(|one, other| one.module.cmp(&other.module));
    assert!(!files.is_empty(), "{}", directory.display());
    files
}

/// The texts of all Rust files beneath a directory.
pub(crate) fn texts(directory: &Path, texts: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            self::texts(&path, texts);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            texts.push((path, text));
        }
    }
}

fn collect(directory: &Path, module: &[String], files: &mut Vec<File>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            collect(&path, &[module, &[name]].concat(), files);
        } else if path.extension().is_some_and(|end| end == "rs") && name != "main" {
            let own = if name == "lib" {
                Vec::new()
            } else {
                vec![name]
            };
            files.push(File {
                module: [module, &own].concat(),
                text: std::fs::read_to_string(&path).unwrap(),
                path,
            });
        }
    }
}
