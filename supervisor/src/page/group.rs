//! What the pod has, as one group of lines in the job's log.

use super::markup::line;
use super::sizes::bytes;
use linux::container_usage::ContainerUsage;
use report::{BuilderReport, Volume};

/// What the pod has when the job begins.
pub(crate) struct PodFacts {
    /// The kernel's release, uname(2).
    pub kernel: String,
    /// The cores that this process may run on.
    pub cores: usize,
    /// Limits of the runner's container.
    pub usage: ContainerUsage,
    /// The job's volumes.
    pub volumes: Vec<Volume>,
    /// What the builder says; `None` without a builder.
    pub builder: Option<BuilderReport>,
}

/// Returns the group as GitHub's runner reads it.
pub(crate) fn group(facts: &PodFacts) -> String {
    let mut text = String::from("::group::What this pod has\n");
    for (name, value) in rows(facts) {
        text += &format!("{name}: {}\n", line(&value));
    }
    text + "::endgroup::"
}

fn rows(facts: &PodFacts) -> Vec<(&'static str, String)> {
    let version = env!("CARGO_PKG_VERSION");
    let mut rows = vec![
        ("supervisor", format!("{version}, Linux {}", facts.kernel)),
        ("cores", cores(facts)),
        ("memory", limit(facts.usage.memory_limit)),
    ];
    rows.extend(
        facts
            .volumes
            .iter()
            .map(|volume| ("storage", space(volume))),
    );
    let Some(builder) = &facts.builder else {
        rows.push(("builder", "none that answers".to_owned()));
        return rows;
    };
    let memory = limit(builder.memory_limit_bytes);
    let mut text = format!("{}, memory {memory}", builder.version);
    if let Some(volume) = &builder.volume {
        text += &format!(", {}", space(volume));
    }
    rows.push(("builder", text));
    let cache = builder.cache.clone();
    rows.push(("cache", cache.unwrap_or_else(|| "none".to_owned())));
    rows
}

fn cores(facts: &PodFacts) -> String {
    let limit = facts.usage.millicores;
    let limit = limit.map(|limit| format!(", limited to {}.{:03}", limit / 1000, limit % 1000));
    format!("{}{}", facts.cores, limit.unwrap_or_default())
}

fn limit(bytes_of_it: Option<u64>) -> String {
    bytes_of_it.map_or_else(|| "without a limit".to_owned(), bytes)
}

fn space(volume: &Volume) -> String {
    let (free, size) = (bytes(volume.free_bytes), bytes(volume.bytes));
    let mut text = format!("{} with {free} of {size} free", volume.path);
    // Some file systems have no fixed number.
    if volume.inodes > 0 {
        text += &format!(", {} inodes free", volume.free_inodes);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(builder: Option<BuilderReport>) -> PodFacts {
        PodFacts {
            kernel: "6.1.0".to_owned(),
            cores: 2,
            usage: ContainerUsage {
                millicores: Some(1500),
                memory_limit: Some(512 << 20),
                ..ContainerUsage::default()
            },
            volumes: vec![Volume {
                path: "/workspace".to_owned(),
                bytes: 10 << 30,
                free_bytes: 1 << 30,
                inodes: 100,
                free_inodes: 50,
            }],
            builder,
        }
    }

    #[test]
    fn group_has_a_line_for_each_part_of_the_pod() {
        let builder = BuilderReport {
            version: "1.2.3".to_owned(),
            cache: Some("registry.example/cache".to_owned()),
            ..BuilderReport::default()
        };
        let text = group(&facts(Some(builder)));
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(
            "::group::What this pod has
supervisor: {version}, Linux 6.1.0
cores: 2, limited to 1.500
memory: 512.0 MiB
storage: /workspace with 1.0 GiB of 10.0 GiB free, 50 inodes free
builder: 1.2.3, memory without a limit
cache: registry.example/cache
::endgroup::"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn values_cannot_end_the_group() {
        let builder = BuilderReport {
            version: "1\n::endgroup::".to_owned(),
            ..BuilderReport::default()
        };
        let text = group(&facts(Some(builder)));
        assert_eq!(text.matches("\n::endgroup::").count(), 1, "{text}");
        assert!(group(&facts(None)).contains("\nbuilder: none that answers\n"));
    }
}
