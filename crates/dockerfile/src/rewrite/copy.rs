//! Rewrites COPY and ADD.

use super::super::error::Problem;
use super::super::lexer::Instruction;
use super::edits::{applied, part};
use super::{Rewriter, documents, words};

impl Rewriter<'_> {
    pub(super) fn copy(&mut self, text: &str, instruction: &Instruction) -> Result<(), Problem> {
        self.change_files();
        let add = instruction.name == "add";
        let mut parents = None;
        for (flag, span) in instruction.flags.iter().zip(&instruction.flag_spans) {
            if let Some(replacement) = self.copy_flag(add, flag, part(text, span))? {
                if replacement == "--parents" {
                    parents = Some(flag);
                }
                self.edits.push((span.clone(), replacement));
            }
        }
        let rest = &instruction.rest;
        let value = self.substitute(instruction)?;
        if let Some(flag) = parents {
            // A value that is not known may have anything in it.
            let known = value.as_deref().or((!rest.contains('$')).then_some(rest));
            if !known.is_some_and(|known| is_plain_pivot(rest) && is_plain_pivot(known)) {
                return Err(Problem::Flag {
                    flag: flag.clone(),
                    reason: "Buildah reads /./ only in a single source without wildcards",
                    instead: "write one COPY for each source, with paths that are known before the build",
                });
            }
        }
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
            // The flag is about the cache of BuildKit. The files are the same. Buildah 1.43 has the flag, and loses the files of
            // such a step at the end of a build with --output.
            "--link" => Ok(Some("--link=false".to_owned())),
            "--parents" if !add => Ok(Some(
                if on { "--parents" } else { "--parents=false" }.to_owned(),
            )),
            "--keep-git-dir" if !on => Ok(Some("--keep-git-dir=false".to_owned())),
            "--keep-git-dir" => refuse(
                "the builder fetches no Git repository",
                "check it out in the job and copy it",
            ),
            "--unpack" => refuse(
                "Buildah unpacks the archives of ADD always, and those of URLs never",
                "use COPY for an archive that stays packed, or unpack a download in a RUN",
            ),
            "--chmod" if !is_mode(value.unwrap_or_default()) => refuse(
                "Buildah takes modes as numbers only",
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
            _ => Err(Problem::unknown_flag(flag)),
        }
    }

    fn flag_variables(&self, written: &str) -> Result<Option<String>, Problem> {
        let expansion = words::expand(written, self.scope())?;
        if expansion.edits.is_empty() {
            return Ok(None);
        }
        Ok(applied(written, expansion.edits))
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

/// Whether `COPY --parents` keeps the same parents with Buildah 1.43 as with BuildKit: `/./` divides those that stay out from the
/// others.
fn is_plain_pivot(rest: &str) -> bool {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let sources = words.split_last().map_or(&[][..], |(_, sources)| sources);
    let pivot = |source: &&str| source.contains("/./") || source.ends_with("/.");
    if !sources.iter().any(pivot) {
        return true;
    }
    let wildcard = |letter: char| "*?[\\".contains(letter);
    let [source] = sources else {
        return false;
    };
    let rest = source.split_once("/./").map_or("", |(_, rest)| rest);
    !source.contains(wildcard) && !rest.trim_matches('/').is_empty() && !rest.contains("/./")
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
