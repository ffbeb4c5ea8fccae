//! `docker version`, `info` and `context`.

use serde_json::{Value, json};

use super::arguments::Parsed;
use super::output::{Output, OutputError, render_objects};
use super::verbs::{Translation, Verb};

use super::error::TranslateError;
use super::flag_specs::{Flag, FlagPolicy, switch, value};
use super::planner::Planner;
use super::template::Template;
use super::verbs::Program;

pub(super) const VERBS: &[Verb] = &[
    Verb {
        names: &["version"],
        flags: &[FORMAT],
        effect: "`buildah version` in Docker's form, with Buildah as the server",
        translation: Translation::Steps(version),
    },
    Verb {
        names: &["info", "system info"],
        flags: &[FORMAT],
        effect: "`buildah info` in Docker's form",
        translation: Translation::Steps(info),
    },
    Verb {
        names: &["context ls", "context list"],
        flags: &[CONTEXTS],
        effect: "`default`, the only context",
        translation: Translation::Steps(contexts),
    },
    Verb {
        names: &["context show"],
        flags: &[],
        effect: "`default`",
        translation: Translation::Steps(show_context),
    },
    Verb {
        names: &["context inspect"],
        flags: &[FORMAT],
        effect: "`default`, with the address of Docker's socket, where no daemon listens",
        translation: Translation::Steps(inspect_context),
    },
    Verb {
        names: &["context use"],
        flags: &[],
        effect: "`default`; any other context is not available",
        translation: Translation::Steps(use_context),
    },
];

pub(super) const FORMAT: &[Flag] = &[value(
    "format",
    Some('f'),
    FlagPolicy::Handled("`json`, or Go's template"),
)];

const CONTEXTS: &[Flag] = &[
    value(
        "format",
        None,
        FlagPolicy::Handled("`json`, or Go's template"),
    ),
    switch(
        "quiet",
        Some('q'),
        FlagPolicy::Handled("prints only the name"),
    ),
];

/// The address in the context `default`, which scripts read. No daemon listens there.
const ENDPOINT: &str = "unix:///var/run/docker.sock";

/// The version of Docker whose command lines are translated.
const DOCKER: &str = "29.0.0";

/// Returns Go's name of this machine's architecture.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

pub(super) fn short_version(program: Program) -> String {
    let version = env!("CARGO_PKG_VERSION");
    match program {
        Program::Docker => format!("Docker version {DOCKER}, build ci-cd-agents-{version}\n"),
        Program::Podman => format!("podman version 5.0.0 (ci-cd-agents {version})\n"),
    }
}

fn format(parsed: &Parsed) -> Option<String> {
    let format = parsed.last("format").filter(|format| !format.is_empty());
    format.map(str::to_owned)
}

fn version(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    planner.capture(["version", "--json"]);
    planner.print(Output::Version {
        format: format(parsed),
    });
    Ok(())
}

pub(super) fn render_version(stdout: &Value, format: Option<&str>) -> Result<String, OutputError> {
    let text = |key: &str| stdout[key].as_str().unwrap_or("").to_owned();
    let api = "1.44";
    let object = json!({
        "Client": {
            "Version": DOCKER, "ApiVersion": api, "APIVersion": api, "DefaultAPIVersion": api,
            "GitCommit": format!("ci-cd-agents-{}", env!("CARGO_PKG_VERSION")), "GoVersion": "", "BuildTime": "",
            "Platform": {"Name": "ci-cd-agents"}, "Experimental": true,
            "Os": "linux", "Arch": architecture(), "Context": "default",
        },
        "Server": {
            "Version": text("version"), "ApiVersion": api, "APIVersion": api, "GoVersion": text("goVersion"),
            "GitCommit": text("gitCommit"), "Os": "linux", "Arch": architecture(),
            "Platform": {"Name": "Buildah"}, "MinAPIVersion": api, "BuildTime": text("built"),
            "KernelVersion": "", "Experimental": false,
            "Components": [{"Name": "Buildah", "Version": text("version"), "Details": {}}],
        },
    });
    render_object(
        format,
        &object,
        "Client: ci-cd-agents\n Version:      {{.Client.Version}} (the version of the translated command lines)\n OS/Arch:      {{.Client.Os}}/{{.Client.Arch}}\n Context:      {{.Client.Context}}\n\nServer: Buildah\n Version:      {{.Server.Version}}\n Go version:   {{.Server.GoVersion}}\n OS/Arch:      {{.Server.Os}}/{{.Server.Arch}}\n",
    )
}

