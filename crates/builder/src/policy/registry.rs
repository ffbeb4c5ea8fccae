//! The flags of the commands that use a registry: push, pull, login, logout.

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
    CREDS,
    checked("digestfile", None, "written inside the workspace"),
    short_switch("disable-compression", 'D', FORMAT),
    switch("force-compression", FORMAT),
    short_value("format", 'f', FORMAT),
    short_switch("quiet", 'q', PRINTING),
    switch("remove-signatures", FORMAT),
    value("retry", RETRIES),
    value("retry-delay", RETRIES),
    switch(
        "rm",
        "removes the list from the builder's storage after the push",
    ),
    TLS_VERIFY,
    refused("authfile", None, CREDENTIALS),
    refused("cert-dir", None, CERTIFICATES),
    refused("encrypt-layer", None, NO_KEYS),
    refused("encryption-key", None, NO_KEYS),
    refused("sign-by", None, NO_KEYS),
];

pub(super) const COPY: &[Flag] = &[
    flag(
        "src-tls-verify",
        None,
        FlagArity::Switch,
        FlagPolicy::Check("never off with the builder's credentials"),
    ),
    TLS_VERIFY,
];

pub(super) const PUSH_BY_DIGEST: &[Flag] = &[
    checked("compression-format", None, FORMAT),
    checked("compression-level", None, FORMAT),
    checked("digestfile", None, "written inside the workspace"),
    flag(
        "disable-compression",
        Some('D'),
        FlagArity::Switch,
        FlagPolicy::Check(FORMAT),
    ),
    flag(
        "force-compression",
        None,
        FlagArity::Switch,
        FlagPolicy::Check("every layer is compressed anew"),
    ),
    checked("format", Some('f'), FORMAT),
    flag(
        "list",
        None,
        FlagArity::Switch,
        FlagPolicy::Check("pushes a list with all its images"),
    ),
    TLS_VERIFY,
];

pub(super) const PULL: &[Flag] = &[
    short_switch("all-tags", 'a', "all tags of a repository"),
    value("arch", VARIANT),
    CREDS,
    value("os", VARIANT),
    value("platform", VARIANT),
    value("policy", CACHE),
    short_switch("quiet", 'q', PRINTING),
    switch("remove-signatures", FORMAT),
    value("retry", RETRIES),
    value("retry-delay", RETRIES),
    TLS_VERIFY,
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
        FlagPolicy::Pass("prints the job's own login"),
    ),
    checked(
        "password",
        Some('p'),
        "passed on through standard input, because other processes can read a command line",
    ),
    flag(
        "password-stdin",
        None,
        FlagArity::Switch,
        FlagPolicy::Check("read from the client's standard input"),
    ),
    flag(
        "tls-verify",
        None,
        FlagArity::Switch,
        FlagPolicy::Pass("only the job's own credentials are used"),
    ),
    short_value("username", 'u', "the user of the job's own login"),
    short_switch("verbose", 'v', PRINTING),
    refused(
        "authfile",
        None,
        "the builder keeps the job's logins in memory",
    ),
    refused("cert-dir", None, CERTIFICATES),
    refused(
        "compat-auth-file",
        None,
        "the builder keeps the job's logins in memory",
    ),
];

pub(super) const LOGOUT: &[Flag] = &[
    short_switch("all", 'a', "all logins of the job"),
    refused(
        "authfile",
        None,
        "the builder keeps the job's logins in memory",
    ),
    refused(
        "compat-auth-file",
        None,
        "the builder keeps the job's logins in memory",
    ),
];
