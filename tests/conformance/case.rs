//! Cases: a Dockerfile with its context and the options of the build. A text file holds several, see `cases/README.md`.

use std::fs::{DirBuilder, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The registry's part of the bases' names; in a case it is `@/`.
pub(crate) const BASES: &str = "127.0.0.1:5000/conformance";

/// When every file of a context was changed.
pub(crate) const CHANGED: u64 = 1_000_000_000;

/// The job's user.
const USER: u32 = 1000;

/// One build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// The row of `differences.txt` that explains why the images differ.
    pub(crate) differs: Option<String>,
    /// Names of settings with their values: `("build-arg", "A=1")`.
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) entries: Vec<Entry>,
}

/// One thing in a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    File {
        mode: u32,
        content: String,
    },
    /// Its content is in base64.
    Binary {
        content: String,
    },
    Directory {
        mode: u32,
    },
    Link {
        target: String,
    },
}

/// What may stand behind an `@`.
const SETTINGS: [&str; 12] = [
    "differs",
    "build-arg",
    "target",
    "file",
    "label",
    "platform",
    "secret",
    "context",
    "add-host",
    "env",
    "network",
    "no-cache",
];

impl Case {
    /// A case with a Dockerfile alone.
    pub(crate) fn new(name: &str, dockerfile: &str) -> Self {
        let mut case = Self {
            name: name.to_owned(),
            differs: None,
            settings: Vec::new(),
            entries: Vec::new(),
        };
        case.add("Dockerfile", 0o644, dockerfile);
        case
    }

    /// Adds a file to the context.
    pub(crate) fn add(&mut self, path: &str, mode: u32, content: &str) {
        self.entries.push(Entry {
            path: path.to_owned(),
            kind: Kind::File {
                mode,
                content: content.to_owned(),
            },
        });
    }

    /// The values of a setting.
    pub(crate) fn values<'a>(&'a self, setting: &'a str) -> impl Iterator<Item = &'a str> {
        let all = self.settings.iter();
        all.filter_map(move |(name, value)| (name == setting).then_some(value.as_str()))
    }

    /// Writes the context, for the job's user.
    pub(crate) fn write(&self, directory: &Path) {
        make_directories(directory);
        for entry in &self.entries {
            let path = directory.join(&entry.path);
            make_directories(path.parent().unwrap());
            match &entry.kind {
                Kind::File { mode, content } => {
                    let mut file = File::create(&path).unwrap();
                    file.write_all(content.replace("@/", &format!("{BASES}/")).as_bytes())
                        .unwrap();
                    chown(&path, Some(USER), Some(USER)).unwrap();
                    file.set_permissions(Permissions::from_mode(*mode)).unwrap();
                }
                Kind::Binary { content } => {
                    std::fs::write(&path, STANDARD.decode(content.trim()).unwrap()).unwrap();
                    chown(&path, Some(USER), Some(USER)).unwrap();
                }
                Kind::Directory { mode } => {
                    make_directories(&path);
                    std::fs::set_permissions(&path, Permissions::from_mode(*mode)).unwrap();
                }
                Kind::Link { target } => {
                    symlink(target, &path).unwrap();
                    lchown(&path, Some(USER), Some(USER)).unwrap();
                }
            }
        }
        date(directory);
    }

    /// Returns the text that `parse` reads as this case.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("==== {}\n", self.name);
        if let Some(row) = &self.differs {
            text += &format!("@differs {row}\n");
        }
        for (name, value) in &self.settings {
            text += &format!("{}\n", format!("@{name} {value}").trim_end());
        }
        for (at, entry) in self.entries.iter().enumerate() {
            match &entry.kind {
                Kind::File { content, .. } if at == 0 => text += content,
                Kind::File { mode, content } => {
                    text += &format!("---- {} {mode:04o}\n{content}", entry.path);
                }
                Kind::Binary { content } => {
                    text += &format!("---- {} base64\n{content}", entry.path);
                }
                Kind::Directory { mode } => text += &format!("---- {}/ {mode:04o}", entry.path),
                Kind::Link { target } => text += &format!("---- {} -> {target}", entry.path),
            }
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push('\n');
        }
        text
    }
}

fn make_directories(path: &Path) {
    if path.is_dir() {
        return;
    }
    make_directories(path.parent().unwrap());
    DirBuilder::new().mode(0o755).create(path).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    chown(path, Some(USER), Some(USER)).unwrap();
}

/// Gives all files and directories the same time.
fn date(path: &Path) {
    let kind = path.symlink_metadata().unwrap().file_type();
    if kind.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            date(&entry.unwrap().path());
        }
    }
    if !kind.is_symlink() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED);
        File::open(path).unwrap().set_modified(time).unwrap();
    }
}

/// Reads a text of cases.
pub(crate) fn parse(text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (at, line) in text.split_inclusive('\n').enumerate() {
        let read = if let Some(name) = line.strip_prefix("==== ") {
            cases.iter_mut().last().map(end);
            cases.push(Case::new(name.trim_end(), ""));
            Ok(())
        } else if let Some(case) = cases.last_mut() {
            read_line(case, line)
        } else if line.trim().is_empty() || line.starts_with('#') {
            Ok(())
        } else {
            Err("a case begins with `==== NAME`".to_owned())
        };
        read.map_err(|error| format!("line {}: {error}", at + 1))?;
    }
    cases.iter_mut().last().map(end);
    Ok(cases)
}

