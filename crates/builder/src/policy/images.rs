//! The flags of the commands on images in the storage.

use super::dsl::*;
use crate::flags::{Flag, FlagPolicy};
use pflag::FlagArity;

pub(super) const IMAGES: &[Flag] = &[
    short_switch("all", 'a', PRINTING),
    switch("digests", PRINTING),
    short_value("filter", 'f', PRINTING),
    value("format", PRINTING),
    switch("history", PRINTING),
    switch("json", PRINTING),
    switch("no-trunc", PRINTING),
    short_switch("noheading", 'n', PRINTING),
    short_switch("quiet", 'q', PRINTING),
];

pub(super) const RMI: &[Flag] = &[
    short_switch("all", 'a', OWN_STORAGE),
    short_switch("force", 'f', OWN_STORAGE),
    short_switch("prune", 'p', OWN_STORAGE),
];

pub(super) const PRUNE: &[Flag] = &[
    short_switch("all", 'a', OWN_STORAGE),
    short_switch("force", 'f', OWN_STORAGE),
];

pub(super) const INSPECT: &[Flag] = &[
    short_value("format", 'f', PRINTING),
    short_value("type", 't', "image, container or manifest"),
];

pub(super) const INFO: &[Flag] = &[
    short_switch("debug", 'd', PRINTING),
    value("format", PRINTING),
];

pub(super) const VERSION: &[Flag] = &[switch("json", PRINTING)];

pub(super) const TLS: &[Flag] = &[TLS_VERIFY];

pub(super) const MANIFEST_CREATE: &[Flag] = &[
    switch("all", VARIANT),
    switch("amend", METADATA),
    value("annotation", METADATA),
    TLS_VERIFY,
];

pub(super) const MANIFEST_ADD: &[Flag] = &[
    switch("all", VARIANT),
    value("annotation", METADATA),
    value("arch", METADATA),
    CREDS,
    value("features", METADATA),
    value("os", METADATA),
    value("os-features", METADATA),
    value("os-version", METADATA),
    TLS_VERIFY,
    value("variant", METADATA),
    flag(
        "artifact",
        None,
        FlagArity::Switch,
        FlagPolicy::Refuse("it names a file in the builder; push artifacts from the job"),
    ),
    refused("authfile", None, CREDENTIALS),
    refused("cert-dir", None, CERTIFICATES),
];

pub(super) const MANIFEST_ANNOTATE: &[Flag] = &[
    value("annotation", METADATA),
    value("arch", METADATA),
    value("features", METADATA),
    switch("index", METADATA),
    value("os", METADATA),
    value("os-features", METADATA),
    value("os-version", METADATA),
    value("variant", METADATA),
    refused("subject", None, "it names another image with a transport"),
];
