//! The flags of `docker buildx bake`.

use super::super::flag_specs::{Flag, FlagPolicy, NO_EFFECT, ONE_BUILDER, switch, value};

const SHORT_FORM: FlagPolicy = FlagPolicy::Handled("the same flag of each target's `docker build`");

pub(super) const FLAGS: &[Flag] = &[
    value(
        "allow",
        None,
        FlagPolicy::Implied(
            "a job may read and write its own files; `docker build` refuses a target with the entitlement security.insecure",
        ),
    ),
    value("builder", None, ONE_BUILDER),
    value("call", None, SHORT_FORM),
    switch("check", None, SHORT_FORM),
    switch("debug", Some('D'), NO_EFFECT),
    value(
        "file",
        Some('f'),
        FlagPolicy::Handled(
            "a file in HCL, JSON or compose's YAML; `-` is standard input; without it, the files with buildx's names that exist, or those of BUILDX_BAKE_FILE",
        ),
    ),
    value(
        "list",
        None,
        FlagPolicy::Handled("`targets` and `variables`, as a table or as JSON"),
    ),
    switch("list-targets", None, FlagPolicy::Handled("--list=targets")),
    switch(
        "list-variables",
        None,
        FlagPolicy::Handled("--list=variables"),
    ),
    switch(
        "load",
        None,
        FlagPolicy::Handled("an output of type docker, as buildx adds it"),
    ),
    value(
        "metadata-file",
        None,
        FlagPolicy::Handled("an object with the metadata of each target's build"),
    ),
    switch("no-cache", None, SHORT_FORM),
    value(
        "policy",
        None,
        FlagPolicy::NotAvailable(
            "Buildah has no policies for a build's sources",
            "the builder's own policy.json",
        ),
    ),
    switch(
        "print",
        None,
        FlagPolicy::Handled("the targets as buildx prints them, and no build"),
    ),
    value("progress", None, SHORT_FORM),
    value("provenance", None, SHORT_FORM),
    switch("pull", None, SHORT_FORM),
    switch(
        "push",
        None,
        FlagPolicy::Handled("an output of type image with push=true, as buildx adds it"),
    ),
    value("sbom", None, SHORT_FORM),
    value(
        "set",
        None,
        FlagPolicy::Handled("TARGET.KEY=VALUE for each target that the pattern matches"),
    ),
    value(
        "var",
        None,
        FlagPolicy::Handled("the value of a variable; it takes precedence over the environment"),
    ),
];
