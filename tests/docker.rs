//! `docker` command lines, carried out by the runner image's own Buildah against a real registry.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use supervisor::build::docker::{self, Call, Input, Output, Program, perform};
use support::{podman, root, wait_for};

/// A container of the runner image with a directory that it shares with the test, and a registry on its loopback.
struct Lab {
    directory: tempfile::TempDir,
    name: String,
    registry: Child,
}

const REGISTRY: &str = "localhost:5000";

/// What a command line led to.
struct Ran {
    code: u8,
    stdout: String,
    stderr: String,
}

impl Lab {
    fn start() -> Self {
        assert!(nix_root(), "needs root: it enters a container's network");
        let directory = tempfile::tempdir().unwrap();
        let name = directory.path().file_name().unwrap().to_string_lossy();
        let name = format!("test-docker-{}", name.trim_start_matches('.'));
        let path = directory.path().to_string_lossy().into_owned();
        std::fs::write(
            directory.path().join("registries.conf"),
            format!("[[registry]]\nlocation = \"{REGISTRY}\"\ninsecure = true\n"),
        )
        .unwrap();
        std::fs::write(
            directory.path().join("policy.json"),
            r#"{"default":[{"type":"insecureAcceptAnything"}]}"#,
        )
        .unwrap();
        std::fs::create_dir(directory.path().join("home")).unwrap();
        let image = std::env::var("RUNNER_IMAGE")
            .expect("RUNNER_IMAGE is not set: run these tests with scripts/test.sh");
        // Buildah's isolation is not what is tried here.
        let script = "source scripts/lib.sh; engine_options; engine run --detach --name \"$1\" \"${LIMIT_FLAGS[@]}\" --privileged \
            --user 0:0 --network none --volume \"$2:$2\" --entrypoint sleep \"$3\" infinity";
        let started = Command::new("bash")
            .args(["-c", script, "bash", &name, &path, &image])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(
            started.status.success(),
            "{}",
            String::from_utf8_lossy(&started.stderr)
        );
        let pid = podman(&["inspect", "--format", "{{.State.Pid}}", &name]);
        let network = format!(
            "--net=/proc/{}/ns/net",
            String::from_utf8_lossy(&pid.stdout).trim()
        );
        let settings = directory.path().join("registry.yml");
        std::fs::write(&settings, format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: {path}/registry\nhttp:\n  addr: {REGISTRY}\n"
        )).unwrap();
        let registry = Command::new("nsenter")
            .args([&network, "docker-registry", "serve"])
            .arg(&settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lab = Self {
            directory,
            name,
            registry,
        };
        wait_for("the registry", || {
            lab.inside(&[
                "curl",
                "--silent",
                "--fail",
                &format!("http://{REGISTRY}/v2/"),
            ])
            .status
            .success()
            .then_some(())
        });
        lab
    }

    fn inside(&self, command: &[&str]) -> std::process::Output {
        let mut line = vec!["exec", &self.name];
        line.extend(command);
        podman(&line)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A context whose image says who built it.
    fn context(&self, name: &str, containerfile: &str) -> String {
        let directory = self.path(name);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("Dockerfile"), containerfile).unwrap();
        std::fs::write(directory.join("file"), name).unwrap();
        directory.to_string_lossy().into_owned()
    }

