//! Merges the layers with figment, which records the source of each value.

use std::path::{Path, PathBuf};

use figment::providers::{Data, Env, Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::{Config, ConfigError, ENV_PREFIX, Log, Origin, Report, validate};

/// The file that is read if the user names no file. It may be absent.
const DEFAULT_FILE: &str = "/etc/supervisor/config.toml";

/// The layers that the caller adds to defaults and environment.
#[derive(Debug, Default)]
pub struct Layers {
    /// A configuration file that must exist.
    pub file: Option<PathBuf>,
    /// Values from the command line, by dotted key.
    pub flags: Vec<Flag>,
}

/// One value from the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    /// The flag as the user types it, for example `--grace`.
    pub name: &'static str,
    /// The dotted key that it sets.
    pub key: &'static str,
    /// Its value.
    pub value: Value,
}

/// A valid configuration and its layers.
#[derive(Debug)]
pub struct Loaded {
    /// The effective values.
    pub config: Config,
    pub(super) figment: Figment,
}

/// The weakest layer. It also defines the known keys. It is serialized once, because that takes longer than all the rest.
#[derive(Clone)]
struct Defaults(Dict);

impl Defaults {
    fn new() -> Self {
        let defaults = Value::serialize(Config::default()).ok();
        Self(defaults.and_then(Value::into_dict).unwrap_or_default())
    }
}

impl Provider for Defaults {
    fn metadata(&self) -> Metadata {
        Metadata::named("default")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.0.clone()))
    }
}

/// One flag as a figment provider, so that errors name the flag.
struct FlagProvider(Flag);

impl Provider for FlagProvider {
    fn metadata(&self) -> Metadata {
        let flag = self.0.name;
        Metadata::named(format!("flag {flag}")).interpolater(move |_, _| flag.to_owned())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let nested = figment::util::nest(self.0.key, self.0.value.clone());
        let dict = nested.into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(dict))
    }
}

impl Layers {
    /// Reads all layers and checks the result.
    ///
    /// # Errors
    /// [`ConfigError`] for the first unknown key, wrong type or impossible value.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let default = || Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists());
        let file = self.file.clone().or_else(default);
        let content = file.as_deref().map(read).transpose()?;
        let known = Defaults::new();
        let given = self.without_defaults(content);
        let unknown = find_unknown(&given, &known, file.as_deref())?;
        let figment = given.join(known);
        if let Some(unknown) = unknown {
            return Err(unknown.into_error(&figment));
        }
        let config = extract(&figment)?;
        match validate::first_invalid(&config) {
            None => Ok(Loaded { config, figment }),
            Some(found) => Err(ConfigError::Value {
                key: found.key.to_owned(),
                origin: Origin::of(&figment, found.key),
                problem: found.problem,
            }),
        }
    }

    /// Returns the settings of log and report, although another setting is invalid. Uses the defaults if these are invalid.
    #[must_use]
    pub fn fallback_log_and_report(&self) -> (Log, Report) {
        let content = self.file.as_deref().and_then(|path| read(path).ok());
        let figment = self.without_defaults(content).join(Defaults::new());
        let default = Config::default();
        (
            figment.extract_inner("log").unwrap_or(default.log),
            figment.extract_inner("report").unwrap_or(default.report),
        )
    }

    /// Merges all layers except the defaults. A stronger layer replaces a weaker one.
    fn without_defaults(&self, file: Option<Data<Toml>>) -> Figment {
        let mut figment = Figment::new();
        if let Some(file) = file {
            figment = figment.merge(file);
        }
        figment = figment.merge(environment());
        for flag in &self.flags {
            figment = figment.merge(FlagProvider(flag.clone()));
        }
        figment
    }
}

/// Reads the environment. `STORAGE__DRIVER` is the key `storage.driver`. Names beneath `secrets.environment` keep their case.
fn environment() -> Env {
    const NAMES: &str = "SECRETS__ENVIRONMENT__";
    let keys = Env::prefixed(ENV_PREFIX).map(|variable| {
        let variable = variable.as_str();
        let at = match variable.get(..NAMES.len()) {
            Some(start) if start.eq_ignore_ascii_case(NAMES) => NAMES.len(),
            _ => variable.len(),
        };
        let (key, name) = variable.split_at(at);
        let key = key.to_ascii_lowercase().replace("__", ".");
        (key + name).into()
    });
    keys.lowercase(false)
}

