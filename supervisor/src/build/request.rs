//! From a client's command line to what is run: refused with a sentence, or written anew from what was understood.

mod build;
mod registry;

use std::path::{Path, PathBuf};

use super::credentials::{Authfile, Credentials, Owner};
use super::flags::{Given, Parsed, parse};
use super::paths::Workspace;
use super::policy::{Action, COMMON, GLOBAL, MISSING, VERBS, Verb};
use super::protocol::Hello;
use super::reference::Reference;
use super::room::{AUTHFILE, Room, STDIN};

/// What the builder is, for all requests.
#[derive(Debug)]
pub struct Builder {
    /// The directory that job and builder share.
    pub workspace: Workspace,
    /// The same as a path.
    pub shared: PathBuf,
    /// Where rooms are made.
    pub room: PathBuf,
    /// What Buildah does not see.
    pub hidden: Vec<PathBuf>,
    /// Credentials.
    pub credentials: Credentials,
    /// Patterns of what may be pushed.
    pub allow: Vec<String>,
    /// A repository that keeps layers.
    pub cache: Option<Reference>,
    /// Buildah's environment.
    pub environment: Vec<(String, String)>,
    /// The builder's own proxies.
    pub proxies: Vec<(String, String)>,
}

/// A command line that was understood.
#[derive(Debug)]
pub struct Request {
    verb: Option<&'static Verb>,
    globals: Vec<String>,
    words: Vec<String>,
    parsed: Parsed,
    hello: Hello,
}

/// What is done for it.
#[derive(Debug)]
pub struct Order {
    /// Fetches beforehand; the order goes on where one fails, and Buildah says why.
    pub before: Vec<Room>,
    /// Buildah.
    pub room: Room,
    /// Whether it takes one of the places.
    pub takes_place: bool,
    /// Sentences for the user.
    pub notices: Vec<String>,
}

impl Request {
    /// Reads a command line.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn read(hello: Hello) -> Result<Self, String> {
        let outer = parse(&[GLOBAL], &hello.arguments, true)?;
        let globals = outer.flags.iter().map(Given::argument).collect();
        let Some(first) = outer.positional.first() else {
            return Ok(Self {
                verb: None,
                globals,
                words: Vec::new(),
                parsed: Parsed::default(),
                hello,
            });
        };
        let two = outer.positional.iter().take(2).cloned().collect::<Vec<_>>();
        let (verb, used) = match (named(first), named(&two.join(" "))) {
            (Some(verb), _) => (verb, 1),
            (None, Some(verb)) => (verb, 2),
            (None, None) => return Err(missing(first, &two)),
        };
        let parsed = parse(&[COMMON, verb.flags], &outer.positional[used..], false)?;
        if let Some(text) = parsed.positional.iter().find(|text| text.contains('\0')) {
            return Err(format!("a NUL byte in {text:?}"));
        }
        Ok(Self {
            verb: Some(verb),
            globals,
            words: two[..used].to_vec(),
            parsed,
            hello,
        })
    }

    /// Whether it reads standard input.
    #[must_use]
    pub fn reads_input(&self) -> bool {
        self.parsed.on("password-stdin") || self.parsed.values("file").any(|file| file == "-")
    }

    fn action(&self) -> Action {
        self.verb.map_or(Action::Plain, |verb| verb.action)
    }

    /// Looks at everything that a job could abuse, and says what is to be run.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn order(&self, builder: &Builder, input: Vec<u8>) -> Result<Order, String> {
        if self.parsed.on("help") {
            return Ok(self.plain(builder, &[]));
        }
        match self.action() {
            Action::Build => build::order(self, builder, &input),
            Action::Push => registry::push(self, builder, false),
            Action::ManifestPush => registry::push(self, builder, true),
            Action::Pull => registry::pull(self, builder),
            Action::Login => registry::login(self, builder, input),
            Action::Logout => registry::logout(self, builder),
            Action::Names => registry::names(self, builder),
            Action::Plain => match self.parsed.positional.first() {
                Some(text) => Err(format!("{text:?}: this command takes no arguments")),
                None => Ok(self.plain(builder, &[])),
            },
        }
    }

    /// The same words again, with the flags that are not looked at, and these positional arguments.
    fn plain(&self, builder: &Builder, positional: &[String]) -> Order {
        let mut room = builder.empty_room();
        room.arguments.clone_from(&self.globals);
        room.arguments.extend(self.words.iter().cloned());
        let passed = self.parsed.flags.iter().filter(|given| !given.look);
        room.arguments.extend(passed.map(Given::argument));
        if !positional.is_empty() {
            room.arguments.push("--".to_owned());
            room.arguments.extend(positional.iter().cloned());
        }
        Order {
            before: Vec::new(),
            room,
            takes_place: false,
            notices: Vec::new(),
        }
    }

    /// A path of the job, beneath the workspace.
    fn path(&self, builder: &Builder, path: &str) -> Result<PathBuf, String> {
        builder
            .workspace
            .relative(Path::new(&self.hello.directory), Path::new(path))
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.hello.environment.get(name).map(String::as_str)
    }
}

