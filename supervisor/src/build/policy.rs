//! What the builder does for a job: verbs and flags of Buildah as data, each flag with its reason.
//!
//! What is not here does not exist; docs/builds.md is held to it.

use super::flags::{Does, Flag, Takes};

/// One command of Buildah.
#[derive(Debug)]
pub struct Verb {
    /// Its names.
    pub names: &'static [&'static str],
    /// Its flags.
    pub flags: &'static [Flag],
    /// What it does.
    pub action: Action,
}

/// What a verb is about, and so what is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
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

const fn flag(long: &'static str, short: Option<char>, takes: Takes, does: Does) -> Flag {
    Flag {
        long,
        short,
        takes,
        does,
    }
}

const fn value(long: &'static str, why: &'static str) -> Flag {
    flag(long, None, Takes::Value, Does::Pass(why))
}

const fn switch(long: &'static str, why: &'static str) -> Flag {
    flag(long, None, Takes::Switch, Does::Pass(why))
}

const fn looked(long: &'static str, short: Option<char>, why: &'static str) -> Flag {
    flag(long, short, Takes::Value, Does::Look(why))
}

const fn refused(long: &'static str, short: Option<char>, why: &'static str) -> Flag {
    flag(long, short, Takes::Value, Does::Refuse(why))
}

const META: &str = "describes the image";
const WHICH: &str = "chooses among an image's variants";
const CACHE: &str = "chooses which layers are made anew";
const SPEAK: &str = "changes what is printed";
const RETRY: &str = "how often a registry is asked";
const LIMITS: &str = "limits are the pod's, and chroot isolation has none of its own";
const LOOSENS: &str = "it would loosen the isolation of RUN steps";
const NETWORK: &str = "RUN steps have the pod's network, its names and its resolver";
const CREDENTIALS: &str = "the builder chooses credentials by registry and repository; `buildah login` adds the job's own";
const CERTIFICATES: &str = "the builder trusts what its image and storage.insecure_registries say";
const KEYS: &str = "there are no keys in the builder";
const FORMAT: &str = "how the image is written";

/// Flags before the verb.
pub const GLOBAL: &[Flag] = &[
    flag("help", Some('h'), Takes::Switch, Does::Pass(SPEAK)),
    flag("version", Some('v'), Takes::Switch, Does::Pass(SPEAK)),
    value("log-level", SPEAK),
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
    refused("userns-uid-map", None, LOOSENS),
    refused("userns-gid-map", None, LOOSENS),
    refused("cgroup-manager", None, LIMITS),
    refused("cpu-profile", None, "it would write a file of the builder"),
    refused(
        "memory-profile",
        None,
        "it would write a file of the builder",
    ),
];

/// Flags that every verb has.
pub const COMMON: &[Flag] = &[flag("help", Some('h'), Takes::Switch, Does::Pass(SPEAK))];

