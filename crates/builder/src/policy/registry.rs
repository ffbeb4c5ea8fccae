//! The flags of what speaks with a registry: push, pull, login.

use super::dsl::*;
use crate::flags::{Flag, FlagPolicy};
use pflag::FlagArity;

pub(super) const PUSH: &[Flag] = &[
    flag(
        "all",
        None,
        FlagArity::Switch,
        FlagPolicy::Pass("all images of a list"),
    ),
    value("add-compression", FORMAT),
    value("compression-format", FORMAT),
    value("compression-level", FORMAT),
    checked(
        "creds",
        None,
        "the job's own, for this command alone; never on a command line of the builder",
    ),
    checked("digestfile", None, "written beneath the workspace"),
    flag(
        "disable-compression",
        Some('D'),
        FlagArity::Switch,
        FlagPolicy::Pass(FORMAT),
    ),
    switch("force-compression", FORMAT),
    flag(
        "format",
        Some('f'),
        FlagArity::Value,
        FlagPolicy::Pass(FORMAT),
    ),
    flag(
        "quiet",
        Some('q'),
        FlagArity::Switch,
        FlagPolicy::Pass(PRINTING),
    ),
    switch("remove-signatures", FORMAT),
    value("retry", RETRIES),
    value("retry-delay", RETRIES),
    switch("rm", "removes a list from the builder's storage"),
    flag(
        "tls-verify",
        None,
        FlagArity::Switch,
        FlagPolicy::Check("never off with credentials of the builder"),
    ),
    refused("authfile", None, CREDENTIALS),
    refused("cert-dir", None, CERTIFICATES),
    refused("encrypt-layer", None, NO_KEYS),
    refused("encryption-key", None, NO_KEYS),
    refused("sign-by", None, NO_KEYS),
];

pub(super) const PULL: &[Flag] = &[
    flag(
        "all-tags",
        Some('a'),
        FlagArity::Switch,
        FlagPolicy::Pass("all tags of a repository"),
    ),
    value("arch", VARIANT),
    checked(
        "creds",
        None,
        "the job's own, for this command alone; never on a command line of the builder",
    ),
    value("os", VARIANT),
    value("platform", VARIANT),
    value("policy", CACHE),
    flag(
        "quiet",
        Some('q'),
        FlagArity::Switch,
        FlagPolicy::Pass(PRINTING),
    ),
    switch("remove-signatures", FORMAT),
    value("retry", RETRIES),
    value("retry-delay", RETRIES),
    flag(
        "tls-verify",
        None,
        FlagArity::Switch,
        FlagPolicy::Check("never off with credentials of the builder"),
    ),
    value("variant", VARIANT),
    refused("authfile", None, CREDENTIALS),
    refused("cert-dir", None, CERTIFICATES),
    refused("decryption-key", None, NO_KEYS),
];

pub(super) const LOGIN: &[Flag] = &[
    flag(
        "get-login",
        None,
        FlagArity::Switch,
        FlagPolicy::Pass("shows the job's own login"),
    ),
    checked(
        "password",
        Some('p'),
        "handed on by standard input: a command line can be read",
    ),
    flag(
        "password-stdin",
        None,
        FlagArity::Switch,
        FlagPolicy::Check("from the client"),
    ),
    flag(
        "tls-verify",
        None,
        FlagArity::Switch,
        FlagPolicy::Pass("the credentials are the job's own"),
    ),
    flag(
        "username",
        Some('u'),
        FlagArity::Value,
        FlagPolicy::Pass("the job's own"),
    ),
    flag(
        "verbose",
        Some('v'),
        FlagArity::Switch,
        FlagPolicy::Pass(PRINTING),
    ),
    refused(
        "authfile",
        None,
        "the builder keeps what the job logs in with, in memory",
    ),
    refused("cert-dir", None, CERTIFICATES),
    refused(
        "compat-auth-file",
        None,
        "the builder keeps what the job logs in with, in memory",
    ),
];

pub(super) const LOGOUT: &[Flag] = &[
    flag(
        "all",
        Some('a'),
        FlagArity::Switch,
        FlagPolicy::Pass("all logins of the job"),
    ),
    refused(
        "authfile",
        None,
        "the builder keeps what the job logs in with, in memory",
    ),
    refused(
        "compat-auth-file",
        None,
        "the builder keeps what the job logs in with, in memory",
    ),
];
