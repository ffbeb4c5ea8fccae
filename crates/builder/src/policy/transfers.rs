//! The flags of what speaks with a registry: push, pull, login.

use super::words::*;
use crate::flags::{Does, Flag, Takes};

pub(super) const PUSH: &[Flag] = &[
    flag(
        "all",
        None,
        Takes::Switch,
        Does::Pass("all images of a list"),
    ),
    value("add-compression", FORMAT),
    value("compression-format", FORMAT),
    value("compression-level", FORMAT),
    looked(
        "creds",
        None,
        "the job's own, for this command alone; never on a command line of the builder",
    ),
    looked("digestfile", None, "written beneath the workspace"),
    flag(
        "disable-compression",
        Some('D'),
        Takes::Switch,
        Does::Pass(FORMAT),
    ),
    switch("force-compression", FORMAT),
    flag("format", Some('f'), Takes::Value, Does::Pass(FORMAT)),
    flag("quiet", Some('q'), Takes::Switch, Does::Pass(SPEAK)),
    switch("remove-signatures", FORMAT),
    value("retry", RETRY),
    value("retry-delay", RETRY),
    switch("rm", "removes a list from the builder's storage"),
    flag(
        "tls-verify",
        None,
        Takes::Switch,
        Does::Look("never off with credentials of the builder"),
    ),
    refused("authfile", None, CREDENTIALS),
    refused("cert-dir", None, CERTIFICATES),
    refused("encrypt-layer", None, KEYS),
    refused("encryption-key", None, KEYS),
    refused("sign-by", None, KEYS),
];

pub(super) const PULL: &[Flag] = &[
    flag(
        "all-tags",
        Some('a'),
        Takes::Switch,
        Does::Pass("all tags of a repository"),
    ),
    value("arch", WHICH),
    looked(
        "creds",
        None,
        "the job's own, for this command alone; never on a command line of the builder",
    ),
    value("os", WHICH),
    value("platform", WHICH),
    value("policy", CACHE),
    flag("quiet", Some('q'), Takes::Switch, Does::Pass(SPEAK)),
    switch("remove-signatures", FORMAT),
    value("retry", RETRY),
    value("retry-delay", RETRY),
    flag(
        "tls-verify",
        None,
        Takes::Switch,
        Does::Look("never off with credentials of the builder"),
    ),
    value("variant", WHICH),
    refused("authfile", None, CREDENTIALS),
    refused("cert-dir", None, CERTIFICATES),
    refused("decryption-key", None, KEYS),
];

pub(super) const LOGIN: &[Flag] = &[
    flag(
        "get-login",
        None,
        Takes::Switch,
        Does::Pass("shows the job's own login"),
    ),
    looked(
        "password",
        Some('p'),
        "handed on by standard input: a command line can be read",
    ),
    flag(
        "password-stdin",
        None,
        Takes::Switch,
        Does::Look("from the client"),
    ),
    flag(
        "tls-verify",
        None,
        Takes::Switch,
        Does::Pass("the credentials are the job's own"),
    ),
    flag(
        "username",
        Some('u'),
        Takes::Value,
        Does::Pass("the job's own"),
    ),
    flag("verbose", Some('v'), Takes::Switch, Does::Pass(SPEAK)),
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
        Takes::Switch,
        Does::Pass("all logins of the job"),
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
