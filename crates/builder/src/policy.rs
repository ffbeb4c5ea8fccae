//! What the builder does for a job: verbs and flags of Buildah as data, each flag with its reason.
//!
//! What is not here does not exist; docs/builds.md is held to it.

mod build;
mod dsl;
mod images;
mod registry;
mod unsupported;

use super::flags::{Flag, FlagPolicy};
use super::rejected::Rejected;
use build::BUILD;
use dsl::*;
use images::*;
use pflag::FlagArity;
use registry::*;
pub(crate) use unsupported::UNSUPPORTED;

/// One command of Buildah.
#[derive(Debug)]
pub(crate) struct Verb {
    /// Its names.
    pub names: &'static [&'static str],
    /// Its flags.
    pub flags: &'static [Flag],
    /// What it does.
    pub action: Action,
}

/// What a verb is about, and so what is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Builds.
    Build,
    /// Sends an image away.
    Push,
    /// Sends a list of images away.
    ManifestPush,
    /// Fetches an image.
    Pull,
    /// The job's own credentials.
    Login,
    /// The same, away.
    Logout,
    /// Names images in the storage, which may have to be fetched.
    Names,
    /// Nothing that a job could abuse.
    Plain,
}
/// Flags before the verb.
pub(crate) const GLOBAL: &[Flag] = &[
    flag(
        "help",
        Some('h'),
        FlagArity::Switch,
        FlagPolicy::Pass(PRINTING),
    ),
    flag(
        "version",
        Some('v'),
        FlagArity::Switch,
        FlagPolicy::Pass(PRINTING),
    ),
    value("log-level", PRINTING),
    refused("root", None, "the builder has one storage"),
    refused("runroot", None, "the builder has one storage"),
    refused(
        "storage-driver",
        None,
        "the builder has chosen its driver by trial",
    ),
    refused(
        "storage-opt",
        None,
        "an option of the storage can name a program to run",
    ),
    refused("registries-conf", None, "the builder has its own"),
    refused("registries-conf-dir", None, "the builder has its own"),
    refused("short-name-alias-conf", None, "the builder has its own"),
    refused(
        "default-mounts-file",
        None,
        "it would mount the builder's files into RUN steps",
    ),
    refused("userns-uid-map", None, WEAKENS),
    refused("userns-gid-map", None, WEAKENS),
    refused("cgroup-manager", None, LIMITS),
    refused("cpu-profile", None, "it would write a file of the builder"),
    refused(
        "memory-profile",
        None,
        "it would write a file of the builder",
    ),
];

/// Flags that every verb has.
pub(crate) const COMMON: &[Flag] = &[flag(
    "help",
    Some('h'),
    FlagArity::Switch,
    FlagPolicy::Pass(PRINTING),
)];

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
    verb(&["version"], VERSION, Action::Plain),
    verb(&["info"], INFO, Action::Plain),
];

/// The verb that a command line begins with, and what follows it; `None` where there is none at all.
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
    match UNSUPPORTED.iter().find(|(name, ..)| name == first) {
        Some((verb, reason, instead)) => Err(Rejected::UnsupportedVerb {
            verb,
            reason,
            instead,
        }),
        None => Err(Rejected::UnknownVerb(first.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// Everything that the data says, as the page has it.
    fn tables() -> String {
        let mut text = section("Flags before the command", GLOBAL);
        for verb in VERBS {
            let names: Vec<String> = (verb.names.iter())
                .map(|name| format!("`buildah {name}`"))
                .collect();
            text += "\n";
            text += &section(&names.join(", "), verb.flags);
        }
        text += "\n### Not available\n\n| command | because | use |\n|---|---|---|\n";
        for (name, because, instead) in UNSUPPORTED {
            text += &format!("| `buildah {name}` | {because} | {instead} |\n");
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
    fn no_flag_stands_twice_in_a_table() {
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
