//! `docker version`, `info` and `context`.

use serde_json::{Value, json};

use super::answer::{Answer, AnswerError, present};
use super::arguments::Parsed;
use super::flag_specs::{Translation, Verb};
use super::plan::Planner;
use super::template::Template;
use super::types::{Flag, FlagPolicy, switch, value};
use super::types::{Program, Unavailable};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        names: &["version"],
        flags: &[FORMAT],
        becomes: "`buildah version`, as Docker's: the server is Buildah",
        by: Translation::Steps(version),
    },
    Verb {
        names: &["info", "system info"],
        flags: &[FORMAT],
        becomes: "`buildah info`, as Docker's",
        by: Translation::Steps(info),
    },
    Verb {
        names: &["context ls", "context list"],
        flags: &[CONTEXTS],
        becomes: "`default`, the only one",
        by: Translation::Steps(contexts),
    },
    Verb {
        names: &["context show"],
        flags: &[],
        becomes: "`default`",
        by: Translation::Steps(show_context),
    },
    Verb {
        names: &["context inspect"],
        flags: &[FORMAT],
        becomes: "`default`, without an endpoint: there is no daemon",
        by: Translation::Steps(inspect_context),
    },
    Verb {
        names: &["context use"],
        flags: &[],
        becomes: "`default`; any other is not available",
        by: Translation::Steps(use_context),
    },
];

pub(super) const FORMAT: &[Flag] = &[value(
    "format",
    Some('f'),
    FlagPolicy::Ours("`json`, or Go's template"),
)];

const CONTEXTS: &[Flag] = &[
    value("format", None, FlagPolicy::Ours("`json`, or Go's template")),
    switch("quiet", Some('q'), FlagPolicy::Ours("the name alone")),
];

/// The version of Docker's command line that is understood.
const DOCKER: &str = "29.0.0";

/// Go's name of this machine's architecture.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// `--version`.
pub(super) fn short_version(program: Program) -> String {
    let ours = env!("CARGO_PKG_VERSION");
    match program {
        Program::Docker => format!("Docker version {DOCKER}, build ci-cd-agents-{ours}\n"),
        Program::Podman => format!("podman version 5.0.0 (ci-cd-agents {ours})\n"),
    }
}

fn format(parsed: &Parsed) -> Option<String> {
    let format = parsed.last("format").filter(|format| !format.is_empty());
    format.map(str::to_owned)
}

fn version(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    to.capture(["version", "--json"]);
    to.say(Answer::Version {
        format: format(parsed),
    });
    Ok(())
}

pub(super) fn show_version(said: &Value, format: Option<&str>) -> Result<String, AnswerError> {
    let text = |key: &str| said[key].as_str().unwrap_or("").to_owned();
    let api = "1.44";
    let object = json!({
        "Client": {
            "Version": DOCKER, "ApiVersion": api, "APIVersion": api, "DefaultAPIVersion": api,
            "GitCommit": format!("ci-cd-agents-{}", env!("CARGO_PKG_VERSION")),
            "Os": "linux", "Arch": architecture(), "Context": "default",
        },
        "Server": {
            "Version": text("version"), "ApiVersion": api, "APIVersion": api, "GoVersion": text("goVersion"),
            "GitCommit": text("gitCommit"), "Os": "linux", "Arch": architecture(),
            "Platform": {"Name": "Buildah"},
        },
    });
    one(
        format,
        &object,
        "Client: ci-cd-agents\n Version:      {{.Client.Version}} (commands of Docker's that are understood)\n OS/Arch:      {{.Client.Os}}/{{.Client.Arch}}\n Context:      {{.Client.Context}}\n\nServer: Buildah\n Version:      {{.Server.Version}}\n Go version:   {{.Server.GoVersion}}\n OS/Arch:      {{.Server.Os}}/{{.Server.Arch}}\n",
    )
}

/// One object: through the user's template and a line's end, as JSON, or through ours.
fn one(format: Option<&str>, object: &Value, ours: &str) -> Result<String, AnswerError> {
    match format {
        None => Ok(Template::read(ours)?.render(object)?),
        Some("json") => Ok(format!("{object}\n")),
        Some(template) => Ok(Template::read(template)?.render(object)? + "\n"),
    }
}

pub(super) fn info(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    to.capture(["version", "--json"]);
    to.capture(["info"]);
    to.say(Answer::Info {
        format: format(parsed),
    });
    Ok(())
}