    fn run(&self, program: Program, arguments: &[&str]) -> Ran {
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        let scratch = self.path("scratch");
        let variable = |name: &str| (name == "TOKEN").then(|| "hunter2".to_owned());
        let call = Call {
            scratch: &scratch,
            variable: &variable,
        };
        let plan = docker::translate(program, &arguments, call).unwrap();
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut builder = Inside {
            lab: self,
            said: Vec::new(),
            errors: Vec::new(),
        };
        let code =
            perform::perform(&plan, &scratch, &mut builder, &mut stdout, &mut stderr).unwrap();
        assert!(!scratch.exists(), "{}", scratch.display());
        let mut all = builder.said;
        all.extend(stdout);
        stderr.extend(builder.errors);
        Ran {
            code,
            stdout: String::from_utf8_lossy(&all).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }

    /// What a successful `docker` prints.
    fn docker(&self, arguments: &[&str]) -> String {
        let ran = self.run(Program::Docker, arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// The digest that the registry has.
    fn digest(&self, name: &str, tag: &str) -> String {
        let address = format!("http://{REGISTRY}/v2/{name}/manifests/{tag}");
        let mut line = vec!["curl", "--silent", "--fail", "--head"];
        let accepted: Vec<String> = [
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.oci.image.index.v1+json",
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.distribution.manifest.list.v2+json",
        ]
        .map(|kind| format!("--header=Accept: {kind}"))
        .into();
        let accepted: Vec<String> = accepted
            .iter()
            .map(|flag| flag.replace("--header=", ""))
            .collect();
        for kind in &accepted {
            line.extend(["--header", kind.as_str()]);
        }
        line.push(&address);
        let output = self.inside(&line);
        let head = String::from_utf8_lossy(&output.stdout).to_lowercase();
        let line = head
            .lines()
            .find_map(|line| line.strip_prefix("docker-content-digest: "));
        line.unwrap_or_else(|| panic!("{name}:{tag} is not in the registry: {head}"))
            .trim()
            .to_owned()
    }
}

fn nix_root() -> bool {
    std::fs::read_link("/proc/self/exe").is_ok()
        && Command::new("id")
            .arg("-u")
            .output()
            .is_ok_and(|output| output.stdout == b"0\n")
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.registry.kill();
        let _ = self.registry.wait();
        let _ = podman(&["rm", "--force", "--time", "0", &self.name]);
    }
}

/// Buildah in the lab's container.
struct Inside<'a> {
    lab: &'a Lab,
    said: Vec<u8>,
    errors: Vec<u8>,
}

impl perform::Builder for Inside<'_> {
    fn run(&mut self, command: &docker::Command) -> io::Result<perform::Ended> {
        let at = |name: &str| self.lab.path(name).to_string_lossy().into_owned();
        let variables = [
            format!("HOME={}", at("home")),
            format!("CONTAINERS_REGISTRIES_CONF={}", at("registries.conf")),
            "STORAGE_DRIVER=vfs".to_owned(),
            "BUILDAH_ISOLATION=chroot".to_owned(),
        ];
        let script = "source scripts/lib.sh; engine_options; engine exec --interactive \"$@\"";
        let mut line = Command::new("bash");
        line.args(["-c", script, "bash"]);
        for variable in &variables {
            line.args(["--env", variable]);
        }
        line.args([
            self.lab.name.as_str(),
            "buildah",
            "--root",
            &at("storage"),
            "--runroot",
            &at("runroot"),
        ]);
        line.args(&command.arguments).current_dir(root());
        // `buildah manifest` does not heed what registries.conf says of insecure registries.
        if command.arguments[0] == "manifest"
            && ["create", "inspect", "push"].contains(&command.arguments[1].as_str())
        {
            line.arg("--tls-verify=false");
        }
        let mut child = line
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let (Some(mut input), Input::Hidden(hidden)) = (child.stdin.take(), &command.input) {
            io::Write::write_all(&mut input, hidden.reveal().as_bytes())?;
        }
        let output = child.wait_with_output()?;
        match command.output {
            Output::Job => self.said.extend(&output.stdout),
            Output::Captured | Output::Dropped => {}
        }
        if command.output != Output::Dropped {
            self.errors.extend(&output.stderr);
        }
        Ok(perform::Ended {
            code: u8::try_from(output.status.code().unwrap_or(255)).unwrap_or(255),
            output: if command.output == Output::Captured {
                output.stdout
            } else {
                Vec::new()
            },
        })
    }
}

const SMALL: &str =
    "FROM scratch\nARG WHO\nLABEL who=$WHO\nCOPY file /file\nHEALTHCHECK CMD /file\n";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn every_flag_that_is_emitted_exists_in_the_runner_images_buildah() {
    let lab = Lab::start();
    let list =
        std::fs::read_to_string(root().join("supervisor/src/build/docker/buildah.flags")).unwrap();
    let mut help = std::collections::BTreeMap::new();
    let mut looked_at = 0;
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let (verb, flag) = line.split_once(" --").unwrap();
        let text = help.entry(verb).or_insert_with(|| {
            let mut words = vec!["buildah"];
            words.extend(verb.split(' '));
            words.push("--help");
            let output = lab.inside(&words);
            String::from_utf8_lossy(&output.stdout).into_owned()
        });
        let known = text.lines().any(|line| {
            let flags = line.split_whitespace().take(2);
            flags.into_iter().any(|word| word == format!("--{flag}"))
        });
        assert!(known, "buildah {verb} has no --{flag}: {text}");
        looked_at += 1;
    }
    assert!(looked_at > 200);
}

#[test]
fn an_image_is_built_pushed_described_and_removed() {
    let lab = Lab::start();
    let context = lab.context("one", SMALL);
    let (iid, metadata) = (lab.path("iid.txt"), lab.path("metadata.json"));
    let (name, again) = (
        format!("{REGISTRY}/team/app:1"),
        format!("{REGISTRY}/team/app:2"),
    );
    lab.docker(&[
        "buildx",
        "build",
        "--build-arg",
        "WHO=me",
        "--iidfile",
        iid.to_str().unwrap(),
        "--tag",
        &name,
        "--tag",
        &again,
        "--metadata-file",
        metadata.to_str().unwrap(),
        "--push",
        &context,
    ]);
    let id = std::fs::read_to_string(&iid).unwrap();
    let metadata = json(&std::fs::read_to_string(&metadata).unwrap());
    assert_eq!(metadata["containerimage.config.digest"], id.trim());
    assert_eq!(
        metadata["containerimage.digest"],
        lab.digest("team/app", "1")
    );
    assert_eq!(lab.digest("team/app", "1"), lab.digest("team/app", "2"));
    assert_eq!(metadata["image.name"], format!("{name},{again}"));

    assert_eq!(
        lab.docker(&["inspect", "-f", "{{.Id}} {{.Config.Labels.who}}", &name]),
        format!("{} me\n", id.trim())
    );
    assert_eq!(
        json(&lab.docker(&["inspect", &name]))[0]["Config"]["Healthcheck"]["Test"][1],
        "/file"
    );
    assert_eq!(
        lab.docker(&["images", "-q", "--no-trunc", &name]).trim(),
        id.trim()
    );
    assert_eq!(lab.docker(&["images", "-q", "nothing-of-this-name"]), "");
    let pushed = lab.docker(&["push", &name]);
    assert_eq!(
        pushed.lines().last().unwrap(),
        format!("1: digest: {}", lab.digest("team/app", "1"))
    );
    assert_eq!(
        lab.run(Program::Podman, &["image", "exists", &name]).code,
        0
    );
    lab.docker(&["rmi", &name, &again]);
    assert_eq!(
        lab.run(Program::Podman, &["image", "exists", &name]).code,
        1
    );
    lab.docker(&["pull", "--quiet", &name]);
    assert_eq!(
        lab.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", &name]),
        format!("{name}\n")
    );
    let inspected = json(&lab.docker(&["buildx", "imagetools", "inspect", "--raw", &name]));
    assert_eq!(inspected["config"]["digest"], id.trim());
}

