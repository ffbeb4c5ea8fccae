//! Images of a build that need credentials: pulled before it, or kept as its cache.

use super::{Operation, Parsed, Planner, Reference};
use crate::credentials::{self, Owner};

/// A build says nothing of the image's id, which a script would take for that of the build.
const QUIET_PULL: [&str; 5] = [
    "-c",
    "exec buildah \"$@\" >/dev/null",
    "sh",
    "pull",
    "--quiet=true",
];

impl Planner<'_> {
    /// The cache of `builder.cache`, with the builder's credentials for that repository alone.
    pub(super) fn cache(&self, parsed: &Parsed, operation: &mut Operation) -> Result<(), String> {
        let Some(cache) = &self.settings.cache else {
            return Ok(());
        };
        let reference =
            Reference::parse(cache).map_err(|error| format!("builder.cache: {error}"))?;
        if !self
            .credentials
            .may_be_in_builds(&self.settings.storage, &reference)
        {
            return Ok(());
        }
        self.require_verified(parsed, &reference)?;
        operation.arguments.push("--layers=true".to_owned());
        operation.arguments.push(format!("--cache-from={cache}"));
        if self.settings.cache_write {
            operation.arguments.push(format!("--cache-to={cache}"));
        }
        operation.authfile = self.credentials.for_build(&[reference]);
        Ok(())
    }

    /// One switch of Buildah's is for all registries of a build.
    fn require_verified(&self, parsed: &Parsed, cache: &Reference) -> Result<(), String> {
        let registry = cache.registry();
        let insecure = self.settings.insecure_registries.contains(&registry);
        let own = self.credentials.owner(cache) == Some(Owner::Builder);
        if parsed.last("tls-verify") == Some("false") && own && !insecure {
            return Err(format!(
                "--tls-verify=false is not available in a build with builder.cache: whoever answers for {registry} would get the builder's credentials; pull the images beforehand with `buildah pull --tls-verify=false`"
            ));
        }
        Ok(())
    }

    /// Images that only the builder's credentials open are there before the build begins.
    pub(super) fn pulls(&self, parsed: &Parsed, images: &[Reference], operation: &mut Operation) {
        let policy = parsed.last("pull");
        let own = images
            .iter()
            .any(|image| self.credentials.owner(image) == Some(Owner::Builder));
        let fresh = matches!(policy, Some("true" | "always" | "newer" | "ifnewer"));
        if !own || matches!(policy, Some("false" | "never")) {
            operation
                .arguments
                .extend(policy.map(|policy| format!("--pull={policy}")));
            return;
        }
        for image in images {
            if fresh || self.credentials.owner(image) == Some(Owner::Builder) {
                operation
                    .before
                    .push(self.pull_before(parsed, image, fresh));
            }
        }
        operation.arguments.push("--pull=missing".to_owned());
    }

    /// `--creds` is for the images that the builder's own credentials do not open.
    pub(super) fn given(
        &self,
        parsed: &Parsed,
        images: &[Reference],
        operation: &mut Operation,
    ) -> Result<(), String> {
        let Some(creds) = parsed.last("creds") else {
            return Ok(());
        };
        let others = images
            .iter()
            .filter(|image| self.credentials.owner(image) != Some(Owner::Builder));
        let others: Vec<&Reference> = others.collect();
        operation.authfile = credentials::with_given(&operation.authfile, &others, creds)?;
        for pull in &mut operation.before {
            pull.authfile = credentials::with_given(&pull.authfile, &others, creds)?;
        }
        Ok(())
    }

    pub(super) fn pull_before(&self, parsed: &Parsed, image: &Reference, fresh: bool) -> Operation {
        let mut pull = Operation {
            program: Some("sh"),
            arguments: QUIET_PULL.map(str::to_owned).into(),
            authfile: self.credentials.for_references(std::slice::from_ref(image)),
            heavy: true,
            ..Operation::default()
        };
        pull.arguments
            .extend(fresh.then(|| "--policy=always".to_owned()));
        for flag in ["platform", "os", "arch", "variant"] {
            pull.arguments
                .extend(parsed.last(flag).map(|value| format!("--{flag}={value}")));
        }
        pull.arguments.extend(["--".to_owned(), image.short()]);
        pull
    }
}
