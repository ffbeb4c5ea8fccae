//! The flags of the commands on images in the storage.

use super::dsl::*;
use crate::flags::{Flag, FlagPolicy};
use pflag::FlagArity;

pub(super) const IMAGES: &[Flag] = &[
    flag(
        "all",
        Some('a'),
        FlagArity::Switch,
        FlagPolicy::Pass(PRINTING),
    ),
    switch("digests", PRINTING),
    flag(
        "filter",
        Some('f'),
        FlagArity::Value,
        FlagPolicy::Pass(PRINTING),
    ),
    value("format", PRINTING),
    switch("history", PRINTING),
    switch("json", PRINTING),
    switch("no-trunc", PRINTING),
    flag(
        "noheading",
        Some('n'),
        FlagArity::Switch,
        FlagPolicy::Pass(PRINTING),
    ),
    flag(
        "quiet",
        Some('q'),
        FlagArity::Switch,
        FlagPolicy::Pass(PRINTING),
    ),
];

pub(super) const RMI: &[Flag] = &[
    flag(
        "all",
        Some('a'),
        FlagArity::Switch,
        FlagPolicy::Pass(OWN_STORAGE),
    ),
    flag(
        "force",
        Some('f'),
        FlagArity::Switch,
        FlagPolicy::Pass(OWN_STORAGE),
    ),
    flag(
        "prune",
        Some('p'),
        FlagArity::Switch,
        FlagPolicy::Pass(OWN_STORAGE),
    ),
];

pub(super) const PRUNE: &[Flag] = &[
    flag(
        "all",
        Some('a'),
        FlagArity::Switch,
        FlagPolicy::Pass(OWN_STORAGE),
    ),
    flag(
        "force",
        Some('f'),
        FlagArity::Switch,
        FlagPolicy::Pass(OWN_STORAGE),
    ),
];

pub(super) const INSPECT: &[Flag] = &[
    flag(
        "format",
        Some('f'),
        FlagArity::Value,
        FlagPolicy::Pass(PRINTING),
    ),
    flag(
        "type",
        Some('t'),
        FlagArity::Value,
        FlagPolicy::Pass("image, container or manifest"),
    ),
];

pub(super) const INFO: &[Flag] = &[
    flag(
        "debug",
        Some('d'),
        FlagArity::Switch,
        FlagPolicy::Pass(PRINTING),
    ),
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