/// Renders an object through the user's template with a newline, as JSON, or through the default template.
fn render_object(
    format: Option<&str>,
    object: &Value,
    default: &str,
) -> Result<String, OutputError> {
    match format {
        None => Ok(Template::parse(default)?.render(object)?),
        Some("json") => Ok(format!("{object}\n")),
        Some(template) => Ok(Template::parse(template)?.render(object)? + "\n"),
    }
}

pub(super) fn info(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    planner.capture(["version", "--json"]);
    planner.capture(["info"]);
    planner.print(Output::Info {
        format: format(parsed),
    });
    Ok(())
}

pub(super) fn render_info(
    info: &Value,
    version: &str,
    format: Option<&str>,
) -> Result<String, OutputError> {
    let version: Value = serde_json::from_str(version)?;
    let (host, store) = (&info["host"], &info["store"]);
    let distribution = |key: &str| host["Distribution"][key].as_str().unwrap_or("").to_owned();
    let security = match host["rootless"].as_bool() {
        Some(true) => vec!["name=rootless"],
        _ => Vec::new(),
    };
    let mut object = zero_info();
    let known = json!({
        "Name": host["hostname"], "ServerVersion": version["version"],
        "Driver": store["GraphDriverName"], "DockerRootDir": store["GraphRoot"],
        "Images": store["ImageStore"]["number"],
        "OSType": "linux", "Architecture": std::env::consts::ARCH,
        "OperatingSystem": format!("{} {}", distribution("distribution"), distribution("version")),
        "OSVersion": distribution("version"),
        "KernelVersion": host["kernel"], "NCPU": host["cpus"], "MemTotal": host["MemTotal"],
        "CgroupVersion": host["CgroupVersion"].as_str().unwrap_or("").trim_start_matches('v'),
        "SecurityOptions": security, "IndexServerAddress": "https://index.docker.io/v1/",
        "DefaultRuntime": host["OCIRuntime"], "Swarm": {"LocalNodeState": "inactive"},
        "ClientInfo": {"Context": "default", "Version": DOCKER, "Debug": false, "Plugins": [], "Warnings": null},
        "Host": host, "Store": store,
    });
    for (name, value) in known.as_object().into_iter().flatten() {
        match (&mut object[name], value) {
            (Value::Object(inner), Value::Object(more)) => inner.extend(more.clone()),
            (old, value) => *old = value.clone(),
        }
    }
    render_object(
        format,
        &object,
        "Client: ci-cd-agents\n Context: default\n\nServer: Buildah\n Images: {{.Images}}\n Server Version: {{.ServerVersion}}\n Storage Driver: {{.Driver}}\n Security Options:{{range .SecurityOptions}} {{.}}{{end}}\n Kernel Version: {{.KernelVersion}}\n Operating System: {{.OperatingSystem}}\n OSType: {{.OSType}}\n Architecture: {{.Architecture}}\n CPUs: {{.NCPU}}\n Total Memory: {{.MemTotal}}\n Name: {{.Name}}\n Docker Root Dir: {{.DockerRootDir}}\n",
    )
}

/// Returns the fields of Docker's type that Buildah does not know, with the values that Docker prints without a daemon.
fn zero_info() -> Value {
    json!({
        "ID": "", "Containers": 0, "ContainersRunning": 0, "ContainersPaused": 0, "ContainersStopped": 0,
        "DriverStatus": null,
        "Plugins": {"Volume": null, "Network": null, "Authorization": null, "Log": null},
        "MemoryLimit": false, "SwapLimit": false, "CpuCfsPeriod": false, "CpuCfsQuota": false, "CPUShares": false,
        "CPUSet": false, "PidsLimit": false, "IPv4Forwarding": false, "Debug": false, "NFd": 0,
        "OomKillDisable": false, "NGoroutines": 0, "SystemTime": "", "LoggingDriver": "", "CgroupDriver": "",
        "NEventsListener": 0, "RegistryConfig": null, "GenericResources": null, "HttpProxy": "", "HttpsProxy": "",
        "NoProxy": "", "Labels": null, "ExperimentalBuild": false, "Runtimes": null,
        "Swarm": {"NodeID": "", "NodeAddr": "", "LocalNodeState": "", "ControlAvailable": false, "Error": "", "RemoteManagers": null},
        "LiveRestoreEnabled": false, "Isolation": "", "InitBinary": "", "ContainerdCommit": {"ID": ""},
        "RuncCommit": {"ID": ""}, "InitCommit": {"ID": ""}, "CDISpecDirs": null, "Warnings": null,
    })
}

