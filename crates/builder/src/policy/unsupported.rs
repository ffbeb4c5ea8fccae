//! Commands of Buildah that the builder does not have.

/// Commands of Buildah that are not available: name, reason, what to use.
pub(crate) const UNSUPPORTED: &[(&str, &str, &str)] = &[
    (
        "run",
        "a container that a job enters step by step would have to be held open for it",
        "`buildah build` with RUN",
    ),
    (
        "from",
        "working containers stay in the builder",
        "`buildah build` with FROM",
    ),
    (
        "add",
        "working containers stay in the builder",
        "`buildah build` with ADD",
    ),
    (
        "copy",
        "working containers stay in the builder",
        "`buildah build` with COPY",
    ),
    (
        "config",
        "working containers stay in the builder",
        "`buildah build` with LABEL, ENV, CMD and the like",
    ),
    (
        "commit",
        "working containers stay in the builder",
        "`buildah build --tag`",
    ),
    (
        "containers",
        "working containers stay in the builder",
        "`buildah images`",
    ),
    (
        "rm",
        "working containers stay in the builder, and end with each build",
        "`buildah rmi`",
    ),
    (
        "mount",
        "it would mount an image in the builder, where the job sees nothing of it",
        "`buildah build --output`",
    ),
    (
        "umount",
        "nothing is mounted for the job",
        "`buildah build --output`",
    ),
    (
        "unshare",
        "it would run a program in the builder",
        "the job's own shell",
    ),
    (
        "rename",
        "working containers stay in the builder",
        "`buildah tag`",
    ),
    (
        "mkcw",
        "confidential workloads need a machine of their own",
        "`buildah build`",
    ),
    (
        "source",
        "it writes files of the builder",
        "`buildah build`",
    ),
];
