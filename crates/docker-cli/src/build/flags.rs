//! The flags of `docker build`.

use super::super::flag_specs::{
    Flag, FlagPolicy, NO_EFFECT, NO_POLICIES, ONE_BUILDER, switch, value,
};

const CACHE: &str = "`registry` with a ref= that has no tag becomes --cache-from or --cache-to; any other cache is left out with a line, because Buildah keeps one tag for each step and needs its own repository";
const NO_ATTESTATIONS: FlagPolicy = FlagPolicy::Handled(
    "no attestation is made, because Buildah writes none; a line on stderr says so for each that is requested; use actions/attest-build-provenance, anchore/sbom-action or cosign on the pushed digest",
);
const NO_CHECKS: FlagPolicy = FlagPolicy::Handled(
    "`build` is always so; any other value is not available, because Buildah builds and does not lint; use hadolint",
);
const CONTAINER_LIMITS: FlagPolicy =
    FlagPolicy::Ignored("RUN steps share the limits of the builder's container");

pub(super) const FLAGS: &[Flag] = &[
    value(
        "add-host",
        None,
        FlagPolicy::Handled("--add-host, with name=address as name:address"),
    ),
    value(
        "allow",
        None,
        FlagPolicy::Handled(
            "network.host is always so; any other value is not available, because no flag weakens the sandbox of a job's build; use a build without it",
        ),
    ),
    value(
        "annotation",
        None,
        FlagPolicy::Handled(
            "--annotation without the level; `index:` becomes `buildah manifest annotate --index`",
        ),
    ),
    value("attest", None, NO_ATTESTATIONS),
    value(
        "build-arg",
        None,
        FlagPolicy::Handled(
            "--build-arg; a name without a value gets the value of the job's variable. SOURCE_DATE_EPOCH, also as variable, becomes --source-date-epoch; the other arguments of BuildKit are left out with a line on stderr",
        ),
    ),
    value(
        "build-context",
        None,
        FlagPolicy::Handled(
            "--build-context; the job fetches a Git repository or an archive itself, and copies a directory that the builder does not see",
        ),
    ),
    value("builder", None, ONE_BUILDER),
    value("cache-from", None, FlagPolicy::Handled(CACHE)),
    value("cache-to", None, FlagPolicy::Handled(CACHE)),
    value("call", None, NO_CHECKS),
    value("cgroup-parent", None, CONTAINER_LIMITS),
    switch(
        "check",
        None,
        FlagPolicy::NotAvailable("Buildah builds and does not lint", "hadolint"),
    ),
    switch("debug", Some('D'), NO_EFFECT),
    value(
        "file",
        Some('f'),
        FlagPolicy::Handled(
            "--file, of a copy if the builder does not see the file; with a Git repository or an archive as context, a path in it",
        ),
    ),
    value(
        "iidfile",
        None,
        FlagPolicy::Handled("--iidfile in the shared workspace, then copied to the requested path"),
    ),
    value("label", None, FlagPolicy::Passed),
    switch(
        "load",
        None,
        FlagPolicy::Implied(
            "every build ends in Buildah's storage, and the job's next command finds it there",
        ),
    ),
    value(
        "metadata-file",
        None,
        FlagPolicy::Handled(
            "written from --iidfile and --digestfile, because Buildah has no such flag",
        ),
    ),
    value(
        "network",
        None,
        FlagPolicy::Handled(
            "`default` and `host` mean the pod's network, which is always used; the builder refuses `none`, because it has no right to make another network",
        ),
    ),
    switch("no-cache", None, FlagPolicy::Passed),
    value(
        "no-cache-filter",
        None,
        FlagPolicy::Handled(
            "--no-cache for all stages, because Buildah cannot exclude single stages",
        ),
    ),
    value(
        "output",
        Some('o'),
        FlagPolicy::Handled(
            "registry and image,push=true: `buildah push`; docker and oci with dest=: an archive; local and tar: --output, copied to a place that the builder does not see; docker, image and cacheonly without dest=: the storage",
        ),
    ),
    value(
        "platform",
        None,
        FlagPolicy::Handled("--platform; several become a manifest list"),
    ),
    value("policy", None, NO_POLICIES),
    value(
        "progress",
        None,
        FlagPolicy::Handled(
            "`quiet` and `none` become --quiet; with any other value, Buildah's own output is printed",
        ),
    ),
    value("provenance", None, NO_ATTESTATIONS),
    switch("pull", None, FlagPolicy::Handled("--pull=always")),
    switch(
        "push",
        None,
        FlagPolicy::Handled("`buildah push` for each tag, after the build"),
    ),
    switch(
        "quiet",
        Some('q'),
        FlagPolicy::Handled("--quiet, and the image's ID on standard output"),
    ),
    value("resource", None, CONTAINER_LIMITS),
    value("sbom", None, NO_ATTESTATIONS),
    value(
        "secret",
        None,
        FlagPolicy::Handled(
            "--secret, of a file in the call's own directory: a copy of the named file, which may be anywhere in the job, or the value of the variable; a variable that is not set is an empty secret",
        ),
    ),
    value("shm-size", None, FlagPolicy::Passed),
    value(
        "ssh",
        None,
        FlagPolicy::Handled(
            "--ssh; an id without a path gets the job's SSH_AUTH_SOCK; the client copies a key, and serves a socket, that the builder does not see",
        ),
    ),
    value("tag", Some('t'), FlagPolicy::Handled("--tag")),
    value("target", None, FlagPolicy::Passed),
    value("ulimit", None, CONTAINER_LIMITS),
];

/// Flags of Docker's older builder.
pub(super) const LEGACY: &[Flag] = &[
    switch(
        "compress",
        None,
        FlagPolicy::Implied("job and builder share the context, and nothing is sent"),
    ),
    value("cpu-period", None, CONTAINER_LIMITS),
    value("cpu-quota", None, CONTAINER_LIMITS),
    value("cpu-shares", Some('c'), CONTAINER_LIMITS),
    value("cpuset-cpus", None, CONTAINER_LIMITS),
    value("cpuset-mems", None, CONTAINER_LIMITS),
    switch(
        "disable-content-trust",
        None,
        FlagPolicy::Implied("there is no content trust"),
    ),
    switch(
        "force-rm",
        None,
        FlagPolicy::Implied("no container outlives its build"),
    ),
    value(
        "isolation",
        None,
        FlagPolicy::NotAvailable(
            "the builder chooses the strongest isolation that works",
            "the command without --isolation",
        ),
    ),
    value("memory", Some('m'), CONTAINER_LIMITS),
    value("memory-swap", None, CONTAINER_LIMITS),
    switch(
        "rm",
        None,
        FlagPolicy::Implied("no container outlives its build"),
    ),
    value(
        "security-opt",
        None,
        FlagPolicy::NotAvailable(
            "no flag weakens the sandbox of a job's build",
            "the command without --security-opt",
        ),
    ),
    switch("squash", None, FlagPolicy::Passed),
];
