//! From a client's greeting to an operation: each verb, flag and path judged, and the command line written anew.

mod build;
#[cfg(test)]
mod tests;
mod transfer;

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::credentials::{Credentials, Owner};
use super::flags::{Parsed, parse, passed};
use super::operation::{Input, Operation, Output, Places, Private, Stdin};
use super::paths::Workspace;
use super::policy::{Action, COMMON, GLOBAL, find};
use super::protocol::Hello;
use super::settings::Settings;
use dockerfile::{Reference, is_registry};
use pflag::StopAt;

/// The most that all private files of one operation hold, in bytes.
const FILES: usize = 8 * 1024 * 1024;

/// What an operation is planned from.
#[derive(Debug)]
pub(super) struct Planner<'a> {
    pub(super) settings: &'a Settings,
    pub(super) workspace: &'a Workspace,
    pub(super) credentials: &'a Credentials,
    pub(super) places: &'a Places,
    pub(super) hello: &'a Hello,
}

/// The client's standard input whole, for a Containerfile that comes that way.
pub(super) type ReadInput<'a> = &'a mut dyn FnMut() -> Result<Vec<u8>, String>;

impl Planner<'_> {
    /// What is to be done for the client.
    ///
    /// # Errors
    /// A sentence for the user: what is not available, and why.
    pub(super) fn plan(&self, input: ReadInput<'_>) -> Result<Operation, String> {
        let globals = parse(&[GLOBAL], &self.hello.arguments, StopAt::FirstPositional)?;
        let words = &globals.positional;
        let Some((verb, rest)) = find(words)? else {
            // `buildah`, `buildah --version`, `buildah --help`
            return self.plain(&globals, &Parsed::default(), &[]);
        };
        let parsed = parse(&[verb.flags, COMMON], rest, StopAt::End)?;
        let name = verb.names[0];
        let words: Vec<&str> = name.split(' ').collect();
        if parsed.on("help") {
            return self.plain(&globals, &parsed, &words);
        }
        match verb.action {
            Action::Build => self.build(&parsed, input),
            Action::Push | Action::ManifestPush => self.push(&parsed, &words),
            Action::Pull => self.pull(&parsed),
            Action::Login => self.login(&parsed),
            Action::Logout => self.logout(&parsed),
            Action::Names => self.names(&parsed, &words),
            Action::Plain => self.plain(&globals, &parsed, &words),
        }
    }

    fn plain(
        &self,
        globals: &Parsed,
        parsed: &Parsed,
        words: &[&str],
    ) -> Result<Operation, String> {
        let mut operation = self.operation(words, parsed);
        operation.arguments.splice(..0, passed(globals));
        Ok(operation)
    }

    /// Verb and flags that are handed on as they are; nothing positional yet.
    fn operation(&self, words: &[&str], parsed: &Parsed) -> Operation {
        let mut operation = Operation::with_job(self.credentials);
        operation.arguments = words.iter().map(ToString::to_string).collect();
        operation.arguments.extend(passed(parsed));
        operation
    }

    fn names(&self, parsed: &Parsed, words: &[&str]) -> Result<Operation, String> {
        let names = parsed.positional.iter().map(|name| Reference::parse(name));
        let names: Vec<Reference> = names.collect::<Result<_, _>>()?;
        let mut operation = self.operation(words, parsed);
        if let [manifest, verb] = words {
            // These ask a registry for what is not here; no code of the job runs meanwhile.
            let asks = *manifest == "manifest" && matches!(*verb, "create" | "add" | "inspect");
            if asks {
                operation.authfile = self.authfile(parsed, &names)?;
                self.tls(parsed, &names, &mut operation)?;
            }
        }
        operation.arguments.push("--".to_owned());
        operation
            .arguments
            .extend(parsed.positional.iter().cloned());
        Ok(operation)
    }

    fn login(&self, parsed: &Parsed) -> Result<Operation, String> {
        let [registry] = &parsed.positional[..] else {
            return Err("login takes one registry".to_owned());
        };
        let plain = registry
            .trim_start_matches("https://")
            .trim_end_matches('/');
        if !is_registry(plain) {
            return Err(format!("{registry:?} is no registry (HOST[:PORT][/PATH])"));
        }
        let mut operation = self.operation(&["login"], parsed);
        operation.login = true;
        if let Some(password) = parsed.last("password") {
            operation.stdin = Stdin::Given(Zeroizing::new(password.as_bytes().to_vec()));
        } else if parsed.on("password-stdin") {
            operation.stdin = Stdin::Client;
        } else if !parsed.on("get-login") {
            return Err("login needs a password here: nobody is asked for one. Use --username and --password-stdin".to_owned());
        }
        if !parsed.on("get-login") {
            if parsed.last("username").is_none() {
                return Err("login needs --username".to_owned());
            }
            operation.arguments.push("--password-stdin=true".to_owned());
        }
        self.keep_login(&mut operation, plain);
        Ok(operation)
    }

    fn logout(&self, parsed: &Parsed) -> Result<Operation, String> {
        let mut operation = self.operation(&["logout"], parsed);
        operation.login = true;
        match &parsed.positional[..] {
            [] if parsed.on("all") => self.keep_login(&mut operation, ""),
            [registry] if is_registry(registry) => self.keep_login(&mut operation, registry),
            _ => return Err("logout takes one registry, or --all".to_owned()),
        }
        Ok(operation)
    }

    fn keep_login(&self, operation: &mut Operation, registry: &str) {
        let file = self.places.own.join("auth.json");
        operation
            .arguments
            .push(format!("--authfile={}", file.display()));
        operation.arguments.push("--".to_owned());
        if !registry.is_empty() {
            operation.arguments.push(registry.to_owned());
        }
    }

    /// The credentials of one command: those on its command line, else what the builder or the job has.
    fn authfile(
        &self,
        parsed: &Parsed,
        names: &[Reference],
    ) -> Result<super::credentials::Authfile, String> {
        match (parsed.last("creds"), names) {
            (None, _) => Ok(self.credentials.for_references(names)),
            (Some(creds), [.., last]) => Ok(super::credentials::given(last, creds)),
            (Some(_), []) => Err("--creds without an image".to_owned()),
        }
    }

    /// A connection that nobody vouches for never sees credentials of the builder.
    fn tls(
        &self,
        parsed: &Parsed,
        names: &[Reference],
        operation: &mut Operation,
    ) -> Result<(), String> {
        let insecure = &self.settings.insecure_registries;
        let Some(verify) = parsed.last("tls-verify") else {
            // Buildah's lists do not heed what registries.conf says of insecure registries.
            let list = operation
                .arguments
                .first()
                .is_some_and(|verb| verb == "manifest");
            let is_listed = |name: &Reference| insecure.contains(&name.registry());
            let own = |name: &&Reference| self.credentials.owner(name) == Some(Owner::Builder);
            if list && names.iter().any(is_listed) && names.iter().filter(own).all(is_listed) {
                operation.arguments.push("--tls-verify=false".to_owned());
            }
            return Ok(());
        };
        let own = names.iter().find(|name| {
            parsed.last("creds").is_none()
                && self.credentials.owner(name) == Some(Owner::Builder)
                && !insecure.contains(&name.registry())
        });
        if let (Some(name), "false") = (own, verify) {
            return Err(format!(
                "--tls-verify=false is not available for {}: whoever answers would get the builder's credentials; storage.insecure_registries is for registries of your own",
                name.registry()
            ));
        }
        // Without a certificate to verify, asking for it would only break what the builder's own setting allows.
        let listed = names.iter().any(|name| insecure.contains(&name.registry()));
        if !(listed && verify == "true") {
            operation.arguments.push(format!("--tls-verify={verify}"));
        }
        Ok(())
    }

    fn allowed(&self, target: &Reference) -> Result<(), String> {
        let cache = self.settings.cache.as_deref();
        let cache = cache.and_then(|cache| Reference::parse(cache).ok());
        if cache.is_some_and(|cache| target.is_in(&cache)) {
            return Err(format!(
                "pushing to {} is not allowed: it is builder.cache, from which the builds of other jobs take their layers",
                target.full()
            ));
        }
        let patterns = &self.settings.push_allow;
        if patterns.iter().any(|pattern| target.is_covered_by(pattern)) {
            return Ok(());
        }
        Err(format!(
            "pushing to {} is not allowed: builder.push.allow has {}",
            target.full(),
            if patterns.is_empty() {
                "nothing".to_owned()
            } else {
                patterns.join(", ")
            }
        ))
    }

    /// A path of the job, relative to the workspace.
    fn relative(&self, path: &str) -> Result<PathBuf, String> {
        self.workspace
            .relative(Path::new(&self.hello.directory), Path::new(path))
    }

    /// A small file of the job, copied now: nothing that the job does later changes it.
    fn copy(
        &self,
        operation: &mut Operation,
        name: &str,
        relative: &Path,
    ) -> Result<String, String> {
        let content = self.workspace.read(relative);
        let content = content.map_err(|error| super::paths::problem(relative, &error))?;
        self.keep(operation, name, content)
    }

    /// The operation's own files lie in memory, which is bounded.
    fn keep(
        &self,
        operation: &mut Operation,
        name: &str,
        content: Vec<u8>,
    ) -> Result<String, String> {
        let before: usize = operation.files.iter().map(|file| file.content.len()).sum();
        if before + content.len() > FILES {
            return Err(format!(
                "Containerfiles, secrets and the like of one build have more than {} MiB",
                FILES >> 20
            ));
        }
        let name = format!("{name}-{}", operation.files.len());
        let place = self.places.own.join(&name).display().to_string();
        operation.files.push(Private {
            name,
            content: Zeroizing::new(content),
        });
        Ok(place)
    }

    /// A path of the job that Buildah reads by itself, at a place that the job cannot swap.
    fn input(&self, operation: &mut Operation, relative: PathBuf) -> String {
        let place = self.places.inputs.join(operation.inputs.len().to_string());
        let text = place.display().to_string();
        operation.inputs.push(Input {
            relative,
            place,
            writable: false,
            executable: false,
        });
        text
    }

    /// A file that Buildah writes; large ones on the builder's volume.
    fn output(&self, operation: &mut Operation, relative: PathBuf, large: bool) -> String {
        let directory = if large {
            &self.places.disk
        } else {
            &self.places.own
        };
        let place = directory.join(format!("out-{}", operation.outputs.len()));
        let text = place.display().to_string();
        operation.outputs.push(Output {
            place,
            relative,
            unpack: false,
        });
        text
    }
}
