//! Commands of Buildah that are not available.

/// One command that is not available.
pub(crate) struct Unsupported {
    pub(crate) name: &'static str,
    pub(crate) because: &'static str,
    /// The replacement.
    pub(crate) instead: &'static str,
}

const STAYS: &str = "working containers stay in the builder";

const fn unsupported(
    name: &'static str,
    because: &'static str,
    instead: &'static str,
) -> Unsupported {
    Unsupported {
        name,
        because,
        instead,
    }
}

pub(crate) const UNSUPPORTED: &[Unsupported] = &[
    unsupported(
        "run",
        "a working container would have to stay in the builder between two commands",
        "`buildah build` with RUN",
    ),
    unsupported("from", STAYS, "`buildah build` with FROM"),
    unsupported("add", STAYS, "`buildah build` with ADD"),
    unsupported("copy", STAYS, "`buildah build` with COPY"),
    unsupported(
        "config",
        STAYS,
        "`buildah build` with LABEL, ENV, CMD and similar instructions",
    ),
    unsupported("commit", STAYS, "`buildah build --tag`"),
    unsupported("containers", STAYS, "`buildah images`"),
    unsupported(
        "rm",
        "working containers stay in the builder, and end with each build",
        "`buildah rmi`",
    ),
    unsupported(
        "mount",
        "it would mount an image in the builder, and the job would not see it",
        "`buildah build --output`",
    ),
    unsupported(
        "umount",
        "nothing is mounted for the job",
        "`buildah build --output`",
    ),
    unsupported(
        "unshare",
        "it would run a program in the builder",
        "the job's own shell",
    ),
    unsupported("rename", STAYS, "`buildah tag`"),
    unsupported(
        "mkcw",
        "confidential workloads need a dedicated machine",
        "`buildah build`",
    ),
    unsupported(
        "source",
        "it writes files in the builder",
        "`buildah build`",
    ),
];