fn read(path: &Path) -> Result<Data<Toml>, ConfigError> {
    // figment reads the file again later, and treats an absent file as empty.
    match std::fs::read_to_string(path) {
        Ok(_) => Ok(Toml::file_exact(path)),
        Err(error) => Err(ConfigError::File {
            path: path.to_owned(),
            problem: format!("cannot be read: {error}"),
        }),
    }
}

/// A key in a layer that the defaults do not have.
struct UnknownKey {
    key: String,
    expected: String,
}

impl UnknownKey {
    fn into_error(self, figment: &Figment) -> ConfigError {
        ConfigError::Value {
            origin: Origin::of(figment, &self.key),
            problem: format!("unknown key; {}", self.expected),
            key: self.key,
        }
    }
}

/// Returns the first unknown key. Searches all layers except the defaults.
fn find_unknown(
    given: &Figment,
    Defaults(known): &Defaults,
    file: Option<&Path>,
) -> Result<Option<UnknownKey>, ConfigError> {
    let layers = given.data().map_err(|error| syntax(&error, file))?;
    let given = layers.get(&Profile::Default);
    let key = given.and_then(|given| unknown_key(given, known, ""));
    Ok(key.map(|key| UnknownKey {
        expected: expected_keys(&key, known),
        key,
    }))
}

fn extract(figment: &Figment) -> Result<Config, ConfigError> {
    figment
        .extract::<Config>()
        .map_err(|error| wrong_type(figment, &error))
}

/// The file is not TOML. Only this error of figment has no key.
fn syntax(error: &figment::Error, file: Option<&Path>) -> ConfigError {
    ConfigError::File {
        path: file.map(Path::to_owned).unwrap_or_default(),
        problem: format!("is not valid TOML: {}", error.kind),
    }
}

fn wrong_type(figment: &Figment, error: &figment::Error) -> ConfigError {
    let key = error.path.join(".");
    ConfigError::Value {
        origin: Origin::of(figment, &key),
        problem: error.kind.to_string(),
        key,
    }
}

/// Returns the first dotted key in `given` that the default configuration does not have.
fn unknown_key(given: &Dict, known: &Dict, parent: &str) -> Option<String> {
    given.iter().find_map(|(name, value)| {
        let key = || format!("{parent}{name}");
        match (known.get(name), value) {
            (None, _) => Some(key()),
            // A map that is empty by default accepts any key.
            (Some(Value::Dict(_, inner)), Value::Dict(_, dict)) if !inner.is_empty() => {
                unknown_key(dict, inner, &format!("{}.", key()))
            }
            _ => None,
        }
    })
}

