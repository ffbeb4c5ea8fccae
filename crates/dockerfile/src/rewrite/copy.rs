//! Rewrites COPY and ADD.

use super::super::error::Problem;
use super::super::lexer::Instruction;
use super::{Rewriter, documents, part, words};

impl Rewriter<'_> {
    pub(super) fn copy(&mut self, text: &str, instruction: &Instruction) -> Result<(), Problem> {
        self.change_files();
        let add = instruction.name == "add";
        for (flag, span) in instruction.flags.iter().zip(&instruction.flag_spans) {
            if let Some(replacement) = self.copy_flag(add, flag, part(text, span))? {
                self.edits.push((span.clone(), replacement));
            }
        }
        self.substitute(instruction)?;
        if add {
            let mut words = instruction.rest.split_whitespace();
            // The last word is the destination.
            words.next_back();
            if let Some(source) = words.find(|word| is_git(word)) {
                return Err(Problem::GitSource(source.to_owned()));
            }
        }
        for document in &instruction.documents {
            if !document.document.expand {
                continue;
            }
            let body = documents::body(part(text, &document.span), &document.document);
            self.edits
                .extend(body.map(|body| (document.span.clone(), body)));
        }
        Ok(())
    }

    /// Checks one flag. Returns what replaces it.
    fn copy_flag(&self, add: bool, flag: &str, written: &str) -> Result<Option<String>, Problem> {
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        let on = !matches!(value, Some("false" | "0" | "f" | "F" | "FALSE" | "False"));
        let refuse = |reason, instead| {
            Err(Problem::Flag {
                flag: flag.to_owned(),
                reason,
                instead,
            })
        };
        match name {
            // The flag is about the cache of BuildKit. The files are the same.
            "--link" => Ok(Some("--link=false".to_owned())),
            "--parents" if !on => Ok(Some("--parents=false".to_owned())),
            "--parents" => refuse(
                "Buildah 1.39 cannot copy with parents",
                "write one COPY for each directory",
            ),
            "--keep-git-dir" if !on => Ok(Some("--keep-git-dir=false".to_owned())),
            "--keep-git-dir" => refuse(
                "the builder fetches no Git repository",
                "check it out in the job and copy it",
            ),
            "--unpack" => refuse(
                "Buildah 1.39 unpacks the archives of ADD always, and those of URLs never",
                "use COPY for an archive that stays packed, or unpack a download in a RUN",
            ),
            "--chmod" if !is_mode(value.unwrap_or_default()) => refuse(
                "Buildah 1.39 takes modes as numbers only",
                "write an octal number such as 755, or a RUN chmod after it",
            ),
            "--chown" | "--chmod" if written.contains("${") => self.flag_variables(written),
            "--chown" => Ok(value.and_then(root_by_number)),
            "--from" if !add => {
                let respelled = value.and_then(|value| self.respelled(value));
                Ok(respelled.map(|name| format!("--from={name}")))
            }
            "--chmod" | "--exclude" => Ok(None),
            "--checksum" if add => Ok(None),
            _ => refuse("Buildah 1.39 does not know the flag here", "remove it"),
        }
    }

    fn flag_variables(&self, written: &str) -> Result<Option<String>, Problem> {
        let expansion = words::expand(written, self.scope())?;
        if expansion.edits.is_empty() {
            return Ok(None);
        }
        Ok(super::applied(written, expansion.edits))
    }
}

/// Returns `--chown` with the number of root, if it has the name: an image without `/etc/passwd` has no names for Buildah. Docker
/// takes those that it does not find for root.
fn root_by_number(owner: &str) -> Option<String> {
    let name = |part: &str| if part == "root" { "0" } else { part }.to_owned();
    let parts: Vec<String> = owner.split(':').map(name).collect();
    let numbered = parts.join(":");
    (numbered != owner).then(|| format!("--chown={numbered}"))
}

/// Whether it is an octal number, or has a variable, which Buildah expands.
fn is_mode(mode: &str) -> bool {
    mode.contains('$') || (!mode.is_empty() && mode.bytes().all(|byte| matches!(byte, b'0'..=b'7')))
}

/// Whether ADD would fetch it as a Git repository.
fn is_git(source: &str) -> bool {
    let source = source.trim_matches(['"', '\'', '[', ',']);
    let bare = source.split(['#', '?']).next().unwrap_or(source);
    let http = source.starts_with("https://") || source.starts_with("http://");
    source.starts_with("git@")
        || source.starts_with("git://")
        || source.starts_with("ssh://")
        || (http && bare.ends_with(".git"))
}
