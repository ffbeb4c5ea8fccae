//! The flags of a build whose values are looked at.

use super::super::super::reference::Reference;
use super::Build;

/// Proxies, as Buildah hands them to RUN steps.
pub(crate) const PROXIES: [&str; 10] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

impl Build<'_> {
    pub(super) fn flags(&mut self) -> Result<(), String> {
        let looked: Vec<_> = self.request.parsed.flags.iter().filter(|given| given.look).collect();
        let mut arguments = String::new();
        for given in looked {
            let value = given.value.as_str();
            let in_flag = |problem: String| format!("--{}: {problem}", given.name);
            match given.name {
                "build-arg" => self.argument(value, &mut arguments),
                "build-arg-file" => self.argument_file(value, &mut arguments).map_err(in_flag)?,
                "env" => {
                    let set = self.with_value(value);
                    if let Some((name, value)) = set {
                        self.flag(format!("--env={name}={value}"));
                    }
                }
                "build-context" => self.context(value).map_err(in_flag)?,
                "cache-from" | "cache-to" => self.cache_of_job(given.name, value)?,
                "from" | "tag" | "manifest" => {
                    Reference::parse(value).map_err(in_flag)?;
                    if given.name == "from" {
                        self.images.push(Reference::parse(value)?);
                    }
                    self.flag(given.argument());
                }
                "iidfile" => {
                    let path = self.request.path(self.builder, value)?;
                    let seen = self.order.room.output(path);
                    self.flag(format!("--iidfile={seen}"));
                }
                "logfile" => {
                    let seen = self.written(value).map_err(in_flag)?;
                    self.flag(format!("--logfile={seen}"));
                }
                "network" if !matches!(value, "host" | "default" | "") => {
                    return Err(format!(
                        "--network={value} is not available, because RUN steps have the pod's network; use a network policy of the cluster"
                    ));
                }
                "output" => self.output(value).map_err(in_flag)?,
                "pull" => self.pull(value)?,
                "secret" => self.secret(value).map_err(in_flag)?,
                "ssh" => self.ssh(value).map_err(in_flag)?,
                // file, ignorefile, creds, network: elsewhere, or of no effect.
                _ => {}
            }
        }
        if !arguments.is_empty() {
            // On a command line every RUN step of another build could read them.
            let seen = self.order.room.file("arguments", arguments);
            self.flag(format!("--build-arg-file={seen}"));
        }
        Ok(())
    }

    /// `NAME=VALUE`, or NAME for a variable of the job.
    fn with_value(&self, text: &str) -> Option<(String, String)> {
        match text.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), value.to_owned())),
            None => self.request.variable(text).map(|value| (text.to_owned(), value.to_owned())),
        }
    }

    fn argument(&mut self, text: &str, lines: &mut String) {
        let Some((name, value)) = self.with_value(text) else {
            return;
        };
        self.arguments.insert(name.clone(), value.clone());
        let plain = value.trim() == value && !value.contains('\n') && !name.starts_with('#');
        match plain {
            true => *lines += &format!("{name}={value}\n"),
            false => self.flag(format!("--build-arg={name}={value}")),
        }
    }

    fn argument_file(&mut self, path: &str, lines: &mut String) -> Result<(), String> {
        let content = self.read(&self.request.path(self.builder, path)?)?;
        let text = String::from_utf8(content).map_err(|_| format!("{path} is no text"))?;
        for line in text.lines().map(str::trim) {
            if !line.is_empty() && !line.starts_with('#') {
                self.argument(line, lines);
            }
        }
        Ok(())
    }

    /// A directory beneath the workspace, or an image.
    fn context(&mut self, value: &str) -> Result<(), String> {
        let (name, source) = value
            .split_once('=')
            .ok_or_else(|| format!("{value:?} is not NAME=SOURCE"))?;
        self.contexts.push(name.to_owned());
        let image = ["docker-image://", "docker://", "container-image://"]
            .iter()
            .find_map(|prefix| source.strip_prefix(prefix));
        if let Some(image) = image {
            let reference = Reference::parse(image)?;
            self.flag(format!("--build-context={name}=docker-image://{}", reference.text()));
            self.images.push(reference);
            return Ok(());
        }
        if source.contains("://") || source.starts_with("git@") || source.contains(':') {
            return Err(format!(
                "{source:?} is neither a directory beneath {} nor docker-image://NAME",
                self.builder.shared.display()
            ));
        }
        let path = self.request.path(self.builder, source)?;
        let seen = self.order.room.bind(path);
        self.flag(format!("--build-context={name}={seen}"));
        Ok(())
    }

    fn cache_of_job(&mut self, flag: &str, value: &str) -> Result<(), String> {
        let reference = Reference::parse(value).map_err(|problem| format!("--{flag}: {problem}"))?;
        if flag == "cache-to" {
            self.builder.allow(&reference)?;
        }
        self.flag(format!("--{flag}={}", reference.full()));
        if !self.cache.contains(&reference) {
            self.cache.push(reference);
        }
        Ok(())
    }

    /// A file of the job that Buildah writes itself, whatever its size.
    fn written(&mut self, path: &str) -> Result<String, String> {
        let path = self.request.path(self.builder, path)?;
        let made = self.builder.workspace.create(&path);
        made.map_err(|error| super::problem(&path, &error))?;
        Ok(self.order.room.bind(path))
    }

    /// `PATH`, `-`, or `type=local,dest=PATH` and `type=tar,dest=PATH`.
    fn output(&mut self, value: &str) -> Result<(), String> {
        let (mut kind, mut target) = (None, None);
        for part in value.split(',') {
            match part.split_once('=') {
                Some(("type", text)) => kind = Some(text),
                Some(("dest", text)) => target = Some(text),
                None if value == part => target = Some(part),
                _ => return Err(format!("{part:?} is not known; use type=local|tar,dest=PATH")),
            }
        }
        let kind = kind.unwrap_or(if target == Some("-") { "tar" } else { "local" });
        let target = target.ok_or("dest is missing")?;
        let seen = match kind {
            "tar" if target == "-" => "-".to_owned(),
            "tar" => self.written(target)?,
            "local" => {
                let path = self.request.path(self.builder, target)?;
                let made = self.builder.workspace.make_directories(&path);
                made.map_err(|error| super::problem(&path, &error))?;
                self.order.room.bind(path)
            }
            other => return Err(format!("type={other} is not known to Buildah; use local or tar")),
        };
        self.flag(format!("--output=type={kind},dest={seen}"));
        Ok(())
    }

    fn pull(&mut self, value: &str) -> Result<(), String> {
        let kept = match value {
            // Fetched beforehand where it needs credentials; the rest follows the job's wish.
            "true" | "always" | "false" | "never" | "missing" | "ifmissing" | "newer" | "ifnewer" => value,
            other => return Err(format!("--pull={other} is none of always, missing, never, newer")),
        };
        self.flag(format!("--pull={kept}"));
        Ok(())
    }

    /// `id=ID,src=PATH` or `id=ID,env=VARIABLE`: its value becomes a file of the room.
    fn secret(&mut self, value: &str) -> Result<(), String> {
        let (mut id, mut source, mut variable, mut kind) = (None, None, None, None);
        for part in value.split(',') {
            match part.split_once('=') {
                Some(("id", text)) => id = Some(text),
                Some(("src" | "source", text)) => source = Some(text),
                Some(("env", text)) => variable = Some(text),
                Some(("type", text @ ("file" | "env"))) => kind = Some(text),
                _ => return Err(format!("{part:?} is not known; use id=ID,src=PATH or id=ID,env=VARIABLE")),
            }
        }
        let id = id.ok_or("id is missing")?;
        if kind == Some("env") {
            variable = variable.or(source).or(Some(id));
        } else if source.is_none() && variable.is_none() && self.request.variable(id).is_some() {
            variable = Some(id);
        }
        let content = match variable {
            Some(name) => {
                let value = self.request.variable(name);
                value.ok_or_else(|| format!("the job has no variable {name}"))?.as_bytes().to_vec()
            }
            None => self.read(&self.request.path(self.builder, source.unwrap_or(id))?)?,
        };
        let name = format!("secret-{}", self.order.room.files.len());
        let seen = self.order.room.file(&name, content);
        self.flag(format!("--secret=id={id},src={seen}"));
        Ok(())
    }

    /// `default`, or `ID=PATH`: an agent's socket or a key.
    fn ssh(&mut self, value: &str) -> Result<(), String> {
        let (id, paths) = match value.split_once('=') {
            Some((id, paths)) => (id, paths.to_owned()),
            None => {
                let socket = self.request.variable("SSH_AUTH_SOCK");
                let socket = socket.ok_or("the job has no SSH_AUTH_SOCK, so there is no agent")?;
                (value, socket.to_owned())
            }
        };
        let mut seen = Vec::new();
        for path in paths.split(',') {
            let path = self.request.path(self.builder, path)?;
            seen.push(self.order.room.bind(path));
        }
        self.flag(format!("--ssh={id}={}", seen.join(",")));
        Ok(())
    }
}
