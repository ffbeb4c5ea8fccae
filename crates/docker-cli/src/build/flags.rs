//! The flags of `docker build`.

use super::super::types::ONE_BUILDER;
use super::super::types::{Flag, FlagPolicy, switch, value};

const CACHE: &str = "`registry` with a ref= that has no tag becomes --cache-from or --cache-to; any other cache is left out with a line, since Buildah keeps one tag a step and needs a repository of its own";
const NO_ATTESTATIONS: FlagPolicy = FlagPolicy::Ours(
    "false and disabled=true are always so; others are not available, because Buildah writes no attestations; use actions/attest-build-provenance or cosign on the pushed digest",
);
const NO_CHECKS: FlagPolicy = FlagPolicy::Ours(
    "`build` is what is done; others are not available, because Buildah builds and does not lint; use hadolint",
);
const CONTAINER_LIMITS: FlagPolicy =
    FlagPolicy::Ignored("RUN steps share the builder container's own limits");

pub(super) const FLAGS: &[Flag] = &[
    value(
        "add-host",
        None,
        FlagPolicy::Ours("--add-host; name=address is name:address there"),
    ),
    value(
        "allow",
        None,
        FlagPolicy::Ours(
            "network.host is always so; others are not available, because nothing in a job's pod loosens the sandbox; use a build without them",
        ),
    ),
    value(
        "annotation",
        None,
        FlagPolicy::Ours(
            "--annotation without the level; `index:` becomes `buildah manifest annotate --index`",
        ),
    ),
    value("attest", None, NO_ATTESTATIONS),
    value(
        "build-arg",
        None,
        FlagPolicy::Ours("--build-arg; one without a value gets the job's variable"),
    ),
    value(
        "build-context",
        None,
        FlagPolicy::Ours("--build-context; the job fetches a Git repository itself"),
    ),
    value("builder", None, FlagPolicy::Given(ONE_BUILDER)),
    value("cache-from", None, FlagPolicy::Ours(CACHE)),
    value("cache-to", None, FlagPolicy::Ours(CACHE)),
    value("call", None, NO_CHECKS),
    value("cgroup-parent", None, CONTAINER_LIMITS),
    switch(
        "check",
        None,
        FlagPolicy::Unavailable("Buildah builds and does not lint", "hadolint"),
    ),
    switch(
        "debug",
        Some('D'),
        FlagPolicy::Given("it changes no result"),
    ),
    value(
        "file",
        Some('f'),
        FlagPolicy::Ours("--file; in a Git context it is a path in the repository"),
    ),
    value(
        "iidfile",
        None,
        FlagPolicy::Ours("--iidfile in the shared workspace, then copied to where it is wanted"),
    ),
    value("label", None, FlagPolicy::Passed),
    switch(
        "load",
        None,
        FlagPolicy::Given(
            "every build ends in Buildah's storage, where the job's next command finds it",
        ),
    ),
    value(
        "metadata-file",
        None,
        FlagPolicy::Ours("Buildah 1.39 has none: written from --iidfile and --digestfile"),
    ),
    value(
        "network",
        None,
        FlagPolicy::Ours(
            "`default` and `host` are the pod's network, as always; `none` is passed on",
        ),
    ),
    switch("no-cache", None, FlagPolicy::Passed),
    value(
        "no-cache-filter",
        None,
        FlagPolicy::Ours("--no-cache for all stages: Buildah cannot leave out some"),
    ),
    value(
        "output",
        Some('o'),
        FlagPolicy::Ours(
            "registry and image,push=true: `buildah push`; docker and oci with dest=: an archive; local and tar: --output; docker, image and cacheonly without dest=: the storage",
        ),
    ),
    value(
        "platform",
        None,
        FlagPolicy::Ours("--platform; several become a manifest list"),
    ),
    value(
        "policy",
        None,
        FlagPolicy::Unavailable(
            "Buildah has no policies for a build's sources",
            "the builder's own policy.json",
        ),
    ),
    value(
        "progress",
        None,
        FlagPolicy::Ours("`quiet` and `none` become --quiet; the others are what Buildah prints"),
    ),
    value("provenance", None, NO_ATTESTATIONS),
    switch("pull", None, FlagPolicy::Ours("--pull=always")),
    switch(
        "push",
        None,
        FlagPolicy::Ours("`buildah push` for each tag, after the build"),
    ),
    switch(
        "quiet",
        Some('q'),
        FlagPolicy::Ours("--quiet, and the image's ID as Docker prints it"),
    ),
    value("resource", None, CONTAINER_LIMITS),
    value("sbom", None, NO_ATTESTATIONS),
    value(
        "secret",
        None,
        FlagPolicy::Ours(
            "--secret; one from a variable becomes a file, since the variable is the job's",
        ),
    ),
    value("shm-size", None, FlagPolicy::Passed),
    value(
        "ssh",
        None,
        FlagPolicy::Ours(
            "--ssh; a bare one gets the job's SSH_AUTH_SOCK, which must lie in the workspace",
        ),
    ),
    value("tag", Some('t'), FlagPolicy::Ours("--tag")),
    value("target", None, FlagPolicy::Passed),
    value("ulimit", None, CONTAINER_LIMITS),
];

/// What Docker's older builder had.
pub(super) const LEGACY: &[Flag] = &[
    switch(
        "compress",
        None,
        FlagPolicy::Given("nothing is sent: job and builder share the context"),
    ),
    value("cpu-period", None, CONTAINER_LIMITS),
    value("cpu-quota", None, CONTAINER_LIMITS),
    value("cpu-shares", Some('c'), CONTAINER_LIMITS),
    value("cpuset-cpus", None, CONTAINER_LIMITS),
    value("cpuset-mems", None, CONTAINER_LIMITS),
    switch(
        "disable-content-trust",
        None,
        FlagPolicy::Given("there is no content trust"),
    ),
    switch(
        "force-rm",
        None,
        FlagPolicy::Given("no container outlives its build"),
    ),
    value(
        "isolation",
        None,
        FlagPolicy::Unavailable(
            "the builder chooses the strongest isolation that works",
            "the command without --isolation",
        ),
    ),
    value("memory", Some('m'), CONTAINER_LIMITS),
    value("memory-swap", None, CONTAINER_LIMITS),
    switch(
        "rm",
        None,
        FlagPolicy::Given("no container outlives its build"),
    ),
    value(
        "security-opt",
        None,
        FlagPolicy::Unavailable(
            "nothing in a job's pod loosens the sandbox",
            "the command without --security-opt",
        ),
    ),
    switch("squash", None, FlagPolicy::Passed),
];
