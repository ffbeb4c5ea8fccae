//! The forms in which flags are written down, and reasons that several of them have.

use crate::flags::{Flag, FlagPolicy};
use pflag::FlagArity;

pub(super) const fn flag(
    long: &'static str,
    short: Option<char>,
    arity: FlagArity,
    policy: FlagPolicy,
) -> Flag {
    Flag {
        long,
        short,
        arity,
        policy,
    }
}

pub(super) const fn value(long: &'static str, why: &'static str) -> Flag {
    flag(long, None, FlagArity::Value, FlagPolicy::Pass(why))
}

pub(super) const fn switch(long: &'static str, why: &'static str) -> Flag {
    flag(long, None, FlagArity::Switch, FlagPolicy::Pass(why))
}

pub(super) const fn checked(long: &'static str, short: Option<char>, why: &'static str) -> Flag {
    flag(long, short, FlagArity::Value, FlagPolicy::Check(why))
}

pub(super) const fn refused(long: &'static str, short: Option<char>, why: &'static str) -> Flag {
    flag(long, short, FlagArity::Value, FlagPolicy::Refuse(why))
}
pub(super) const METADATA: &str = "describes the image";
pub(super) const VARIANT: &str = "chooses among an image's variants";
pub(super) const CACHE: &str = "chooses which layers are made anew";
pub(super) const OWN_STORAGE: &str = "the builder's storage is this job's";
pub(super) const PRINTING: &str = "changes what is printed";
pub(super) const RETRIES: &str = "how often a registry is asked";
pub(super) const LIMITS: &str = "limits are the pod's, and chroot isolation has none of its own";
pub(super) const WEAKENS: &str = "it would loosen the isolation of RUN steps";
pub(super) const NETWORK: &str = "RUN steps have the pod's network, its names and its resolver";
pub(super) const CREDENTIALS: &str = "the builder chooses credentials by registry and repository; `buildah login` adds the job's own";
pub(super) const CERTIFICATES: &str =
    "the builder trusts what its image and storage.insecure_registries say";
pub(super) const NO_KEYS: &str = "there are no keys in the builder";
pub(super) const FORMAT: &str = "how the image is written";
