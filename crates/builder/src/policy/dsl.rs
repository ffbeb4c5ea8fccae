//! Constructors of flags, and the reasons that several flags share.

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

/// A value with a short name too.
pub(super) const fn short_value(long: &'static str, short: char, why: &'static str) -> Flag {
    flag(long, Some(short), FlagArity::Value, FlagPolicy::Pass(why))
}

/// A switch with a short name too.
pub(super) const fn short_switch(long: &'static str, short: char, why: &'static str) -> Flag {
    flag(long, Some(short), FlagArity::Switch, FlagPolicy::Pass(why))
}

pub(super) const fn checked(long: &'static str, short: Option<char>, why: &'static str) -> Flag {
    flag(long, short, FlagArity::Value, FlagPolicy::Check(why))
}

pub(super) const fn refused(long: &'static str, short: Option<char>, why: &'static str) -> Flag {
    flag(long, short, FlagArity::Value, FlagPolicy::Refuse(why))
}

pub(super) const CREDS: Flag = checked(
    "creds",
    None,
    "the job's own credentials, for this command only; no command line of the builder contains them",
);
pub(super) const TLS_VERIFY: Flag = flag(
    "tls-verify",
    None,
    FlagArity::Switch,
    FlagPolicy::Check("never off with the builder's credentials"),
);

pub(super) const METADATA: &str = "describes the image";
pub(super) const VARIANT: &str = "chooses among an image's variants";
pub(super) const CACHE: &str = "chooses which layers are built again";
pub(super) const OWN_STORAGE: &str = "the builder's storage is this job's";
pub(super) const PRINTING: &str = "changes what is printed";
pub(super) const RETRIES: &str = "number and delay of the attempts at a registry";
pub(super) const LIMITS: &str = "the pod has the limits, and chroot isolation adds no limits";
pub(super) const WEAKENS: &str = "it would weaken the isolation of RUN steps";
pub(super) const NETWORK: &str = "RUN steps have the pod's network, host names and resolver";
pub(super) const CREDENTIALS: &str = "the builder chooses credentials by registry and repository; `buildah login` adds the job's own";
pub(super) const CERTIFICATES: &str =
    "the builder trusts its image's certificates and storage.insecure_registries";
pub(super) const NO_KEYS: &str = "the builder has no keys";
pub(super) const FORMAT: &str = "changes the format of the image";