fn read_line(case: &mut Case, line: &str) -> Result<(), String> {
    if let Some(header) = line.strip_prefix("---- ") {
        end(case);
        case.entries.push(entry(header.trim_end())?);
        return Ok(());
    }
    let in_dockerfile = case.entries.len() == 1;
    match (line.strip_prefix('@'), case.entries.last_mut()) {
        (Some(setting), _) if in_dockerfile && !setting.starts_with('/') => {
            let (name, value) = setting
                .trim_end()
                .split_once(' ')
                .unwrap_or((setting.trim_end(), ""));
            if !SETTINGS.contains(&name) {
                return Err(format!("@{name} is no setting; they are {SETTINGS:?}"));
            }
            if name == "differs" {
                case.differs = Some(value.to_owned());
            } else {
                case.settings.push((name.to_owned(), value.to_owned()));
            }
            Ok(())
        }
        (
            _,
            Some(Entry {
                kind: Kind::File { content, .. } | Kind::Binary { content },
                ..
            }),
        ) => {
            content.push_str(line);
            Ok(())
        }
        _ if line.trim().is_empty() => Ok(()),
        _ => Err("a directory or a link has no content".to_owned()),
    }
}

/// One blank line between two cases, or two files, belongs to neither.
fn end(case: &mut Case) {
    if let Some(Entry {
        kind: Kind::File { content, .. } | Kind::Binary { content },
        ..
    }) = case.entries.last_mut()
        && (content.ends_with("\n\n") || content == "\n")
    {
        content.pop();
    }
}

/// `PATH [MODE]`, `PATH base64`, `DIRECTORY/ [MODE]` or `LINK -> TARGET`.
fn entry(header: &str) -> Result<Entry, String> {
    if let Some((path, target)) = header.split_once(" -> ") {
        let target = target.to_owned();
        return Ok(Entry {
            path: path.to_owned(),
            kind: Kind::Link { target },
        });
    }
    if let Some(path) = header.strip_suffix(" base64") {
        return Ok(Entry {
            path: path.to_owned(),
            kind: Kind::Binary {
                content: String::new(),
            },
        });
    }
    let (path, mode) = match header.rsplit_once(' ') {
        Some((path, mode)) if mode.starts_with('0') => (path, Some(mode)),
        _ => (header, None),
    };
    let mode = |default| {
        let parse = |mode| u32::from_str_radix(mode, 8).map_err(|_| format!("{mode} is no mode"));
        mode.map_or(Ok(default), parse)
    };
    if let Some(path) = path.strip_suffix('/') {
        return Ok(Entry {
            path: path.to_owned(),
            kind: Kind::Directory { mode: mode(0o755)? },
        });
    }
    Ok(Entry {
        path: path.to_owned(),
        kind: Kind::File {
            mode: mode(0o644)?,
            content: String::new(),
        },
    })
}

#[test]
fn a_text_holds_several_cases() {
    let text = "# about\n\n==== one/a\n@build-arg A=1\n@no-cache\n@differs row\nFROM @/base\nCOPY x /\n\n---- x 0600\nyes\n---- b base64\neA==\n---- d/ 0700\n---- l -> x\n\n==== two\nFROM scratch\n";
    let cases = parse(text).unwrap();
    assert_eq!(cases.len(), 2);
    let one = &cases[0];
    assert_eq!(one.values("build-arg").collect::<Vec<_>>(), ["A=1"]);
    assert_eq!(one.values("no-cache").collect::<Vec<_>>(), [""]);
    assert_eq!(one.differs.as_deref(), Some("row"));
    let expected = [
        (
            "Dockerfile",
            Kind::File {
                mode: 0o644,
                content: "FROM @/base\nCOPY x /\n".to_owned(),
            },
        ),
        (
            "x",
            Kind::File {
                mode: 0o600,
                content: "yes\n".to_owned(),
            },
        ),
        (
            "b",
            Kind::Binary {
                content: "eA==\n".to_owned(),
            },
        ),
        ("d", Kind::Directory { mode: 0o700 }),
        (
            "l",
            Kind::Link {
                target: "x".to_owned(),
            },
        ),
    ];
    let found: Vec<_> = one
        .entries
        .iter()
        .map(|entry| (entry.path.as_str(), entry.kind.clone()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(parse(&one.text()).unwrap(), cases[..1]);
    assert_eq!(cases[1], Case::new("two", "FROM scratch\n"));
}

#[test]
fn a_mistake_in_a_text_has_its_line() {
    assert_eq!(
        parse("FROM x\n"),
        Err("line 1: a case begins with `==== NAME`".to_owned())
    );
    let unknown = parse("==== a\n@targte x\n").unwrap_err();
    assert!(
        unknown.starts_with("line 2: @targte is no setting"),
        "{unknown}"
    );
    assert!(parse("==== a\n---- x 0999\n").is_err());
}