impl Order {
    /// Adds flags behind the words and flags that are there already, before the positional arguments.
    fn flag(&mut self, argument: String) {
        let end = self.room.arguments.iter().position(|word| word == "--");
        let end = end.unwrap_or(self.room.arguments.len());
        self.room.arguments.insert(end, argument);
    }

    fn authfile(&mut self, content: &Authfile) {
        give(&mut self.room, content);
    }
}

/// Credentials for one call of Buildah.
fn give(room: &mut Room, content: &Authfile) {
    let path = room.file(AUTHFILE, content.as_slice());
    room.environment.push(("REGISTRY_AUTH_FILE".to_owned(), path));
}

impl Builder {
    fn empty_room(&self) -> Room {
        let mut environment = self.environment.clone();
        environment.extend(self.proxies.iter().cloned());
        Room {
            path: self.room.clone(),
            workspace: self.shared.clone(),
            hidden: self.hidden.clone(),
            environment,
            ..Room::default()
        }
    }

    /// Whether something may be sent there.
    fn allow(&self, target: &Reference) -> Result<(), String> {
        if self.allow.iter().any(|pattern| target.is_covered_by(pattern)) {
            return Ok(());
        }
        Err(format!(
            "a push to {} is not allowed: builder.push.allow is {}",
            target.full(),
            match self.allow.is_empty() {
                true => "empty".to_owned(),
                false => self.allow.join(", "),
            }
        ))
    }

    /// Credentials of the builder never leave it over a connection that anybody could listen to.
    fn insecure(&self, parsed: &Parsed, references: &[Reference]) -> Result<(), String> {
        let off = parsed.last("tls-verify") == Some("false");
        let own = |reference: &&Reference| self.credentials.owner(reference) == Some(Owner::Builder);
        match references.iter().find(own) {
            Some(reference) if off => Err(format!(
                "--tls-verify=false is not available for {}, because its credentials are the builder's; use storage.insecure_registries",
                reference.full()
            )),
            _ => Ok(()),
        }
    }
}

fn named(words: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.names.contains(&words))
}

fn missing(first: &str, two: &[String]) -> String {
    if let Some((name, why, instead)) = MISSING.iter().find(|(name, ..)| *name == first) {
        return format!("buildah {name} is not available, because {why}; use {instead}");
    }
    format!("buildah {} is not known to the builder; docs/builds.md lists what there is", two.join(" "))
}

/// Names of images, as they stand.
fn references(texts: &[String]) -> Result<Vec<Reference>, String> {
    texts.iter().map(|text| Reference::parse(text)).collect()
}

/// Standard input for Buildah.
fn feed(room: &mut Room, bytes: Vec<u8>) {
    let _ = room.file(STDIN, bytes);
}

#[cfg(test)]
mod tests;