pub(super) fn show_info(
    info: &Value,
    version: &str,
    format: Option<&str>,
) -> Result<String, AnswerError> {
    let version: Value = serde_json::from_str(version)?;
    let (host, store) = (&info["host"], &info["store"]);
    let distribution = |key: &str| host["Distribution"][key].as_str().unwrap_or("").to_owned();
    let security = match host["rootless"].as_bool() {
        Some(true) => vec!["name=rootless"],
        _ => Vec::new(),
    };
    let object = json!({
        "ID": "", "Name": host["hostname"], "ServerVersion": version["version"],
        "Driver": store["GraphDriverName"], "DockerRootDir": store["GraphRoot"],
        "Images": store["ImageStore"]["number"],
        "Containers": 0, "ContainersRunning": 0, "ContainersPaused": 0, "ContainersStopped": 0,
        "OSType": "linux", "Architecture": std::env::consts::ARCH,
        "OperatingSystem": format!("{} {}", distribution("distribution"), distribution("version")),
        "KernelVersion": host["kernel"], "NCPU": host["cpus"], "MemTotal": host["MemTotal"],
        "CgroupVersion": host["CgroupVersion"].as_str().unwrap_or("").trim_start_matches('v'),
        "SecurityOptions": security, "IndexServerAddress": "https://index.docker.io/v1/",
        "DefaultRuntime": host["OCIRuntime"], "Swarm": {"LocalNodeState": "inactive"},
        "ClientInfo": {"Context": "default", "Version": DOCKER},
        "Host": host, "Store": store,
    });
    one(
        format,
        &object,
        "Client: ci-cd-agents\n Context: default\n\nServer: Buildah\n Images: {{.Images}}\n Server Version: {{.ServerVersion}}\n Storage Driver: {{.Driver}}\n Security Options:{{range .SecurityOptions}} {{.}}{{end}}\n Kernel Version: {{.KernelVersion}}\n Operating System: {{.OperatingSystem}}\n OSType: {{.OSType}}\n Architecture: {{.Architecture}}\n CPUs: {{.NCPU}}\n Total Memory: {{.MemTotal}}\n Name: {{.Name}}\n Docker Root Dir: {{.DockerRootDir}}\n",
    )
}

fn context() -> Value {
    json!({"Name": "default", "Metadata": {}, "Endpoints": {"docker": {"SkipTLSVerify": false}}, "TLSMaterial": {}})
}

fn contexts(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let row = json!({"Name": "default", "Current": true, "Description": "the pod's builder", "DockerEndpoint": "", "Error": ""});
    let text = match parsed.last("format") {
        _ if parsed.on("quiet") => "default\n".to_owned(),
        None | Some("" | "table") => super::listing::aligned(&[
            "NAME\tDESCRIPTION\tDOCKER ENDPOINT\tERROR".to_owned(),
            "default *\tthe pod's builder".to_owned(),
        ]),
        Some("json") => format!("{row}\n"),
        format => present(format, &[row]).map_err(|error| to.usage(&error.to_string()))?,
    };
    to.print(text);
    Ok(())
}

fn show_context(_: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    to.print("default\n");
    Ok(())
}

fn inspect_context(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    only_default(parsed, to)?;
    let text = present(format(parsed).as_deref(), &[context()]);
    to.print(text.map_err(|error| to.usage(&error.to_string()))?);
    Ok(())
}

fn use_context(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    only_default(parsed, to)?;
    to.print("default\n");
    Ok(())
}

fn only_default(parsed: &Parsed, to: &Planner<'_>) -> Result<(), Unavailable> {
    match parsed.positional.iter().find(|name| *name != "default") {
        None => Ok(()),
        Some(name) => Err(to.refused(
            name,
            "a pod has one builder, and its context is `default`",
            "default",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_what_scripts_ask_for() {
        let said = json!({"version": "1.39.3", "goVersion": "go1.24.4", "gitCommit": ""});
        let show = |format| show_version(&said, Some(format)).unwrap();
        assert_eq!(show("{{.Server.Version}}"), "1.39.3\n");
        assert_eq!(show("{{.Client.Version}}"), "29.0.0\n");
        assert!(show("json").contains(r#""Name":"Buildah""#));
        assert!(
            show_version(&said, None)
                .unwrap()
                .contains("Server: Buildah\n Version:      1.39.3\n")
        );
    }

    #[test]
    fn info_is_buildahs_in_dockers_words() {
        let info = json!({
            "host": {"hostname": "pod", "cpus": 2, "rootless": true, "MemTotal": 7, "kernel": "6.18",
                "Distribution": {"distribution": "debian", "version": "13"}, "OCIRuntime": "crun", "CgroupVersion": "v2"},
            "store": {"GraphDriverName": "overlay", "GraphRoot": "/w/storage", "ImageStore": {"number": 3}},
        });
        let show = |format| show_info(&info, r#"{"version":"1.39.3"}"#, format).unwrap();
        assert_eq!(
            show(Some("{{.Driver}} {{.OSType}} {{.NCPU}}")),
            "overlay linux 2\n"
        );
        assert_eq!(show(Some("{{.Store.GraphRoot}}")), "/w/storage\n");
        assert!(
            show(None).contains(" Storage Driver: overlay\n Security Options: name=rootless\n")
        );
    }
}