#[test]
fn several_platforms_become_a_list_that_can_be_pushed_again() {
    let lab = Lab::start();
    let context = lab.context("many", SMALL);
    let metadata = lab.path("metadata.json");
    let name = format!("{REGISTRY}/team/many:1");
    lab.docker(&[
        "build",
        "--platform",
        "linux/amd64,linux/arm64",
        "-t",
        &name,
        "--metadata-file",
        metadata.to_str().unwrap(),
        "--push",
        &context,
    ]);
    let metadata = json(&std::fs::read_to_string(&metadata).unwrap());
    let first = lab.digest("team/many", "1");
    assert_eq!(metadata["containerimage.digest"], first);
    let platforms = |name: &str| {
        let list = json(&lab.docker(&["manifest", "inspect", name]));
        let all = list["manifests"].as_array().unwrap().iter();
        all.map(|one| one["platform"]["architecture"].as_str().unwrap().to_owned())
            .collect::<std::collections::BTreeSet<_>>()
    };
    let both = ["amd64", "arm64"].map(str::to_owned).into();
    assert_eq!(platforms(&name), both);
    // A second build replaces the list, and does not add to it.
    lab.docker(&[
        "build",
        "--platform",
        "linux/amd64,linux/arm64",
        "-t",
        &name,
        &context,
    ]);
    assert_eq!(platforms(&name).len(), 2);
    let other = format!("{REGISTRY}/team/many:2");
    lab.docker(&["tag", &name, &other]);
    lab.docker(&["push", &other]);
    lab.docker(&["rmi", &name, &other]);
    assert_eq!(platforms(&other), both);
    let third = format!("{REGISTRY}/team/many:3");
    lab.docker(&["buildx", "imagetools", "create", "-t", &third, &other]);
    assert_eq!(platforms(&third), both);
    assert!(
        !lab.docker(&["images"]).contains("docker-scratch"),
        "{}",
        lab.docker(&["images"])
    );
}

#[test]
fn secrets_archives_and_standard_streams() {
    let lab = Lab::start();
    let context = lab.context("secret", "FROM scratch\nCOPY file /file\n");
    let archive = lab.path("saved.tar");
    let id = lab.docker(&[
        "build",
        "-q",
        "-t",
        "app:v1",
        "--secret",
        "id=t,env=TOKEN",
        &context,
    ]);
    assert!(id.starts_with("sha256:") && id.len() == 72, "{id}");
    lab.docker(&["save", "-o", archive.to_str().unwrap(), "app:v1"]);
    lab.docker(&["rmi", "app:v1"]);
    let loaded = lab.docker(&["load", "-i", archive.to_str().unwrap()]);
    assert!(loaded.starts_with("Loaded image from "), "{loaded}");
    assert_eq!(lab.docker(&["images", "-q", "--no-trunc", "app:v1"]), id);
    let files = lab.path("files");
    lab.docker(&["build", "-o", files.to_str().unwrap(), &context]);
    assert_eq!(
        std::fs::read_to_string(files.join("file")).unwrap(),
        "secret"
    );
    let layout = lab.path("layout.tar");
    lab.docker(&[
        "buildx",
        "build",
        "--output",
        &format!("type=oci,dest={}", layout.display()),
        &context,
    ]);
    assert!(Path::new(&layout).metadata().unwrap().len() > 1000);
    assert!(
        lab.docker(&["version", "--format", "{{.Server.Version}}"])
            .starts_with("1.")
    );
    assert_eq!(
        lab.docker(&["info", "--format", "{{.OSType}} {{.Images}}"])
            .split(' ')
            .next(),
        Some("linux")
    );
    let failed = lab.run(Program::Docker, &["build", "-f", "/nowhere", &context]);
    assert_ne!(failed.code, 0);
    assert!(failed.stderr.contains("/nowhere"), "{}", failed.stderr);
}
