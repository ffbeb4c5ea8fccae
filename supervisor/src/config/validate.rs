//! Finds values that are well-formed but impossible, before anything starts.

mod invalid_value;
mod times;

use std::path::Path;

use super::reserved::reserved;
use super::{Config, Driver, FlavorName};
use invalid_value::{InvalidValue, invalid};

/// Returns the first impossible value.
pub(super) fn first_invalid(config: &Config) -> Option<InvalidValue> {
    paths(config)
        .or_else(|| wiped_paths(config))
        .or_else(|| times::first_invalid(config))
        .or_else(|| flavor(config))
}

/// Whether `path` is absolute, without `..`, and not `/`.
fn is_usable(path: &Path) -> bool {
    let plain = path
        .components()
        .all(|part| !matches!(part, std::path::Component::ParentDir));
    path.is_absolute() && plain && path != Path::new("/")
}

fn paths(config: &Config) -> Option<InvalidValue> {
    let graph_root = config.graph_root();
    let mut absolute = vec![
        ("workspace.path", config.workspace.path.as_path()),
        ("runtime_directory", &config.runtime_directory),
        ("storage.graph_root", &graph_root),
        ("secrets.directory", &config.secrets.directory),
        ("local.repository", &config.local.repository),
        ("builder.socket", &config.builder.socket),
        ("builder.volume", &config.builder.volume),
    ];
    let image_store = config.builder.image_store.iter();
    absolute.extend(image_store.map(|path| ("builder.image_store", path.as_path())));
    let also_wipe = config.workspace.also_wipe.iter();
    absolute.extend(also_wipe.map(|path| ("workspace.also_wipe", path.as_path())));
    for (key, path) in absolute {
        if !is_usable(path) {
            let found = path.display();
            return invalid(
                key,
                format!("found \"{found}\", expected an absolute path without \"..\", not \"/\""),
            );
        }
    }
    let workspace = config.workspace.path.display();
    if config.storage.driver != Driver::None && !config.in_workspace(&graph_root) {
        return invalid(
            "storage.graph_root",
            format!(
                "found \"{}\", expected a directory beneath the workspace \"{workspace}\", so that it is wiped with it",
                graph_root.display()
            ),
        );
    }
    for (key, path) in [
        ("runtime_directory", &config.runtime_directory),
        ("secrets.directory", &config.secrets.directory),
        ("builder.volume", &config.builder.volume),
        ("builder.socket", &config.builder.socket),
    ] {
        if config.in_workspace(path) {
            return invalid(
                key,
                format!(
                    "found \"{}\", expected a directory outside the workspace \"{workspace}\", which has the job's files",
                    path.display()
                ),
            );
        }
    }
    None
}

/// Scratch directories of the container. A user can have them wiped, but the supervisor's directories must not be there.
const SCRATCH: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue"];

/// Directories that are wiped must be the job's own, and the wipe must accept them.
fn wiped_paths(config: &Config) -> Option<InvalidValue> {
    let own = [
        ("workspace.path", config.workspace.path.as_path()),
        ("runtime_directory", &config.runtime_directory),
        ("builder.volume", &config.builder.volume),
    ];
    let scratch = own.into_iter().find_map(|(key, path)| {
        let shared = SCRATCH.iter().any(|scratch| Path::new(scratch) == path);
        shared.then_some((key, path, "a scratch directory of the container".to_owned()))
    });
    let also_wipe = config.workspace.also_wipe.iter();
    let also_wipe = also_wipe.map(|path| ("workspace.also_wipe", path.as_path()));
    let mut all = own.into_iter().chain(also_wipe);
    let refused = || {
        all.find_map(|(key, path)| {
            let refusal = wipe::check_path(path).err()?;
            Some((key, path, refusal.to_string()))
        })
    };
    let (key, path, reason) = scratch.or_else(refused)?;
    let found = path.display();
    invalid(
        key,
        format!(
            "found \"{found}\", which is wiped ({reason}); expected a directory of the job's own, for example a mounted volume"
        ),
    )
}

fn flavor(config: &Config) -> Option<InvalidValue> {
    let mut arguments = config.exec.command.iter();
    if let Some(bad) = arguments.find(|argument| argument.contains('\0')) {
        let problem = format!("found {bad:?}, expected no NUL byte");
        return invalid("exec.command", problem);
    }
    if config.flavor == FlavorName::Local && config.local.labels.is_empty() {
        return invalid("local.labels", "found no label, expected at least one");
    }
    // act would parse it as an option.
    if config.local.event.is_empty() || config.local.event.starts_with('-') {
        return invalid(
            "local.event",
            format!(
                "found {:?}, expected the name of an event, such as push",
                config.local.event
            ),
        );
    }
    if let Some(found) = runner(config) {
        return Some(found);
    }
    for (name, key) in &config.secrets.environment {
        if !is_variable(name) {
            return invalid(
                "secrets.environment",
                format!(
                    "found {name:?}, expected the name of an environment variable for the key {key:?}"
                ),
            );
        }
    }
    None
}

