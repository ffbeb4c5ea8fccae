//! The commands of Buildah that the builder runs for a job, as data: verbs, flags, and the policy of each flag.
//!
//! A command or a flag that is not here does not exist. The tables of docs/builds.md are generated from this data.

mod build;
mod dsl;
mod images;
mod registry;
mod unsupported;

use super::flags::Flag;
use super::rejected::Rejected;
use build::BUILD;
use dsl::*;
use images::*;
use registry::*;
pub(crate) use unsupported::UNSUPPORTED;

/// One command of Buildah.
#[derive(Debug)]
pub(crate) struct Verb {
    /// All names of the command.
    pub names: &'static [&'static str],
    /// The flags that exist besides [`COMMON`].
    pub flags: &'static [Flag],
    /// The kind of command, which decides how it is planned.
    pub action: Action,
}

/// The kind of a command. It decides what the planner checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// A build.
    Build,
    /// A push of an image.
    Push,
    /// A push of a list of images.
    ManifestPush,
    /// A pull of an image.
    Pull,
    /// A login with the job's own credentials.
    Login,
    /// The removal of such a login.
    Logout,
    /// A request to a registry through the builder's own client.
    Registry(RegistryRequest),
    /// A command whose positional arguments are names of images.
    Names,
    /// A command that only prints.
    Plain,
}

/// What the builder's own registry client does. Buildah has no such commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RegistryRequest {
    /// Prints a manifest or a list, to the byte.
    Manifest,
    /// Prints the config of an image, to the byte.
    Config,
    /// Copies an image or a list. Each digest stays the same.
    Copy,
    /// Pushes the list on standard input. Its images are in the repository already.
    Index,
    /// Pushes an image or a list of the storage under its digest, without a tag.
    Push,
}

/// Flags before the verb.
pub(crate) const GLOBAL: &[Flag] = &[
    short_switch("help", 'h', PRINTING),
    short_switch("version", 'v', PRINTING),
    value("log-level", PRINTING),
    refused("root", None, "the builder has one storage"),
    refused("runroot", None, "the builder has one storage"),
    refused(
        "storage-driver",
        None,
        "the builder probes the drivers and chooses one",
    ),
    refused(
        "storage-opt",
        None,
        "an option of the storage can name a program to run",
    ),
    refused("registries-conf", None, "the builder has its own file"),
    refused("registries-conf-dir", None, "the builder has its own file"),
    refused(
        "short-name-alias-conf",
        None,
        "the builder has its own file",
    ),
    refused(
        "default-mounts-file",
        None,
        "it would mount the builder's files into RUN steps",
    ),
    refused("userns-uid-map", None, WEAKENS),
    refused("userns-gid-map", None, WEAKENS),
    refused("cgroup-manager", None, LIMITS),
    refused("cpu-profile", None, "it would write a file in the builder"),
    refused(
        "memory-profile",
        None,
        "it would write a file in the builder",
    ),
];

/// Flags that every verb has.
pub(crate) const COMMON: &[Flag] = &[short_switch("help", 'h', PRINTING)];

const fn verb(names: &'static [&'static str], flags: &'static [Flag], action: Action) -> Verb {
    Verb {
        names,
        flags,
        action,
    }
}

/// All verbs.
pub(crate) const VERBS: &[Verb] = &[
    verb(
        &["build", "bud", "build-using-dockerfile"],
        BUILD,
        Action::Build,
    ),
    verb(&["push"], PUSH, Action::Push),
    verb(&["pull"], PULL, Action::Pull),
    verb(&["tag"], &[], Action::Names),
    verb(&["rmi"], RMI, Action::Names),
    verb(&["prune"], PRUNE, Action::Names),
    verb(&["images"], IMAGES, Action::Names),
    verb(&["inspect"], INSPECT, Action::Names),
    verb(&["manifest create"], MANIFEST_CREATE, Action::Names),
    verb(&["manifest add"], MANIFEST_ADD, Action::Names),
    verb(&["manifest annotate"], MANIFEST_ANNOTATE, Action::Names),
    verb(&["manifest inspect"], TLS, Action::Names),
    verb(&["manifest exists"], &[], Action::Names),
    verb(&["manifest rm"], &[], Action::Names),
    verb(&["manifest remove"], &[], Action::Names),
    verb(&["manifest push"], PUSH, Action::ManifestPush),
    verb(&["login"], LOGIN, Action::Login),
    verb(&["logout"], LOGOUT, Action::Logout),
    verb(
        &["registry manifest"],
        TLS,
        Action::Registry(RegistryRequest::Manifest),
    ),
    verb(
        &["registry config"],
        TLS,
        Action::Registry(RegistryRequest::Config),
    ),
    verb(
        &["registry copy"],
        COPY,
        Action::Registry(RegistryRequest::Copy),
    ),
    verb(
        &["registry index"],
        TLS,
        Action::Registry(RegistryRequest::Index),
    ),
    verb(
        &["registry push"],
        PUSH_BY_DIGEST,
        Action::Registry(RegistryRequest::Push),
    ),
    verb(&["version"], VERSION, Action::Plain),
    verb(&["info"], INFO, Action::Plain),
];

