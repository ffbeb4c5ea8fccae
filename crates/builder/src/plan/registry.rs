//! Decides which credentials a command gets, whether certificates are verified, and where the job may push.

use super::{FlagArgument, Parsed, Planner, Rejected};
use crate::credentials::{self, Authfile, Owner};
use dockerfile::Reference;

impl Planner<'_> {
    /// Returns the credentials of one command: those of `--creds`, or else the builder's or the job's.
    pub(super) fn authfile(
        &self,
        parsed: &Parsed,
        names: &[Reference],
    ) -> Result<Authfile, Rejected> {
        match (parsed.last("creds"), names) {
            (None, _) => Ok(self.credentials.for_references(names)),
            (Some(creds), [.., last]) => Ok(credentials::authfile_with(last, creds)),
            (Some(_), []) => Err(Rejected::CredsWithoutImage),
        }
    }

    /// Decides on `--tls-verify`. An unverified connection never gets credentials of the builder.
    pub(super) fn tls_verify(
        &self,
        verb: &str,
        parsed: &Parsed,
        names: &[Reference],
    ) -> Result<Option<FlagArgument>, Rejected> {
        let given = parsed.last("tls-verify");
        let has_creds = parsed.last("creds").is_some();
        let verify = self.verify(verb, given, has_creds, names)?;
        Ok(verify.map(|verify| FlagArgument::new("tls-verify", verify)))
    }

    /// Decides on the value of `--tls-verify` or of a flag like it. Without a value, registries.conf decides.
    pub(super) fn verify(
        &self,
        verb: &str,
        given: Option<&str>,
        has_creds: bool,
        names: &[Reference],
    ) -> Result<Option<String>, Rejected> {
        let insecure = &self.settings.insecure_registries;
        let is_insecure = |name: &&Reference| insecure.contains(&name.registry());
        let is_builders = |name: &&Reference| self.owner(name) == Some(Owner::Builder);
        let Some(verify) = given else {
            // Buildah's manifest commands ignore insecure registries in registries.conf.
            let ignores_configuration = verb.starts_with("manifest ");
            let unverified = ignores_configuration
                && names.iter().any(|name| is_insecure(&name))
                && names
                    .iter()
                    .filter(is_builders)
                    .all(|name| is_insecure(&name));
            return Ok(unverified.then(|| "false".to_owned()));
        };
        let exposed = names
            .iter()
            .find(|name| !has_creds && is_builders(name) && !is_insecure(name));
        if let (Some(name), "false") = (exposed, verify) {
            return Err(Rejected::Unverified(name.registry()));
        }
        // An insecure registry has no certificate. To verify it would break what the builder's own setting allows.
        let without_certificate = names.iter().any(|name| is_insecure(&name));
        let dropped = without_certificate && verify == "true";
        Ok((!dropped).then(|| verify.to_owned()))
    }

    /// Rejects a target that the job may not push to.
    pub(super) fn require_pushable(&self, target: &Reference) -> Result<(), Rejected> {
        let cache = self.settings.cache.as_deref();
        let cache = cache.and_then(|cache| Reference::parse(cache).ok());
        if cache.is_some_and(|cache| target.is_in(&cache)) {
            return Err(Rejected::PushToCache(target.full()));
        }
        let patterns = &self.settings.push_allow;
        if patterns.iter().any(|pattern| target.is_covered_by(pattern)) {
            return Ok(());
        }
        let allowed = if patterns.is_empty() {
            "no entry".to_owned()
        } else {
            patterns.join(", ")
        };
        Err(Rejected::PushNotAllowed {
            target: target.full(),
            allowed,
        })
    }

    pub(super) fn owner(&self, name: &Reference) -> Option<Owner> {
        self.credentials.owner(name)
    }
}
