//! The summary of a job on its page, in Markdown.

use std::time::Duration;

use super::markup::{self, code};
use super::sizes::{bytes, duration};
use super::words;
use linux::container_usage::ContainerUsage;
use report::{BuilderReport, Image, Problem, Volume};

/// What is known of a job when its steps are done.
#[derive(Default)]
pub(crate) struct JobFacts {
    /// How long its steps took.
    pub duration: Option<Duration>,
    /// The usage of the runner's container.
    pub usage: ContainerUsage,
    /// The job's volumes.
    pub volumes: Vec<Volume>,
    /// What the builder says; `None` without a builder.
    pub builder: Option<BuilderReport>,
    /// What ended the job or got in its way.
    pub problems: Vec<Problem>,
}

/// Returns the summary. Empty if nothing is known.
pub(crate) fn summary(facts: &JobFacts) -> String {
    let mut text = String::from("\n### The pod of this job\n\n");
    for problem in &facts.problems {
        let title = words::title(problem.kind);
        text += &format!("- **{title}**: {}\n", markup::words(&problem.message));
    }
    if !facts.problems.is_empty() {
        text += "\n";
    }
    if let Some(time) = facts.duration {
        text += &format!("Duration: {}\n\n", duration(time));
    }
    text += &containers(facts);
    if let Some(builder) = &facts.builder {
        text += &images(builder);
    }
    text
}

/// A table with a row for each container.
fn containers(facts: &JobFacts) -> String {
    let mut text = String::from(
        "| container | peak memory, with page cache | limit | written to disks | storage |\n|---|---|---|---|---|\n",
    );
    let usage = &facts.usage;
    let memory = (usage.memory_peak, usage.memory_limit);
    text += &row("runner", memory, usage.written, &facts.volumes);
    if let Some(builder) = &facts.builder {
        let memory = (builder.memory_peak_bytes, builder.memory_limit_bytes);
        let volumes = builder.volume.as_slice();
        text += &row("builder", memory, builder.written_bytes, volumes);
    }
    text + "\n"
}

fn row(
    name: &str,
    (peak, limit): (Option<u64>, Option<u64>),
    written: Option<u64>,
    volumes: &[Volume],
) -> String {
    let known = |count: Option<u64>, otherwise: &str| count.map_or(otherwise.to_owned(), bytes);
    let storage: Vec<String> = volumes.iter().map(space).collect();
    format!(
        "| {name} | {} | {} | {} | {} |\n",
        known(peak, "not known"),
        known(limit, "none"),
        known(written, "not known"),
        storage.join("<br>")
    )
}

fn space(volume: &Volume) -> String {
    let used = volume.bytes.saturating_sub(volume.free_bytes);
    let (used, size) = (bytes(used), bytes(volume.bytes));
    format!("{} {used} of {size}", code(&volume.path))
}

fn images(builder: &BuilderReport) -> String {
    let BuilderReport {
        builds,
        failed_builds,
        pushes,
        ..
    } = builder;
    if builds + failed_builds + pushes == 0 {
        return String::new();
    }
    let mut text = format!("Builds: {builds}, failed: {failed_builds}, pushes: {pushes}\n\n");
    for image in &builder.pushed {
        text += &format!("- pushed {}\n", named(image));
    }
    let is_pushed = |image: &&Image| builder.pushed.iter().any(|other| other.name == image.name);
    for image in builder.built.iter().filter(|image| !is_pushed(image)) {
        text += &format!("- built {}\n", named(image));
    }
    text
}

fn named(image: &Image) -> String {
    let digest = image.digest.as_deref().map(code);
    let digest = digest.map(|digest| format!(", {digest}"));
    format!("{}{}", code(&image.name), digest.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use report::ProblemKind;

    fn image(name: &str, digest: Option<&str>) -> Image {
        Image {
            name: name.to_owned(),
            digest: digest.map(str::to_owned),
        }
    }

    fn builder() -> BuilderReport {
        BuilderReport {
            builds: 2,
            pushes: 1,
            built: vec![image("r/a:1", None), image("local", None)],
            pushed: vec![image("r/a:1", Some("sha256:0"))],
            memory_peak_bytes: Some(1 << 30),
            memory_limit_bytes: Some(2 << 30),
            written_bytes: Some(3 << 20),
            ..BuilderReport::default()
        }
    }

    #[test]
    fn summary_has_time_containers_and_images() {
        let facts = JobFacts {
            duration: Some(Duration::from_secs(62)),
            builder: Some(builder()),
            ..JobFacts::default()
        };
        let text = summary(&facts);
        for part in [
            "Duration: 1m 2s\n",
            "| runner | not known | none | not known |  |\n",
            "| builder | 1.0 GiB | 2.0 GiB | 3.0 MiB |  |\n",
            "Builds: 2, failed: 0, pushes: 1\n",
            "- pushed `r/a:1`, `sha256:0`\n- built `local`\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn names_of_a_hostile_job_are_only_text() {
        let message = "x | <img src=y>\n# Title `z`".to_owned();
        let kind = ProblemKind::OutOfMemory;
        let mut builder = builder();
        builder.built = vec![image("a`<b>|\n- c", None)];
        let facts = JobFacts {
            problems: vec![Problem { kind, message }],
            builder: Some(builder),
            ..JobFacts::default()
        };
        let text = summary(&facts);
        let problem = r"- **Out of memory**: x \| \<img src\=y\>\?\# Title \`z\`";
        assert!(text.contains(problem), "{text}");
        assert!(text.contains("- built `a'<b>\\|?- c`\n"), "{text}");
    }
}
