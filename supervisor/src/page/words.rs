//! The sentences about what ended a job or got in its way from outside. Each names the remedy. Log, report and page have the same.
//!
//! Those about memory are in the crate `memory-guard`.

use std::time::Duration;

use super::sizes::{bytes, duration};
use report::{ProblemKind, Volume};

/// The title of an annotation.
pub(crate) fn title(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Terminated => "Pod ended",
        ProblemKind::Deadline => "Deadline",
        ProblemKind::OutOfMemory => "Out of memory",
        ProblemKind::StorageFull => "Storage full",
        ProblemKind::BuilderEnded => "Builder ended",
    }
}

/// SIGTERM reached the pod at this time of the job. `grace` is how long the job could go on, `None` if it had to end at once.
pub(crate) fn terminated(after: Duration, grace: Option<Duration>) -> String {
    let after = duration(after);
    match grace {
        Some(grace) => format!(
            "SIGTERM asked the pod to end {after} after the job began; the job could go on for {} (grace), and then its step was ended; run the job again, and raise grace and terminationGracePeriodSeconds if jobs need longer",
            duration(grace)
        ),
        None => format!(
            "SIGTERM asked the pod to end {after} after the job began, and the job was ended; run it again"
        ),
    }
}

/// The deadline was over at this time of the job. It counts from the runner's start.
pub(crate) fn deadline(after: Duration, deadline: Duration) -> String {
    format!(
        "the deadline of {} was over {} after the job began, and the job had to end; raise deadline, which counts from the runner's start, or split the job",
        duration(deadline),
        duration(after)
    )
}

/// The builder ended at this time of the job.
pub(crate) fn builder_ended(after: Duration) -> String {
    format!(
        "the builder ended {} after the job began: builds that ran failed, and images that were not pushed are lost; look at `kubectl describe pod` and at `kubectl logs --previous` of the container builder, and raise its limits if they ended it",
        duration(after)
    )
}

/// Whose volume it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Job,
    Builder,
}

/// With less than a hundredth, and less than this in bytes, a volume is full: a larger file did not fit.
const FEW_BYTES: u64 = 64 << 20;
/// With less than a thousandth, and less than this many, a volume has no inodes left.
const FEW_INODES: u64 = 64;

/// Returns the sentence about a full volume. `None` if it is not full.
pub(crate) fn storage_full(volume: &Volume, owner: Owner) -> Option<String> {
    let path = &volume.path;
    let no_bytes = volume.bytes > 0 && volume.free_bytes < (volume.bytes / 100).clamp(1, FEW_BYTES);
    let no_inodes =
        volume.inodes > 0 && volume.free_inodes < (volume.inodes / 1000).clamp(1, FEW_INODES);
    let what = if no_bytes {
        let (free, size) = (bytes(volume.free_bytes), bytes(volume.bytes));
        format!("{path} is full: {free} of {size} are free")
    } else if no_inodes {
        let (free, all) = (volume.free_inodes, volume.inodes);
        format!("{path} has no room for more files: {free} of {all} inodes are free")
    } else {
        return None;
    };
    let remedy = match owner {
        Owner::Job => "remove files in the job, or give the pod a larger volume there",
        Owner::Builder => {
            "remove images in the job with `buildah rmi`, or give the container builder a larger volume there"
        }
    };
    Some(match owner {
        Owner::Job => format!("{what}; {remedy}"),
        Owner::Builder => format!("the builder's {what}; {remedy}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn volume(bytes: (u64, u64), inodes: (u64, u64)) -> Volume {
        Volume {
            path: "/workspace".to_owned(),
            free_bytes: bytes.0,
            bytes: bytes.1,
            free_inodes: inodes.0,
            inodes: inodes.1,
        }
    }

    #[test]
    fn end_of_the_pod_names_both_times() {
        let text = terminated(MINUTE, Some(Duration::from_secs(45)));
        assert!(text.contains("1m after the job began") && text.contains("45s (grace)"));
        assert!(!terminated(MINUTE, None).contains("grace"));
        let text = deadline(MINUTE, 2 * MINUTE);
        assert!(text.starts_with("the deadline of 2m was over 1m after"));
        assert!(builder_ended(MINUTE).contains("1m after the job began"));
    }

    #[test]
    fn full_is_a_volume_into_which_nothing_fits() {
        let full = |bytes, inodes| storage_full(&volume(bytes, inodes), Owner::Job);
        let large = 100 << 30;
        for (bytes, inodes) in [
            ((large / 2, large), (500, 1000)),
            ((65 << 20, large), (500, 1000)),
            // No file system of its own, and one without a fixed number of inodes.
            ((0, 0), (0, 0)),
            ((1 << 30, large), (0, 0)),
            ((2, 100), (1, 1)),
        ] {
            assert_eq!(full(bytes, inodes), None, "{bytes:?} {inodes:?}");
        }
        let expected = "/workspace is full: 63.0 MiB of 100.0 GiB are free; remove files in the job, or give the pod a larger volume there";
        assert_eq!(full((63 << 20, large), (0, 0)).as_deref(), Some(expected));
        assert!(full((0, 4096), (0, 0)).is_some());
        let text = full((large / 2, large), (63, 1_000_000)).unwrap();
        assert!(text.contains("63 of 1000000 inodes are free"), "{text}");
        assert!(full((large / 2, large), (0, 10)).is_some());
    }

    #[test]
    fn builders_volume_has_a_remedy_of_its_own() {
        let text = storage_full(&volume((0, 4096), (0, 0)), Owner::Builder).unwrap();
        assert!(text.starts_with("the builder's /workspace is full"));
        assert!(text.contains("buildah rmi"), "{text}");
    }
}