const BUILD: &[Flag] = &[
    value(
        "add-host",
        "a line in the image's /etc/hosts while it is built",
    ),
    switch("all-platforms", WHICH),
    value("annotation", META),
    value("arch", WHICH),
    looked(
        "build-arg",
        None,
        "a value, or the variable of the job that it names",
    ),
    looked("build-arg-file", None, "read beneath the workspace"),
    looked(
        "build-context",
        None,
        "a directory beneath the workspace, or an image",
    ),
    looked("cache-from", None, "a repository"),
    looked(
        "cache-to",
        None,
        "a repository that builder.push.allow covers",
    ),
    value("cache-ttl", CACHE),
    value("cap-drop", "it tightens the isolation of RUN steps"),
    switch("compat-volumes", CACHE),
    switch("compress", "without effect in Buildah too"),
    looked(
        "creds",
        None,
        "the job's own, for this command alone; never on a command line of the builder",
    ),
    flag(
        "disable-compression",
        Some('D'),
        Takes::Switch,
        Does::Pass(FORMAT),
    ),
    switch("disable-content-trust", "without effect in Buildah too"),
    looked(
        "env",
        None,
        "a value, or the variable of the job that it names",
    ),
    looked(
        "file",
        Some('f'),
        "read beneath the workspace, or from standard input",
    ),
    switch("force-rm", CACHE),
    value("format", FORMAT),
    looked("from", None, "an image's name"),
    switch(
        "http-proxy",
        "the job's own proxy variables reach RUN steps",
    ),
    switch("identity-label", META),
    looked("ignorefile", None, "read beneath the workspace"),
    looked("iidfile", None, "written beneath the workspace"),
    value("jobs", "how many stages at once"),
    value("label", META),
    value("layer-label", META),
    switch("layers", CACHE),
    looked("logfile", None, "written beneath the workspace"),
    looked("manifest", None, "an image's name"),
    looked("network", None, "host and default are what RUN steps have"),
    switch("no-cache", CACHE),
    switch("no-hostname", META),
    switch("no-hosts", META),
    switch("omit-history", META),
    value("os", WHICH),
    value("os-feature", WHICH),
    value("os-version", WHICH),
    looked("output", Some('o'), "written beneath the workspace"),
    value("platform", WHICH),
    flag(
        "pull",
        None,
        Takes::Optional("true"),
        Does::Look("images are pulled before the build, so that it needs no credentials"),
    ),
    flag("quiet", Some('q'), Takes::Switch, Does::Pass(SPEAK)),
    value("retry", RETRY),
    value("retry-delay", RETRY),
    switch("rm", CACHE),
    looked(
        "secret",
        None,
        "read beneath the workspace, or from the job's environment; only RUN steps that ask see it",
    ),
    value("shm-size", "memory of a RUN step, within the container's"),
    switch("skip-unused-stages", CACHE),
    switch("squash", FORMAT),
    looked(
        "ssh",
        None,
        "an agent's socket or a key beneath the workspace",
    ),
    looked("tag", Some('t'), "an image's name"),
    value("target", "a stage's name"),
    value("timestamp", META),
    flag(
        "tls-verify",
        None,
        Takes::Switch,
        Does::Pass("a build has no credentials of the builder to lose"),
    ),
    value("unsetenv", META),
    value("unsetlabel", META),
    value("variant", WHICH),
    refused("authfile", None, CREDENTIALS),
    refused("cap-add", None, LOOSENS),
    refused("cert-dir", None, CERTIFICATES),
    refused("cgroup-parent", None, LIMITS),
    refused("cgroupns", None, LOOSENS),
    refused(
        "cpp-flag",
        None,
        "the preprocessor would read any file that the builder sees",
    ),
    refused("cpu-period", None, LIMITS),
    refused("cpu-quota", None, LIMITS),
    refused("cpu-shares", Some('c'), LIMITS),
    refused("cpuset-cpus", None, LIMITS),
    refused("cpuset-mems", None, LIMITS),
    refused(
        "cw",
        None,
        "confidential workloads need a machine of their own",
    ),
    refused("decryption-key", None, KEYS),
    refused("device", None, LOOSENS),
    refused("dns", None, NETWORK),
    refused("dns-option", None, NETWORK),
    refused("dns-search", None, NETWORK),
    refused("group-add", None, LOOSENS),
    refused(
        "hooks-dir",
        None,
        "a hook is a program that the builder would run",
    ),
    refused("ipc", None, LOOSENS),
    refused(
        "isolation",
        None,
        "the builder has chosen the strongest that works, by trial",
    ),
    flag(
        "logsplit",
        None,
        Takes::Switch,
        Does::Refuse("one log file a build; give --logfile alone"),
    ),
    refused("memory", Some('m'), LIMITS),
    refused("memory-swap", None, LIMITS),
    refused("pid", None, LOOSENS),
    refused(
        "runtime",
        None,
        "a runtime is a program that the builder would run",
    ),
    refused("runtime-flag", None, LOOSENS),
    flag(
        "sbom",
        None,
        Takes::Optional("syft"),
        Does::Refuse(
            "a scanner runs with the builder's rights; run one in the job on the pushed image",
        ),
    ),
    refused("security-opt", None, LOOSENS),
    refused("sign-by", None, KEYS),
    flag(
        "stdin",
        None,
        Takes::Switch,
        Does::Refuse("standard input ends at the client; COPY a file, or use --secret"),
    ),
    refused("ulimit", None, LIMITS),
    refused("userns", None, LOOSENS),
    refused("userns-gid-map", None, LOOSENS),
    refused("userns-gid-map-group", None, LOOSENS),
    refused("userns-uid-map", None, LOOSENS),
    refused("userns-uid-map-user", None, LOOSENS),
    refused("uts", None, LOOSENS),
    refused(
        "volume",
        Some('v'),
        "it would mount what is no part of the context into RUN steps; use COPY, --build-context or RUN --mount",
    ),
];

