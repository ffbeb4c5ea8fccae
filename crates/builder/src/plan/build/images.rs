//! Plans the images of a build that need the builder's credentials: it pulls them before the build, or uses one as cache.

use super::{FlagArgument, Operation, Parsed, Planner, Rejected};
use crate::command::BuildahCommand;
use crate::credentials::{self, Authfile, Owner};
use crate::operation::{Grants, Program, Stdout};
use dockerfile::Reference;

/// The use of `builder.cache`.
#[derive(Default)]
pub(super) struct Cache {
    pub(super) flags: Vec<FlagArgument>,
    /// The credentials of a build with this cache.
    pub(super) authfile: Option<Authfile>,
}

/// The pulls of a build.
pub(super) struct Pulls {
    /// Those that come before it.
    pub(super) before: Vec<Operation>,
    /// `--pull` for the build itself.
    pub(super) flag: Option<FlagArgument>,
}

impl Planner<'_> {
    /// Plans the use of `builder.cache`, with the builder's credentials for that repository alone. A build that exports
    /// its result has no layers, and so no cache.
    pub(super) fn cache(&self, parsed: &Parsed, exported: bool) -> Result<Cache, Rejected> {
        let Some(cache) = self.settings.cache.as_deref().filter(|_| !exported) else {
            return Ok(Cache::default());
        };
        let reference = Reference::parse(cache).map_err(Rejected::Cache)?;
        let storage = &self.settings.storage;
        if !self.credentials.may_be_in_builds(storage, &reference) {
            return Ok(Cache::default());
        }
        self.require_verified(parsed, &reference)?;
        let mut flags = vec![
            FlagArgument::new("layers", "true"),
            FlagArgument::new("cache-from", cache),
        ];
        if self.settings.cache_write {
            flags.push(FlagArgument::new("cache-to", cache));
        }
        Ok(Cache {
            flags,
            authfile: Some(self.credentials.for_build(&[reference])),
        })
    }

    /// Rejects a build without verification that holds the builder's credentials: `--tls-verify` is for all registries.
    fn require_verified(&self, parsed: &Parsed, cache: &Reference) -> Result<(), Rejected> {
        let registry = cache.registry();
        let insecure = self.settings.insecure_registries.contains(&registry);
        let builders = self.owner(cache) == Some(Owner::Builder);
        if parsed.last("tls-verify") == Some("false") && builders && !insecure {
            return Err(Rejected::UnverifiedCache(registry));
        }
        Ok(())
    }

    /// Plans to pull the images that need the builder's credentials before the build.
    pub(super) fn pulls(&self, parsed: &Parsed, images: &[Reference]) -> Pulls {
        let policy = parsed.last("pull");
        let is_builders = |image: &Reference| self.owner(image) == Some(Owner::Builder);
        if !images.iter().any(is_builders) || matches!(policy, Some("false" | "never")) {
            return Pulls {
                before: Vec::new(),
                flag: policy.map(|policy| FlagArgument::new("pull", policy)),
            };
        }
        let always = matches!(policy, Some("true" | "always" | "newer" | "ifnewer"));
        let pulled = images.iter().filter(|image| always || is_builders(image));
        let before = pulled.map(|image| self.pull_before(parsed, image, always));
        Pulls {
            before: before.collect(),
            flag: Some(FlagArgument::new("pull", "missing")),
        }
    }

    /// Adds `--creds` to authfiles, for the images that the builder's own credentials do not open.
    pub(super) fn add_creds<'a>(
        &self,
        parsed: &Parsed,
        images: &[Reference],
        authfiles: impl Iterator<Item = &'a mut Authfile>,
    ) -> Result<(), Rejected> {
        let Some(creds) = parsed.last("creds") else {
            return Ok(());
        };
        let others = images.iter();
        let others = others.filter(|image| self.owner(image) != Some(Owner::Builder));
        let others: Vec<&Reference> = others.collect();
        for authfile in authfiles {
            *authfile = credentials::add_entry(authfile, &others, creds)?;
        }
        Ok(())
    }

    /// Plans a pull before a build. Its output is dropped: a script would take the image's id for that of the build.
    pub(super) fn pull_before(
        &self,
        parsed: &Parsed,
        image: &Reference,
        always: bool,
    ) -> Operation {
        let mut command = BuildahCommand::new("pull");
        command.flags.push(FlagArgument::new("quiet", "true"));
        command
            .flags
            .extend(always.then(|| FlagArgument::new("policy", "always")));
        for name in ["platform", "os", "arch", "variant"] {
            let value = parsed.last(name);
            command
                .flags
                .extend(value.map(|value| FlagArgument::new(name, value)));
        }
        command.positional = vec![image.short()];
        Operation {
            program: Program::Buildah(command),
            grants: Grants {
                permit: true,
                ..Grants::default()
            },
            authfile: self.credentials.for_references(std::slice::from_ref(image)),
            stdout: Stdout::Dropped,
            ..Operation::default()
        }
    }
}