/// Returns the command that a command line begins with, and the arguments after it. Returns `None` for an empty line.
///
/// # Errors
/// [`Rejected`] for a command that is not available or does not exist.
pub(super) fn find(words: &[String]) -> Result<Option<(&'static Verb, &[String])>, Rejected> {
    let Some(first) = words.first() else {
        return Ok(None);
    };
    let two = words.get(1).map(|second| format!("{first} {second}"));
    for verb in VERBS {
        if verb.names.contains(&first.as_str()) {
            return Ok(Some((verb, &words[1..])));
        }
        if two.as_deref().is_some_and(|two| verb.names.contains(&two)) {
            return Ok(Some((verb, &words[2..])));
        }
    }
    match UNSUPPORTED.iter().find(|entry| entry.name == first) {
        Some(entry) => Err(Rejected::UnsupportedVerb {
            verb: entry.name,
            reason: entry.because,
            instead: entry.instead,
        }),
        None => Err(Rejected::UnknownVerb(first.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::FlagPolicy;

    const PAGE: &str = include_str!("../../../docs/builds.md");

    fn row(flag: &Flag) -> String {
        let short = flag.short.map(|short| format!("`-{short}`, "));
        let (what, why) = match flag.policy {
            FlagPolicy::Pass(why) => ("passed on", why),
            FlagPolicy::Check(why) => ("checked", why),
            FlagPolicy::Refuse(why) => ("not available", why),
        };
        let long = flag.long;
        format!(
            "| {}`--{long}` | {what} | {why} |\n",
            short.unwrap_or_default()
        )
    }

    fn section(title: &str, flags: &[Flag]) -> String {
        let mut text = format!("### {title}\n\n");
        if flags.is_empty() {
            return text + "No flags.\n";
        }
        text += "| flag | | why |\n|---|---|---|\n";
        text + &flags.iter().map(row).collect::<String>()
    }

    /// Returns all tables of the page.
    fn tables() -> String {
        let mut text = section("Flags before the command", GLOBAL);
        for verb in VERBS {
            let names: Vec<String> = verb
                .names
                .iter()
                .map(|name| format!("`buildah {name}`"))
                .collect();
            text += "\n";
            text += &section(&names.join(", "), verb.flags);
        }
        text += "\n### Not available\n\n| command | because | use |\n|---|---|---|\n";
        for entry in UNSUPPORTED {
            text += &format!(
                "| `buildah {}` | {} | {} |\n",
                entry.name, entry.because, entry.instead
            );
        }
        text
    }

    /// `BUILDS_PAGE=write cargo test -p builder the_page` writes the tables of docs/builds.md anew.
    #[test]
    fn the_page_says_what_the_data_says() {
        let tables = tables();
        let (before, _) = PAGE.split_once("### Flags before the command").unwrap();
        if std::env::var_os("BUILDS_PAGE").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/builds.md");
            std::fs::write(path, format!("{before}{tables}")).unwrap();
            return;
        }
        let written = &PAGE[before.len()..];
        assert_eq!(
            written, tables,
            "BUILDS_PAGE=write writes docs/builds.md anew"
        );
    }

    #[test]
    fn every_flag_is_listed_once_in_a_table() {
        for flags in VERBS.iter().map(|verb| verb.flags).chain([GLOBAL]) {
            let mut names: Vec<String> = flags.iter().map(|flag| flag.long.to_owned()).collect();
            names.extend(flags.iter().filter_map(|flag| flag.short).map(String::from));
            let all = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), all, "{names:?}");
        }
    }
}