const PUSH: &[Flag] = &[
    flag(
        "all",
        None,
        Takes::Switch,
        Does::Pass("all images of a list"),
    ),
    value("add-compression", FORMAT),
    value("compression-format", FORMAT),
    value("compression-level", FORMAT),
    looked(
        "creds",
        None,
        "the job's own, for this command alone; never on a command line of the builder",
    ),
    looked("digestfile", None, "written beneath the workspace"),
    flag(
        "disable-compression",
        Some('D'),
        Takes::Switch,
        Does::Pass(FORMAT),
    ),
    switch("force-compression", FORMAT),
    flag("format", Some('f'), Takes::Value, Does::Pass(FORMAT)),
    flag("quiet", Some('q'), Takes::Switch, Does::Pass(SPEAK)),
    switch("remove-signatures", FORMAT),
    value("retry", RETRY),
    value("retry-delay", RETRY),
    switch("rm", "removes a list from the builder's storage"),
    flag(
        "tls-verify",
        None,
        Takes::Switch,
        Does::Look("never off with credentials of the builder"),
    ),
    refused("authfile", None, CREDENTIALS),
    refused("cert-dir", None, CERTIFICATES),
    refused("encrypt-layer", None, KEYS),
    refused("encryption-key", None, KEYS),
    refused("sign-by", None, KEYS),
];

const PULL: &[Flag] = &[
    flag(
        "all-tags",
        Some('a'),
        Takes::Switch,
        Does::Pass("all tags of a repository"),
    ),
    value("arch", WHICH),
    looked(
        "creds",
        None,
        "the job's own, for this command alone; never on a command line of the builder",
    ),
    value("os", WHICH),
    value("platform", WHICH),
    value("policy", CACHE),
    flag("quiet", Some('q'), Takes::Switch, Does::Pass(SPEAK)),
    switch("remove-signatures", FORMAT),
    value("retry", RETRY),
    value("retry-delay", RETRY),
    flag(
        "tls-verify",
        None,
        Takes::Switch,
        Does::Look("never off with credentials of the builder"),
    ),
    value("variant", WHICH),
    refused("authfile", None, CREDENTIALS),
    refused("cert-dir", None, CERTIFICATES),
    refused("decryption-key", None, KEYS),
];

const LOGIN: &[Flag] = &[
    flag(
        "get-login",
        None,
        Takes::Switch,
        Does::Pass("shows the job's own login"),
    ),
    looked(
        "password",
        Some('p'),
        "handed on by standard input: a command line can be read",
    ),
    flag(
        "password-stdin",
        None,
        Takes::Switch,
        Does::Look("from the client"),
    ),
    flag(
        "tls-verify",
        None,
        Takes::Switch,
        Does::Pass("the credentials are the job's own"),
    ),
    flag(
        "username",
        Some('u'),
        Takes::Value,
        Does::Pass("the job's own"),
    ),
    flag("verbose", Some('v'), Takes::Switch, Does::Pass(SPEAK)),
    refused(
        "authfile",
        None,
        "the builder keeps what the job logs in with, in memory",
    ),
    refused("cert-dir", None, CERTIFICATES),
    refused(
        "compat-auth-file",
        None,
        "the builder keeps what the job logs in with, in memory",
    ),
];

const LOGOUT: &[Flag] = &[
    flag(
        "all",
        Some('a'),
        Takes::Switch,
        Does::Pass("all logins of the job"),
    ),
    refused(
        "authfile",
        None,
        "the builder keeps what the job logs in with, in memory",
    ),
    refused(
        "compat-auth-file",
        None,
        "the builder keeps what the job logs in with, in memory",
    ),
];

const IMAGES: &[Flag] = &[
    flag("all", Some('a'), Takes::Switch, Does::Pass(SPEAK)),
    switch("digests", SPEAK),
    flag("filter", Some('f'), Takes::Value, Does::Pass(SPEAK)),
    value("format", SPEAK),
    switch("history", SPEAK),
    switch("json", SPEAK),
    switch("no-trunc", SPEAK),
    flag("noheading", Some('n'), Takes::Switch, Does::Pass(SPEAK)),
    flag("quiet", Some('q'), Takes::Switch, Does::Pass(SPEAK)),
];

const RMI: &[Flag] = &[
    flag(
        "all",
        Some('a'),
        Takes::Switch,
        Does::Pass("the builder's storage is this job's"),
    ),
    flag(
        "force",
        Some('f'),
        Takes::Switch,
        Does::Pass("the builder's storage is this job's"),
    ),
    flag(
        "prune",
        Some('p'),
        Takes::Switch,
        Does::Pass("the builder's storage is this job's"),
    ),
];

const PRUNE: &[Flag] = &[
    flag(
        "all",
        Some('a'),
        Takes::Switch,
        Does::Pass("the builder's storage is this job's"),
    ),
    flag(
        "force",
        Some('f'),
        Takes::Switch,
        Does::Pass("the builder's storage is this job's"),
    ),
];

