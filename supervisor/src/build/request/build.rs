//! A build: each path becomes a place in the room, each image that needs credentials is fetched beforehand.

mod values;

use std::path::{Path, PathBuf};

use super::super::containerfile::{self, Arguments};
use super::super::credentials::given;
use super::super::paths::problem;
use super::super::reference::Reference;
use super::{Builder, Order, Request, give};

/// A build in the making.
struct Build<'a> {
    request: &'a Request,
    builder: &'a Builder,
    order: Order,
    context: PathBuf,
    arguments: Arguments,
    contexts: Vec<String>,
    images: Vec<Reference>,
    cache: Vec<Reference>,
}

pub(super) fn order(request: &Request, builder: &Builder, input: &[u8]) -> Result<Order, String> {
    let context = match request.parsed.positional.as_slice() {
        [] => ".",
        [context] => context,
        [_, more, ..] => return Err(format!("a build has one context, and {more:?} is another")),
    };
    if context == "-" || context.contains("://") || context.starts_with("git@") {
        return Err(format!(
            "the context {context:?} is not available, because the builder fetches nothing but images; use a directory beneath {}",
            builder.shared.display()
        ));
    }
    let mut build = Build {
        request,
        builder,
        order: request.plain(builder, &[]),
        context: request.path(builder, context)?,
        arguments: Arguments::new(),
        contexts: Vec::new(),
        images: Vec::new(),
        cache: Vec::new(),
    };
    build.order.takes_place = true;
    build.flags()?;
    build.containerfiles(input)?;
    build.cache()?;
    build.credentials()?;
    build.finish()
}

