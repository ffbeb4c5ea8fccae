//! Whole command lines with a Buildah that gives prepared answers.

use super::super::handover::Place;
use super::*;

/// The answer to the commands that begin with these words: exit code and standard output.
pub(super) type Answer<'a> = (&'a str, u8, &'a str);

/// Records each command line, and answers it. A command without an answer succeeds and prints nothing.
struct Prepared<'a> {
    answers: &'a [Answer<'a>],
    lines: Vec<String>,
    on_run: &'a dyn Fn(&Command),
}

impl Buildah for Prepared<'_> {
    fn run(&mut self, command: &Command) -> io::Result<Exited> {
        let line = command.arguments.join(" ");
        (self.on_run)(command);
        let answer = self
            .answers
            .iter()
            .find(|(words, ..)| line.starts_with(words));
        self.lines.push(line);
        let (code, stdout) = answer.map_or((0, ""), |(_, code, stdout)| (*code, *stdout));
        Ok(Exited {
            code,
            stdout: stdout.as_bytes().to_vec(),
        })
    }
}

/// What a command line did.
pub(super) struct Done {
    pub(super) code: u8,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) lines: Vec<String>,
}

/// Executes a command line of docker's in a directory that is also the home.
pub(super) fn docker(
    directory: &Path,
    line: &[&str],
    answers: &[Answer<'_>],
    on_run: &dyn Fn(&Command),
) -> Done {
    docker_with_home(directory, directory.to_str(), line, answers, on_run)
}

/// Executes it with another home, or without one.
pub(super) fn docker_with_home(
    directory: &Path,
    home: Option<&str>,
    line: &[&str],
    answers: &[Answer<'_>],
    on_run: &dyn Fn(&Command),
) -> Done {
    let scratch = directory.join("scratch");
    let job = JobContext {
        scratch: &scratch,
        variable: &|_| None,
        place: &|_| Place::Shared,
    };
    let arguments: Vec<String> = line.iter().map(|&word| word.to_owned()).collect();
    let plan = translate(Program::Docker, &arguments, job).unwrap();
    let mut buildah = Prepared {
        answers,
        lines: Vec::new(),
        on_run,
    };
    let files = Files {
        scratch: &scratch,
        digests: digests::file(home),
        containers: created::directory(home),
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let code = execute(&plan, &files, &mut buildah, &mut stdout, &mut stderr);
    Done {
        code: code.unwrap_or_else(|error| {
            stderr.extend(error.to_string().into_bytes());
            EXIT_ERROR
        }),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
        lines: buildah.lines,
    }
}

fn nothing(_: &Command) {}

#[test]
fn a_clean_up_without_work_ends_with_0() {
    let home = tempfile::tempdir().unwrap();
    let missing = [("manifest exists", 1, ""), ("inspect", 125, "")];
    let done = docker(home.path(), &["rmi", "-f", "a", "b"], &missing, &nothing);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""));
    assert!(
        done.lines.iter().all(|line| !line.starts_with("rmi")),
        "{:?}",
        done.lines
    );
    assert_eq!(
        done.stderr,
        "docker rmi: no such image: a\ndocker rmi: no such image: b\n"
    );
    let failing = [("logout", 125, ""), ("rmi", 125, ""), ("images", 0, "[]")];
    let done = docker(home.path(), &["logout", "ghcr.io"], &failing, &nothing);
    assert_eq!(done.code, 0);
    assert_eq!(done.stdout, "Removing login credentials for ghcr.io\n");
    assert_eq!(
        done.stderr,
        "docker logout: there is no login for ghcr.io\n"
    );
    for prune in ["image", "system", "builder"] {
        let done = docker(home.path(), &[prune, "prune", "-af"], &failing, &nothing);
        assert_eq!(
            (done.code, done.stdout.as_str()),
            (0, "Total reclaimed space: 0B\n")
        );
    }
    // A build that a signal ended is no clean-up.
    let killed = [("images", 0, "[]"), ("rmi", 137, "")];
    assert_eq!(
        docker(home.path(), &["image", "prune"], &killed, &nothing).code,
        137
    );
}

#[test]
fn a_digest_is_shown_after_the_push_and_is_the_registrys() {
    let home = tempfile::tempdir().unwrap();
    let (id, local, pushed) = ("a".repeat(64), "b".repeat(64), "c".repeat(64));
    let listed = format!(
        r#"[{{"id":"sha256:{id}","names":["ghcr.io/o/app:1"],"digest":"sha256:{local}","size":"1 KB"}}]"#
    );
    let inspected = format!(r#"{{"FromImageID":"{id}","OCIv1":{{}},"Docker":{{}}}}"#);
    let answers = [
        ("manifest exists", 1, ""),
        ("images", 0, listed.as_str()),
        ("inspect", 0, inspected.as_str()),
    ];
    let digests = || {
        let images = ["images", "--digests", "--format", "{{.Digest}}"];
        let inspect = ["inspect", "-f", "{{json .RepoDigests}}", "ghcr.io/o/app:1"];
        let shown = |line: &[&str]| docker(home.path(), line, &answers, &nothing).stdout;
        (shown(&images), shown(&inspect))
    };
    assert_eq!(digests(), ("<none>\n".to_owned(), "[]\n".to_owned()));
    let write_digest = |command: &Command| {
        let file = command
            .arguments
            .iter()
            .find_map(|word| word.strip_prefix("--digestfile="));
        if let Some(file) = file {
            fs::write(file, format!("sha256:{pushed}")).unwrap();
        }
    };
    let done = docker(
        home.path(),
        &["push", "ghcr.io/o/app:1"],
        &answers,
        &write_digest,
    );
    assert_eq!(
        done.stdout,
        format!("1: digest: sha256:{pushed}\n"),
        "{}",
        done.stderr
    );
    assert_eq!(
        digests(),
        (
            format!("sha256:{pushed}\n"),
            format!("[\"ghcr.io/o/app@sha256:{pushed}\"]\n")
        )
    );
}

/// Writes an archive as Buildah does it.
fn write_archive(path: &str, config: &str, names: &str) {
    let mut archive = fs::File::create(path).unwrap();
    tar::write(config, b"{}", &mut archive).unwrap();
    let manifest = format!(r#"[{{"Config":"{config}","RepoTags":{names},"Layers":[]}}]"#);
    tar::write("manifest.json", manifest.as_bytes(), &mut archive).unwrap();
    tar::finish(&mut archive).unwrap();
}

#[test]
fn what_is_saved_is_loaded_under_dockers_names() {
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("two.tar");
    let as_buildah = |command: &Command| {
        let target = command.arguments.last().unwrap();
        if let Some(path) = target
            .strip_prefix("docker-archive:")
            .filter(|_| command.arguments[0] == "push")
        {
            let config = command.arguments[2].replace(':', "");
            write_archive(
                path,
                &config,
                r#"["docker.io/library/a:1","localhost/a:1"]"#,
            );
        }
    };
    let line = ["save", "-o", saved.to_str().unwrap(), "a:1", "r:5000/b:2"];
    let done = docker(directory.path(), &line, &[], &as_buildah);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (0, ""),
        "{}",
        done.stderr
    );
    let ids = [("pull", 0, "ab12\n")];
    let line = ["load", "-i", saved.to_str().unwrap()];
    let done = docker(directory.path(), &line, &ids, &nothing);
    assert_eq!(done.stdout, "Loaded image: a:1\nLoaded image: r:5000/b:2\n");
    let scratch = directory.path().join("scratch/1-image.tar");
    let pull = |index: usize| format!("pull --quiet docker-archive:{}:@{index}", scratch.display());
    assert_eq!(done.lines, [pull(0), pull(1)]);
    assert!(!scratch.exists() && saved.exists());

    write_archive(saved.to_str().unwrap(), "c", "null");
    let done = docker(directory.path(), &line, &ids, &nothing);
    assert_eq!(done.stdout, "Loaded image ID: sha256:ab12\n");
    let failing = [("pull", 125, "")];
    assert_eq!(
        docker(directory.path(), &line, &failing, &nothing).code,
        125
    );
    fs::remove_file(&saved).unwrap();
    let done = docker(directory.path(), &line, &ids, &nothing);
    assert_eq!(done.code, 125);
    let expected = format!("{}: No such file", saved.display());
    assert!(done.stderr.contains(&expected), "{}", done.stderr);
}

#[test]
fn all_tags_of_a_repository_are_pushed() {
    let directory = tempfile::tempdir().unwrap();
    let listed = r#"[{"id":"sha256:ab","names":["r.example/o/app:2","r.example/o/app:1","r.example/o/apple:1"]},
        {"id":"sha256:cd","names":["r.example/o/app@sha256:ef","r.example/o/app:3"]},{"id":"sha256:ef","names":null}]"#;
    let answers = [("manifest exists", 1, ""), ("images", 0, listed)];
    let line = ["push", "-aq", "r.example/o/app"];
    let done = docker(directory.path(), &line, &answers, &nothing);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let pushed: Vec<&str> = done
        .lines
        .iter()
        .filter_map(|line| line.rsplit_once(" docker://"))
        .map(|(_, target)| target)
        .collect();
    assert_eq!(
        pushed,
        [
            "r.example/o/app:1",
            "r.example/o/app:2",
            "r.example/o/app:3"
        ]
    );
    assert_eq!(done.stdout.lines().count(), 3);
    let done = docker(
        directory.path(),
        &["push", "-a", "other"],
        &answers,
        &nothing,
    );
    assert_eq!(done.code, 1);
    assert!(
        done.stderr
            .contains("does not exist locally with the tag: other")
    );
    let failing = [("push", 125, ""), answers[0], answers[1]];
    assert_eq!(
        docker(directory.path(), &line, &failing, &nothing).code,
        125
    );
}