const INSPECT: &[Flag] = &[
    flag("format", Some('f'), Takes::Value, Does::Pass(SPEAK)),
    flag(
        "type",
        Some('t'),
        Takes::Value,
        Does::Pass("image, container or manifest"),
    ),
];

const INFO: &[Flag] = &[
    flag("debug", Some('d'), Takes::Switch, Does::Pass(SPEAK)),
    value("format", SPEAK),
];

const VERSION: &[Flag] = &[switch("json", SPEAK)];

const TLS: &[Flag] = &[flag(
    "tls-verify",
    None,
    Takes::Switch,
    Does::Look("never off with credentials of the builder"),
)];

const MANIFEST_CREATE: &[Flag] = &[
    switch("all", WHICH),
    switch("amend", META),
    value("annotation", META),
    flag(
        "tls-verify",
        None,
        Takes::Switch,
        Does::Look("never off with credentials of the builder"),
    ),
];

const MANIFEST_ADD: &[Flag] = &[
    switch("all", WHICH),
    value("annotation", META),
    value("arch", META),
    looked(
        "creds",
        None,
        "the job's own, for this command alone; never on a command line of the builder",
    ),
    value("features", META),
    value("os", META),
    value("os-features", META),
    value("os-version", META),
    flag(
        "tls-verify",
        None,
        Takes::Switch,
        Does::Look("never off with credentials of the builder"),
    ),
    value("variant", META),
    flag(
        "artifact",
        None,
        Takes::Switch,
        Does::Refuse("it names a file of the builder; push artifacts from the job"),
    ),
    refused("authfile", None, CREDENTIALS),
    refused("cert-dir", None, CERTIFICATES),
];

const MANIFEST_ANNOTATE: &[Flag] = &[
    value("annotation", META),
    value("arch", META),
    value("features", META),
    switch("index", META),
    value("os", META),
    value("os-features", META),
    value("os-version", META),
    value("variant", META),
    refused("subject", None, "it names another image by its transport"),
];

const fn verb(names: &'static [&'static str], flags: &'static [Flag], action: Action) -> Verb {
    Verb {
        names,
        flags,
        action,
    }
}

/// All verbs.
pub const VERBS: &[Verb] = &[
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

/// Commands of Buildah that are not available: name, reason, what to use.
pub const MISSING: &[(&str, &str, &str)] = &[
    (
        "run",
        "a container that a job enters step by step would have to be held open for it",
        "`buildah build` with RUN",
    ),
    (
        "from",
        "working containers stay in the builder",
        "`buildah build` with FROM",
    ),
    (
        "add",
        "working containers stay in the builder",
        "`buildah build` with ADD",
    ),
    (
        "copy",
        "working containers stay in the builder",
        "`buildah build` with COPY",
    ),
    (
        "config",
        "working containers stay in the builder",
        "`buildah build` with LABEL, ENV, CMD and the like",
    ),
    (
        "commit",
        "working containers stay in the builder",
        "`buildah build --tag`",
    ),
    (
        "containers",
        "working containers stay in the builder",
        "`buildah images`",
    ),
    (
        "rm",
        "working containers stay in the builder, and end with each build",
        "`buildah rmi`",
    ),
    (
        "mount",
        "it would mount an image in the builder, where the job sees nothing of it",
        "`buildah build --output`",
    ),
    (
        "umount",
        "nothing is mounted for the job",
        "`buildah build --output`",
    ),
    (
        "unshare",
        "it would run a program in the builder",
        "the job's own shell",
    ),
    (
        "rename",
        "working containers stay in the builder",
        "`buildah tag`",
    ),
    (
        "mkcw",
        "confidential workloads need a machine of their own",
        "`buildah build`",
    ),
    (
        "source",
        "it writes files of the builder",
        "`buildah build`",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../docs/builds.md");

    fn row(flag: &Flag) -> String {
        let short = flag.short.map(|short| format!("`-{short}`, "));
        let (what, why) = match flag.does {
            Does::Pass(why) => ("passed on", why),
            Does::Look(why) => ("looked at", why),
            Does::Refuse(why) => ("not available", why),
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
        for (name, because, instead) in MISSING {
            text += &format!("| `buildah {name}` | {because} | {instead} |\n");
        }
        text
    }

    #[test]
    fn the_page_says_what_the_data_says() {
        let tables = tables();
        assert!(
            PAGE.ends_with(&tables),
            "the end of docs/builds.md must be:\n{tables}"
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