impl Build<'_> {
    fn flag(&mut self, argument: String) {
        self.order.room.arguments.push(argument);
    }

    /// Content that Buildah reads instead of the job's file: nobody changes it any more.
    fn containerfiles(&mut self, input: &[u8]) -> Result<(), String> {
        let given: Vec<String> = self.request.parsed.values("file").map(str::to_owned).collect();
        let ignore = self.request.parsed.last("ignorefile").map(str::to_owned);
        let mut found = Vec::new();
        for file in &given {
            match file.as_str() {
                "-" => found.push((None, input.to_vec())),
                url if url.contains("://") => {
                    return Err(format!("--file={url}: the builder fetches nothing but images; fetch it in the job"));
                }
                path => found.push(self.named(path)?),
            }
        }
        if given.is_empty() {
            found.push(self.default()?);
        }
        for (index, (path, content)) in found.into_iter().enumerate() {
            let text = String::from_utf8_lossy(&content).into_owned();
            let images = containerfile::images(&text, &self.arguments, &self.contexts)?;
            self.images.extend(images);
            let seen = self.order.room.file(&format!("Containerfile-{index}"), content);
            self.flag(format!("--file={seen}"));
            if let (0, None, Some(path)) = (index, &ignore, path) {
                self.ignorefile_beside(&path);
            }
        }
        if let Some(path) = ignore {
            let path = self.request.path(self.builder, &path)?;
            let content = self.read(&path)?;
            let seen = self.order.room.file("ignore", content);
            self.flag(format!("--ignorefile={seen}"));
        }
        Ok(())
    }

    /// As Buildah looks for it: where the client is, then in the context.
    fn named(&self, path: &str) -> Result<(Option<PathBuf>, Vec<u8>), String> {
        let here = self.request.path(self.builder, path);
        if let Ok(here) = &here {
            if let Ok(content) = self.builder.workspace.read(here) {
                return Ok((Some(here.clone()), content));
            }
        }
        let inside = self.context.join(path);
        if Path::new(path).is_relative() && self.builder.workspace.resolve(&inside).is_ok() {
            return Ok((Some(inside.clone()), self.read(&inside)?));
        }
        let here = here?;
        let content = self.read(&here)?;
        Ok((Some(here), content))
    }

    fn default(&self) -> Result<(Option<PathBuf>, Vec<u8>), String> {
        let names = ["Containerfile", "Dockerfile"].map(|name| self.context.join(name));
        let there = |path: &&PathBuf| self.builder.workspace.resolve(path).is_ok();
        let path = names.iter().find(there).ok_or_else(|| {
            format!("there is neither Containerfile nor Dockerfile in {}", self.shown(&self.context))
        })?;
        Ok((Some(path.clone()), self.read(path)?))
    }

    /// `NAME.containerignore` and `NAME.dockerignore` beside the Containerfile come before those of the context.
    fn ignorefile_beside(&mut self, path: &Path) {
        for suffix in [".containerignore", ".dockerignore"] {
            let mut beside = path.as_os_str().to_owned();
            beside.push(suffix);
            if let Ok(content) = self.builder.workspace.read(Path::new(&beside)) {
                let seen = self.order.room.file("ignore", content);
                self.flag(format!("--ignorefile={seen}"));
                return;
            }
        }
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let read = self.builder.workspace.read(path);
        read.map_err(|error| problem(&self.builder.shared.join(path), &error))
    }

    fn shown(&self, path: &Path) -> String {
        self.builder.shared.join(path).display().to_string()
    }

    /// The builder's own cache, unless the job names one.
    fn cache(&mut self) -> Result<(), String> {
        let parsed = &self.request.parsed;
        let named = ["cache-from", "cache-to"].map(|flag| parsed.values(flag).next().is_some());
        if let (Some(cache), [false, false]) = (&self.builder.cache, named) {
            let name = cache.full();
            self.cache.push(cache.clone());
            self.flag("--layers=true".to_owned());
            self.flag(format!("--cache-from={name}"));
            self.flag(format!("--cache-to={name}"));
        }
        Ok(())
    }

    /// A build has the job's credentials, or those of the cache; the builder's others only fetch before it.
    fn credentials(&mut self) -> Result<(), String> {
        let pull = self.request.parsed.last("pull").unwrap_or("missing");
        let policy = match pull {
            "always" | "true" => "always",
            "never" => return self.own_credentials(),
            "newer" | "ifnewer" => "newer",
            _ if self.request.parsed.on("pull-always") => "always",
            _ => "missing",
        };
        let credentials = &self.builder.credentials;
        let creds = self.request.parsed.last("creds");
        for image in std::mem::take(&mut self.images) {
            let authfile = match creds {
                Some(creds) => given(&image, creds),
                None if credentials.owner(&image).is_some() => {
                    credentials.for_references(std::slice::from_ref(&image))
                }
                None => continue,
            };
            if creds.is_none() {
                self.builder.insecure(&self.request.parsed, std::slice::from_ref(&image))?;
            }
            let mut room = self.builder.empty_room();
            room.arguments = ["pull", "--quiet", &format!("--policy={policy}")].map(str::to_owned).into();
            for name in ["platform", "os", "arch", "variant", "tls-verify"] {
                let value = self.request.parsed.last(name);
                room.arguments.extend(value.map(|value| format!("--{name}={value}")));
            }
            room.arguments.extend(["--".to_owned(), image.text()]);
            give(&mut room, &authfile);
            self.order.before.push(room);
        }
        self.own_credentials()
    }

    fn own_credentials(&mut self) -> Result<(), String> {
        let credentials = &self.builder.credentials;
        let authfile = match self.cache.is_empty() {
            true => credentials.of_job(),
            false => {
                self.builder.insecure(&self.request.parsed, &self.cache)?;
                credentials.for_references(&self.cache)
            }
        };
        self.order.authfile(&authfile);
        Ok(())
    }

    fn finish(mut self) -> Result<Order, String> {
        let context = self.order.room.bind(self.context.clone());
        // RUN steps get the job's proxies; the builder's may hold a password.
        let proxies = self.builder.proxies.clone();
        let environment = &mut self.order.room.environment;
        environment.retain(|variable| !proxies.contains(variable));
        for name in values::PROXIES {
            let value = self.request.variable(name);
            environment.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        }
        self.order.room.arguments.extend(["--".to_owned(), context]);
        Ok(self.order)
    }
}