fn context() -> Value {
    json!({
        "Name": "default", "Metadata": {},
        "Endpoints": {"docker": {"Host": ENDPOINT, "SkipTLSVerify": false}},
        "TLSMaterial": {},
        "Storage": {"MetadataPath": "<IN MEMORY>", "TLSPath": "<IN MEMORY>"},
    })
}

fn contexts(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let row = json!({"Name": "default", "Current": true, "Description": "the pod's builder", "DockerEndpoint": ENDPOINT, "Error": ""});
    let text = match parsed.last("format") {
        _ if parsed.on("quiet") => "default\n".to_owned(),
        None | Some("" | "table") => super::image_table::align_columns(&[
            "NAME\tDESCRIPTION\tDOCKER ENDPOINT\tERROR".to_owned(),
            format!("default *\tthe pod's builder\t{ENDPOINT}"),
        ]),
        Some("json") => format!("{row}\n"),
        format => {
            render_objects(format, &[row]).map_err(|error| planner.usage(&error.to_string()))?
        }
    };
    planner.print_text(text);
    Ok(())
}

fn show_context(_: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    planner.print_text("default\n");
    Ok(())
}

fn inspect_context(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    only_default(parsed, planner)?;
    let text = render_objects(format(parsed).as_deref(), &[context()]);
    planner.print_text(text.map_err(|error| planner.usage(&error.to_string()))?);
    Ok(())
}

fn use_context(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    only_default(parsed, planner)?;
    planner.print_text("default\n");
    Ok(())
}

fn only_default(parsed: &Parsed, planner: &Planner<'_>) -> Result<(), TranslateError> {
    match parsed.positional.iter().find(|name| *name != "default") {
        None => Ok(()),
        Some(name) => Err(planner.not_available(
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
    fn scripts_find_the_versions() {
        let stdout = json!({"version": "1.39.3", "goVersion": "go1.24.4", "gitCommit": ""});
        let show = |format| render_version(&stdout, Some(format)).unwrap();
        assert_eq!(show("{{.Server.Version}}"), "1.39.3\n");
        assert_eq!(show("{{.Client.Version}}"), "29.0.0\n");
        assert_eq!(
            show("{{.Client.Platform.Name}} {{.Server.Experimental}}"),
            "ci-cd-agents false\n"
        );
        assert_eq!(
            show("{{range .Server.Components}}{{.Name}}{{end}}"),
            "Buildah\n"
        );
        assert!(show("json").contains(r#""Name":"Buildah""#));
        assert!(
            render_version(&stdout, None)
                .unwrap()
                .contains("Server: Buildah\n Version:      1.39.3\n")
        );
    }

    #[test]
    fn the_context_has_dockers_endpoint() {
        let text = render_objects(Some("{{.Endpoints.docker.Host}}"), &[context()]);
        assert_eq!(text.unwrap(), "unix:///var/run/docker.sock\n");
    }

    #[test]
    fn info_has_dockers_fields() {
        let info = json!({
            "host": {"hostname": "pod", "cpus": 2, "rootless": true, "MemTotal": 7, "kernel": "6.18",
                "Distribution": {"distribution": "debian", "version": "13"}, "OCIRuntime": "crun", "CgroupVersion": "v2"},
            "store": {"GraphDriverName": "overlay", "GraphRoot": "/w/storage", "ImageStore": {"number": 3}},
        });
        let show = |format| render_info(&info, r#"{"version":"1.39.3"}"#, format).unwrap();
        assert_eq!(
            show(Some("{{.Driver}} {{.OSType}} {{.NCPU}}")),
            "overlay linux 2\n"
        );
        assert_eq!(show(Some("{{.Store.GraphRoot}}")), "/w/storage\n");
        for (template, expected) in [
            (
                "{{json .Plugins.Volume}} {{.ContainersRunning}}",
                "null 0\n",
            ),
            ("{{.Swarm.LocalNodeState}}{{.Swarm.NodeID}}", "inactive\n"),
            (
                "{{.LoggingDriver}}{{.CgroupDriver}}{{.RuncCommit.ID}}",
                "\n",
            ),
            (
                "{{.ClientInfo.Context}} {{json .Warnings}}",
                "default null\n",
            ),
            ("{{range .DriverStatus}}x{{end}}{{.Runtimes}}", "map[]\n"),
        ] {
            assert_eq!(show(Some(template)), expected, "{template}");
        }
        assert!(
            show(None).contains(" Storage Driver: overlay\n Security Options: name=rootless\n")
        );
    }
}