fn runner(config: &Config) -> Option<InvalidValue> {
    let mut names = config.runner.env.keys();
    if let Some(name) = names.find(|name| reserved(config.flavor, name)) {
        return invalid(
            "runner.env",
            format!(
                "found {name:?}, expected a variable from which neither the supervisor nor the runner reads its settings; use the tables [github] and [circleci], and the Secret for tokens"
            ),
        );
    }
    if let Some(found) = registration(config) {
        return Some(found);
    }
    for (name, value) in &config.runner.env {
        if !is_variable(name) || value.contains('\0') {
            return invalid(
                "runner.env",
                format!(
                    "found {name:?}, expected the name of an environment variable and its value"
                ),
            );
        }
    }
    for (key, path) in [
        ("runner.ca_bundle", config.runner.ca_bundle.as_deref()),
        ("github.directory", Some(config.github.directory.as_path())),
        ("github.hook_started", config.github.hook_started.as_deref()),
        (
            "github.hook_completed",
            config.github.hook_completed.as_deref(),
        ),
        ("circleci.program", Some(config.circleci.program.as_path())),
    ] {
        if let Some(path) = path.filter(|path| !is_usable(path)) {
            let found = path.display();
            return invalid(
                key,
                format!("found \"{found}\", expected an absolute path without \"..\""),
            );
        }
    }
    None
}

/// Checks the arguments of `Runner.Listener configure`. It ignores values that start with a dash (actions/runner,
/// `CommandLineParser.cs`), and refuses a runner without labels.
fn registration(config: &Config) -> Option<InvalidValue> {
    let github = &config.github;
    let labels = github.labels.iter().map(|label| ("github.labels", label));
    let group = github.group.iter().map(|group| ("github.group", group));
    let mut values = labels.chain(group);
    if let Some((key, value)) =
        values.find(|(_, value)| value.starts_with('-') || value.contains('\0'))
    {
        return invalid(
            key,
            format!("found {value:?}, expected a value that does not start with a dash"),
        );
    }
    if github.no_default_labels && github.labels.is_empty() {
        return invalid(
            "github.labels",
            "found no label, expected at least one, because github.no_default_labels is set",
        );
    }
    None
}

/// Whether every shell can use a variable of this name (POSIX, Base Definitions 8.1).
fn is_variable(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let digit = |byte: &u8| byte.is_ascii_digit();
    !name.is_empty() && name.bytes().all(allowed) && !name.as_bytes().first().is_some_and(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_directory_is_never_wiped() {
        let refused = |set: fn(&mut Config)| {
            let mut config = Config::default();
            set(&mut config);
            first_invalid(&config).map(|invalid| invalid.key)
        };
        let workspace = |config: &mut Config| config.workspace.path = "/tmp".into();
        assert_eq!(refused(workspace), Some("workspace.path"));
        let runtime = |config: &mut Config| config.runtime_directory = "/usr/local/run".into();
        assert_eq!(refused(runtime), Some("runtime_directory"));
        let home = |config: &mut Config| config.workspace.also_wipe = vec!["/root".into()];
        assert_eq!(refused(home), Some("workspace.also_wipe"));
        let scratch = |config: &mut Config| config.workspace.also_wipe = vec!["/tmp".into()];
        assert_eq!(refused(scratch), None);
    }

    #[test]
    fn value_that_the_runner_would_misread_is_refused() {
        let refused = |flavor, set: &dyn Fn(&mut Config)| {
            let mut config = Config {
                flavor,
                ..Config::default()
            };
            set(&mut config);
            first_invalid(&config).map(|invalid| invalid.key)
        };
        let variable = |name: &'static str| {
            move |config: &mut Config| {
                config.runner.env.insert(name.to_owned(), "x".to_owned());
            }
        };
        for (flavor, name) in [
            (FlavorName::Github, "ACTIONS_RUNNER_INPUT_JITCONFIG"),
            (FlavorName::Circleci, "CIRCLECI_RUNNER_API_AUTH_TOKEN"),
            (FlavorName::Exec, "SUPERVISOR_FLAVOR"),
        ] {
            assert_eq!(refused(flavor, &variable(name)), Some("runner.env"));
        }
        assert_eq!(refused(FlavorName::Exec, &variable("HOME")), None);
        let github = FlavorName::Github;
        let labels = |label: &'static str| {
            move |config: &mut Config| config.github.labels = vec![label.to_owned()]
        };
        assert_eq!(refused(github, &labels("--url")), Some("github.labels"));
        assert_eq!(refused(github, &labels("gpu")), None);
        let group = |config: &mut Config| config.github.group = Some("-x".to_owned());
        assert_eq!(refused(github, &group), Some("github.group"));
        let bare = |config: &mut Config| config.github.no_default_labels = true;
        assert_eq!(refused(github, &bare), Some("github.labels"));
    }

    #[test]
    fn path_that_the_wipe_refuses_is_refused_before_the_job() {
        for path in [
            "/bin/zz",
            "/dev/zz",
            "/mnt/./zz",
            "/media",
            "/srv",
            "/nix/store",
            "/mnt/zz/.",
        ] {
            for key in ["workspace.path", "runtime_directory", "workspace.also_wipe"] {
                let mut config = Config::default();
                match key {
                    "workspace.path" => config.workspace.path = path.into(),
                    "runtime_directory" => config.runtime_directory = path.into(),
                    _ => config.workspace.also_wipe = vec![path.into()],
                }
                let found = first_invalid(&config).map(|invalid| invalid.key);
                assert_eq!(found, Some(key), "{path}");
            }
        }
        let mut config = Config::default();
        config.workspace.path = "/mnt//zz/".into();
        assert!(first_invalid(&config).is_none());
    }
}