fn expected_keys(key: &str, known: &Dict) -> String {
    let known = Value::from(known.clone());
    let (parent, table) = match key.rsplit_once('.') {
        Some((parent, _)) => (format!("{parent} has "), known.find(parent)),
        None => ("expected one of ".to_owned(), Some(known)),
    };
    let keys: Vec<String> = table
        .and_then(Value::into_dict)
        .map(|dict| dict.into_keys().collect())
        .unwrap_or_default();
    format!("{parent}{}", keys.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use figment::Jail;
    use std::time::Duration;

    fn flag(name: &'static str, key: &'static str, value: &str) -> Flag {
        let value = Value::from(value);
        Flag { name, key, value }
    }

    fn load(file: Option<&str>, flags: Vec<Flag>) -> Result<Loaded, ConfigError> {
        let file = file.map(PathBuf::from);
        Layers { file, flags }.load()
    }

    #[test]
    #[allow(clippy::result_large_err, reason = "figment's own signature")]
    fn stronger_layer_replaces_a_weaker_one() {
        Jail::expect_with(|jail| {
            jail.create_file("c.toml", "grace = '3s'\n[storage]\ndriver = 'vfs'\n")?;
            let config = load(Some("c.toml"), vec![]).unwrap().config;
            assert_eq!(config.grace, Duration::from_secs(3));
            assert_eq!(config.storage.driver, crate::config::Driver::Vfs);

            jail.set_env("SUPERVISOR_GRACE", "4s");
            jail.set_env("SUPERVISOR_STORAGE__INSECURE_REGISTRIES", "a:5000, b");
            jail.set_env("SUPERVISOR_LOCAL__EVENT", "1");
            let loaded = load(Some("c.toml"), vec![]).unwrap();
            assert_eq!(loaded.config.grace, Duration::from_secs(4));
            assert_eq!(loaded.config.storage.insecure_registries, ["a:5000", "b"]);
            assert_eq!(loaded.config.local.event, "1");

            jail.set_env("SUPERVISOR_SECRETS__ENVIRONMENT__API_TOKEN", "token");
            jail.set_env("SUPERVISOR_LOCAL__JOB", "123");
            jail.set_env("SUPERVISOR_EXEC__COMMAND", "make,all");
            let config = load(None, vec![]).unwrap().config;
            assert_eq!(config.secrets.environment["API_TOKEN"], "token");
            assert_eq!(config.local.job.as_deref(), Some("123"));
            assert_eq!(config.exec.command, ["make", "all"]);

            let flags = vec![flag("--grace", "grace", "5s")];
            let config = load(Some("c.toml"), flags).unwrap().config;
            assert_eq!(config.grace, Duration::from_secs(5));
            Ok(())
        });
    }

    #[test]
    #[allow(clippy::result_large_err, reason = "figment's own signature")]
    fn an_error_names_key_source_and_expectation() {
        Jail::expect_with(|jail| {
            let message = |file: Option<&str>, flags| load(file, flags).unwrap_err().to_string();

            jail.create_file("unknown.toml", "[storage]\ndrivr = 'vfs'\n")?;
            let text = message(Some("unknown.toml"), vec![]);
            assert!(text.contains("storage.drivr from file"), "{text}");
            assert!(text.contains("unknown.toml"), "{text}");
            assert!(text.contains("driver, graph_root"), "{text}");

            jail.create_file("broken.toml", "grace = \n")?;
            let text = message(Some("broken.toml"), vec![]);
            assert!(text.contains("broken.toml: is not valid TOML"), "{text}");

            let text = message(Some("absent.toml"), vec![]);
            assert!(text.contains("absent.toml: cannot be read"), "{text}");

            let text = message(None, vec![flag("--grace", "grace", "soon")]);
            assert!(text.contains("grace from flag --grace"), "{text}");
            assert!(text.contains("\"soon\"") && text.contains("90s"), "{text}");

            jail.set_env("SUPERVISOR_STORAGE__DRIVER", "zfs");
            let text = message(None, vec![]);
            let name = "storage.driver from environment variable SUPERVISOR_STORAGE__DRIVER";
            assert!(text.contains(name), "{text}");
            assert!(
                text.contains("zfs") && text.contains("fuse-overlayfs"),
                "{text}"
            );

            jail.set_env("SUPERVISOR_STORAGE__DRIVER", "vfs");
            jail.set_env("SUPERVISOR_STORAGE__GRAPH_ROOT", "/var/lib/containers");
            let text = message(None, vec![]);
            assert!(text.contains("SUPERVISOR_STORAGE__GRAPH_ROOT"), "{text}");
            assert!(text.contains("beneath the workspace"), "{text}");

            jail.set_env("SUPERVISOR_STORAGE", "fast");
            let text = message(None, vec![]);
            assert!(
                text.contains("storage from environment variable SUPERVISOR_STORAGE:"),
                "{text}"
            );
            Ok(())
        });
    }

    #[test]
    #[allow(clippy::result_large_err, reason = "figment's own signature")]
    fn impossible_value_is_refused() {
        Jail::expect_with(|_| {
            for (key, value) in [
                ("workspace.path", "/"),
                ("workspace.path", "relative"),
                ("workspace.path", "/a/../etc"),
                ("runtime_directory", "/workspace/run"),
                ("secrets.directory", "/workspace/secrets"),
                ("wipe.reserve", "31s"),
                ("grace", "25s"),
                ("deadline", "0s"),
                ("wipe.budget", "0s"),
                ("local.event", "--list"),
            ] {
                let text = load(None, vec![flag("--flag", key, value)]);
                let text = text.unwrap_err().to_string();
                assert!(
                    text.starts_with(&format!("{key} from flag --flag: found")),
                    "{text}"
                );
                assert!(text.contains("expected"), "{text}");
            }
            Ok(())
        });
    }
}
