//! The runner image's own Buildah, run as root in a container beside a real registry, and `docker` command lines for it.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use supervisor::build::docker::{self, Call, Input, Output, Program, perform};
use support::{podman, root, wait_for};

/// A container of the runner image with a directory that it shares with the test, and a registry on its loopback.
pub(crate) struct Lab {
    directory: tempfile::TempDir,
    name: String,
    registry: Child,
}

pub(crate) const REGISTRY: &str = "localhost:5000";

const MANIFESTS: [&str; 4] = [
    "Accept: application/vnd.oci.image.manifest.v1+json",
    "Accept: application/vnd.oci.image.index.v1+json",
    "Accept: application/vnd.docker.distribution.manifest.v2+json",
    "Accept: application/vnd.docker.distribution.manifest.list.v2+json",
];

/// What a command line led to.
pub(crate) struct Ran {
    pub(crate) code: u8,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Lab {
    pub(crate) fn start() -> Self {
        assert!(is_root(), "needs root: it enters a container's network");
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

    pub(crate) fn inside(&self, command: &[&str]) -> std::process::Output {
        let mut line = vec!["exec", &self.name];
        line.extend(command);
        podman(&line)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A context whose image says who built it.
    pub(crate) fn context(&self, name: &str, containerfile: &str) -> String {
        let directory = self.path(name);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("Dockerfile"), containerfile).unwrap();
        std::fs::write(directory.join("file"), name).unwrap();
        directory.to_string_lossy().into_owned()
    }

    pub(crate) fn run(&self, program: Program, arguments: &[&str]) -> Ran {
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
    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        let ran = self.run(Program::Docker, arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// The digest that the registry has.
    pub(crate) fn digest(&self, name: &str, tag: &str) -> String {
        let address = format!("http://{REGISTRY}/v2/{name}/manifests/{tag}");
        let mut line = vec!["curl", "--silent", "--fail", "--head"];
        for kind in MANIFESTS {
            line.extend(["--header", kind]);
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

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout == b"0\n")
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
