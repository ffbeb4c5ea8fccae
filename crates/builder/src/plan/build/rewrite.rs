//! Rewrites the Containerfiles for Buildah. The copies are private, so that what is checked is what is built.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::string::FromUtf8Error;

use super::{FlagArgument, Isolation, Parsed, Planner, Reference, Rejected, Resources, platforms};
use dockerfile::{BuildOptions, DockerfileError, Problem, RewriteOptions};

/// The Containerfiles that Buildah gets.
pub(super) struct Rewritten {
    /// The images that they name, and that of `--from`.
    pub(super) images: Vec<Reference>,
    /// `--file` for each copy, and the flags that the texts need.
    pub(super) flags: Vec<FlagArgument>,
}

impl Planner<'_> {
    /// Rewrites and copies the Containerfiles, and reads the copies: what is judged is what Buildah gets.
    pub(super) fn rewritten(
        &self,
        parsed: &Parsed,
        contents: Vec<Vec<u8>>,
        mut options: BuildOptions,
        resources: &mut Resources<'_>,
    ) -> Result<Rewritten, Rejected> {
        let texts = contents.iter().map(|content| dockerfile::decode(content));
        let texts = texts.map(|text| text.map(Cow::into_owned));
        let texts = texts.collect::<Result<Vec<String>, DockerfileError>>()?;
        let mut build = options.clone();
        let requested = build.build_args.get("TARGETPLATFORM").cloned();
        build.predefined = platforms::only(parsed, requested.as_deref());
        let nonce = nonce(parsed);
        let rewritten = dockerfile::rewrite(
            &texts,
            RewriteOptions {
                build: &build,
                network_none: self.isolation != Isolation::Chroot,
                nonce: nonce.as_deref(),
            },
        )?;
        let mut flags = Vec::new();
        for ((content, text), rewritten) in contents.into_iter().zip(&texts).zip(&rewritten.texts) {
            let content = match (text == rewritten, String::from_utf8(content)) {
                (true, Ok(content)) => content.into_bytes(),
                (true, Err(error)) => error.into_bytes(),
                (false, Ok(_)) => rewritten.clone().into_bytes(),
                (false, Err(error)) => return Err(encoding(&error).into()),
            };
            let copy = resources.add_file("Containerfile", content)?;
            flags.push(FlagArgument::new("file", copy));
        }
        for (name, value) in rewritten.build_args {
            let pair = format!("{name}={value}");
            flags.push(FlagArgument::new("build-arg", pair));
            options.build_args.insert(name, value);
        }
        flags.extend(
            rewritten
                .uncached
                .then(|| FlagArgument::new("no-cache", "true")),
        );
        let mut images = platforms::images(parsed, &rewritten.texts, options)?;
        images.extend(parsed.last("from").map(Reference::parse).transpose()?);
        Ok(Rewritten { images, flags })
    }
}

/// Returns a text for the steps that no cache may have. A build with a fixed time has a fixed result, so it gets none.
fn nonce(parsed: &Parsed) -> Option<String> {
    let fixed = ["timestamp", "source-date-epoch", "output"];
    let fixed = fixed.iter().any(|flag| parsed.last(flag).is_some());
    // Buildah 1.43 takes the time from this argument too.
    let epoch = |argument: &str| argument.split('=').next() == Some("SOURCE_DATE_EPOCH");
    let fixed = fixed || parsed.values("build-arg").any(epoch);
    (!fixed).then(|| {
        let halves = [(); 2].map(|()| RandomState::new().build_hasher().finish());
        format!("{:016x}{:016x}", halves[0], halves[1])
    })
}

fn encoding(error: &FromUtf8Error) -> DockerfileError {
    let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let lines = before.split(|byte| *byte == b'\n');
    DockerfileError {
        line: lines.count(),
        problem: Problem::Encoding,
    }
}
