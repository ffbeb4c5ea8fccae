//! The flags of what is done with images in the storage.

use super::words::*;
use crate::flags::{Does, Flag, Takes};

pub(super) const IMAGES: &[Flag] = &[
    flag("all", Some('a'), Takes::Switch, Does::Pass(SPEAK)),
    switch("digests", SPEAK),
    flag("filter", Some('f'), Takes::Value, Does::Pass(SPEAK)),
    value("format", SPEAK),
    switch("history", SPEAK),
    switch("json", SPEAK),
    switch("no-trunc", SPEAK),
    flag("noheading", Some('n'), Takes::Switch, Does::Pass(SPEAK)),
    flag("quiet", Some('q'), Takes::Switch, Does::Pass(SPEAK)),
];

pub(super) const RMI: &[Flag] = &[
    flag("all", Some('a'), Takes::Switch, Does::Pass(OWN)),
    flag("force", Some('f'), Takes::Switch, Does::Pass(OWN)),
    flag("prune", Some('p'), Takes::Switch, Does::Pass(OWN)),
];

pub(super) const PRUNE: &[Flag] = &[
    flag("all", Some('a'), Takes::Switch, Does::Pass(OWN)),
    flag("force", Some('f'), Takes::Switch, Does::Pass(OWN)),
];

pub(super) const INSPECT: &[Flag] = &[
    flag("format", Some('f'), Takes::Value, Does::Pass(SPEAK)),
    flag(
        "type",
        Some('t'),
        Takes::Value,
        Does::Pass("image, container or manifest"),
    ),
];

pub(super) const INFO: &[Flag] = &[
    flag("debug", Some('d'), Takes::Switch, Does::Pass(SPEAK)),
    value("format", SPEAK),
];

pub(super) const VERSION: &[Flag] = &[switch("json", SPEAK)];

pub(super) const TLS: &[Flag] = &[flag(
    "tls-verify",
    None,
    Takes::Switch,
    Does::Look("never off with credentials of the builder"),
)];

pub(super) const MANIFEST_CREATE: &[Flag] = &[
    switch("all", WHICH),
    switch("amend", META),
    value("annotation", META),
    flag(
        "tls-verify",
        None,
        Takes::Switch,
        Does::Look("never off with credentials of the builder"),
    ),
];

pub(super) const MANIFEST_ADD: &[Flag] = &[
    switch("all", WHICH),
    value("annotation", META),
    value("arch", META),
    looked(
        "creds",
        None,
        "the job's own, for this command alone; never on a command line of the builder",
    ),
    value("features", META),
    value("os", META),
    value("os-features", META),
    value("os-version", META),
    flag(
        "tls-verify",
        None,
        Takes::Switch,
        Does::Look("never off with credentials of the builder"),
    ),
    value("variant", META),
    flag(
        "artifact",
        None,
        Takes::Switch,
        Does::Refuse("it names a file of the builder; push artifacts from the job"),
    ),
    refused("authfile", None, CREDENTIALS),
    refused("cert-dir", None, CERTIFICATES),
];

pub(super) const MANIFEST_ANNOTATE: &[Flag] = &[
    value("annotation", META),
    value("arch", META),
    value("features", META),
    switch("index", META),
    value("os", META),
    value("os-features", META),
    value("os-version", META),
    value("variant", META),
    refused("subject", None, "it names another image by its transport"),
];
