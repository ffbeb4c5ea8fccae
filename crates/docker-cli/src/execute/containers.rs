//! The containers of `docker create`: names for images, of which `docker cp` copies files. Each is a file in the job's home.

use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use super::super::plan::{Command, CopyOfFiles, Stdout};
use super::super::planner::text;
use super::{ExecuteError, Executor, create_private, file_error};

/// One container.
struct Container {
    file: PathBuf,
    id: String,
    name: String,
    image: String,
}

impl Executor<'_> {
    fn containers(&self) -> Vec<Container> {
        let entries = self.containers.as_deref().map(fs::read_dir);
        let entries = entries.and_then(Result::ok).into_iter().flatten().flatten();
        let read = |entry: fs::DirEntry| {
            let content = fs::read_to_string(entry.path()).ok()?;
            let (name, image) = content.trim_end().split_once('\n')?;
            Some(Container {
                file: entry.path(),
                id: entry.file_name().into_string().ok()?,
                name: name.to_owned(),
                image: image.to_owned(),
            })
        };
        entries.filter_map(read).collect()
    }

    /// Finds a container by its name, or by the beginning of its ID.
    fn container(&self, wanted: &str) -> Option<Container> {
        let mut all = self.containers();
        let named = all
            .iter()
            .position(|one| !one.name.is_empty() && one.name == wanted);
        let found = named.or_else(|| {
            let mut begun =
                (0..all.len()).filter(|at| !wanted.is_empty() && all[*at].id.starts_with(wanted));
            begun.next().filter(|_| begun.next().is_none())
        });
        found.map(|at| all.swap_remove(at))
    }

    /// Gives an image a new ID, and prints it.
    pub(super) fn create_container(
        &mut self,
        image: &str,
        name: Option<&str>,
    ) -> Result<Option<u8>, ExecuteError> {
        if let Some(name) = name.filter(|name| self.container(name).is_some()) {
            let _ = writeln!(
                self.stderr,
                "Conflict. The container name \"/{name}\" is already in use"
            );
            return Ok(Some(1));
        }
        let directory = self.containers.clone().ok_or(ExecuteError::NoHome)?;
        let id = random_id().map_err(file_error(Path::new("/dev/urandom")))?;
        let file = directory.join(&id);
        let content = format!("{}\n{image}\n", name.unwrap_or_default());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .and_then(|()| create_private(&file))
            .and_then(|mut file| file.write_all(content.as_bytes()))
            .map_err(file_error(&file))?;
        self.print(format!("{id}\n").as_bytes())?;
        Ok(None)
    }

    /// Removes containers, and prints their names. A missing container is an error without `force`.
    pub(super) fn remove_containers(
        &mut self,
        names: &[String],
        force: bool,
    ) -> Result<Option<u8>, ExecuteError> {
        let mut missing = false;
        for name in names {
            if let Some(found) = self.container(name) {
                fs::remove_file(&found.file).map_err(file_error(&found.file))?;
                self.print(format!("{name}\n").as_bytes())?;
            } else {
                missing = true;
                let _ = writeln!(
                    self.stderr,
                    "No such container: {name}; only docker create makes one here"
                );
            }
        }
        Ok((missing && !force).then_some(1))
    }

    /// Copies a path of a container's image to a place of the job. A build writes it into the scratch directory first.
    pub(super) fn copy_files(&mut self, copy: &CopyOfFiles) -> Result<Option<u8>, ExecuteError> {
        let Some(container) = self.container(&copy.container) else {
            let _ = writeln!(
                self.stderr,
                "No such container: {}; only docker create makes one here",
                copy.container
            );
            return Ok(Some(1));
        };
        let directory = copy.directory.as_path();
        let context = directory.join("context");
        let path = format!("/{}", copy.path.trim_start_matches('/'));
        let instruction = format!(
            "FROM scratch\nCOPY --from={} [\"{path}\",\"/copy\"]\n",
            container.image
        );
        let file = context.join("Dockerfile");
        fs::create_dir_all(&context)
            .and_then(|()| fs::write(&file, instruction))
            .map_err(file_error(&file))?;
        let (out, iid) = (directory.join("out"), directory.join("iid"));
        let build = [
            "build".to_owned(),
            "--quiet".into(),
            "--layers=false".into(),
            "--force-rm".into(),
            format!("--iidfile={}", text(&iid)),
            format!("--output=type=local,dest={}", text(&out)),
            format!("--file={}", text(&file)),
            text(&context),
        ];
        let code = self.run(&Command::new(build, Stdout::Captured))?.code;
        if code != 0 {
            return Ok(Some(code));
        }
        if let Ok(id) = fs::read_to_string(&iid) {
            self.run(&Command::new(["rmi", id.trim()], Stdout::Dropped))?;
        }
        self.place(&copy.path, &out.join("copy"), &copy.to)
    }

    /// Puts the copied file or directory where `docker cp` does. Source: <https://docs.docker.com/reference/cli/docker/container/cp/>.
    fn place(&mut self, source: &str, copied: &Path, to: &str) -> Result<Option<u8>, ExecuteError> {
        let name = Path::new(source).file_name();
        // The root directory has no name.
        let base = name.unwrap_or(".".as_ref());
        if to == "-" {
            let directory = match (name, copied.parent()) {
                (Some(name), Some(parent)) => {
                    fs::rename(copied, parent.join(name)).map_err(file_error(copied))?;
                    parent
                }
                _ => copied,
            };
            let mut tar = Process::new("tar");
            tar.arg("-C").arg(directory);
            tar.args(["-cf", "-", "--"]).arg(base);
            let output = tar
                .stderr(Stdio::inherit())
                .output()
                .map_err(file_error(Path::new("tar")))?;
            self.print(&output.stdout)?;
            return Ok((!output.status.success()).then_some(1));
        }
        let target = match target(source, copied.is_dir(), base.as_ref(), Path::new(to)) {
            Ok(target) => target,
            Err(why) => {
                let _ = writeln!(self.stderr, "docker cp: {to}: {why}");
                return Ok(Some(1));
            }
        };
        let mut cp = Process::new("cp");
        cp.args(["-RPT", "--preserve=mode,timestamps,links", "--"])
            .arg(copied)
            .arg(&target);
        let status = cp.status().map_err(file_error(Path::new("cp")))?;
        Ok((!status.success()).then_some(1))
    }
}

/// Returns the path that the copied file or directory gets.
fn target(
    source: &str,
    is_directory: bool,
    base: &Path,
    to: &Path,
) -> Result<PathBuf, &'static str> {
    let ends_with_slash = to.as_os_str().as_encoded_bytes().ends_with(b"/");
    // `DIRECTORY/.` means its content.
    let content = is_directory
        && (source.ends_with("/.") || source.ends_with('/') && source.trim_matches('/').is_empty());
    match (to.is_dir(), is_directory) {
        (true, _) if content => Ok(to.to_owned()),
        (true, _) => Ok(to.join(base)),
        (false, true) if to.exists() => Err("it is a file, and the source is a directory"),
        (false, false) if ends_with_slash => Err("no such directory"),
        (false, _) => Ok(to.to_owned()),
    }
}

/// Returns 64 hexadecimal digits.
fn random_id() -> io::Result<String> {
    let mut bytes = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Done, docker, docker_with_home};
    use super::*;

    /// Does what the build does: writes what was copied into the directory of its output.
    fn build(command: &Command) {
        let flag = |name: &str| {
            command
                .arguments
                .iter()
                .find_map(|word| word.strip_prefix(name))
        };
        let Some(out) = flag("--output=type=local,dest=") else {
            return;
        };
        let file = fs::read_to_string(flag("--file=").unwrap()).unwrap();
        let copied = Path::new(out).join("copy");
        let directories = ["/etc/app", "/etc/app/.", "/"];
        if directories
            .iter()
            .any(|path| file.contains(&format!("[\"{path}\",\"/copy\"]")))
        {
            fs::create_dir_all(copied.join("sub")).unwrap();
            fs::write(copied.join("sub/f"), "in a directory").unwrap();
        } else {
            fs::create_dir_all(out).unwrap();
            fs::write(copied, file).unwrap();
        }
        fs::write(flag("--iidfile=").unwrap(), "sha256:ab").unwrap();
    }

    #[test]
    fn a_file_leaves_an_image() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
        let run = |line: &[&str]| -> Done { docker(home.path(), line, &[], &build) };
        let id = run(&["create", "--name", "c", "app:1", "sh", "-c", "x"]).stdout;
        assert!(id.len() == 65 && id.ends_with('\n'), "{id}");
        assert_eq!(run(&["create", "--name", "c", "app:1"]).code, 1);
        let id = id.trim();
        let done = run(&["cp", &format!("{id}:/run.sh"), &at("got")]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(
            fs::read_to_string(at("got")).unwrap(),
            "FROM scratch\nCOPY --from=app:1 [\"/run.sh\",\"/copy\"]\n"
        );
        assert!(
            done.lines.iter().any(|line| line == "rmi sha256:ab"),
            "{:?}",
            done.lines
        );
        fs::create_dir(at("there")).unwrap();
        assert_eq!(
            run(&["cp", &format!("{}:run.sh", &id[..12]), &at("there")]).code,
            0
        );
        assert_eq!(run(&["cp", "c:/etc/app", &at("there")]).code, 0);
        assert_eq!(run(&["cp", "c:/etc/app", &at("new")]).code, 0);
        assert_eq!(run(&["cp", "c:/etc/app/.", &at("there")]).code, 0);
        for name in [
            "there/run.sh",
            "there/app/sub/f",
            "new/sub/f",
            "there/sub/f",
        ] {
            assert!(home.path().join(name).is_file(), "{name}");
        }
        assert_eq!(run(&["cp", "c:/run.sh", &at("none/")]).code, 1);
        assert_eq!(run(&["cp", "c:/etc/app", &at("got")]).code, 1);
        assert!(
            run(&["cp", "c:/run.sh", "-"])
                .stdout
                .starts_with("run.sh\0")
        );
        let removed = run(&["rm", "-v", id]);
        assert_eq!((removed.code, removed.stdout.trim()), (0, id));
        for (line, code) in [
            (vec!["rm", id], 1),
            (vec!["rm", "-f", id], 0),
            (vec!["cp", "c:/x", "y"], 1),
        ] {
            let done = run(&line);
            assert_eq!(done.code, code, "{line:?}");
            assert!(
                done.stderr.contains("No such container: "),
                "{}",
                done.stderr
            );
        }
    }

    #[test]
    fn the_root_directory_has_relative_names_in_an_archive() {
        let home = tempfile::tempdir().unwrap();
        let run = |line: &[&str]| -> Done { docker(home.path(), line, &[], &build) };
        assert_eq!(run(&["create", "--name", "c", "app:1"]).code, 0);
        let done = run(&["cp", "c:/", "-"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stdout.starts_with("./\0"), "{}", done.stdout);
        assert!(done.stdout.contains("./sub/f\0"), "{}", done.stdout);
        let scratch = home.path().to_str().unwrap();
        assert!(!done.stdout.contains(&scratch[1..]), "{}", done.stdout);
    }

    #[test]
    fn create_without_a_home_names_the_variable() {
        let directory = tempfile::tempdir().unwrap();
        let line = ["create", "app:1"];
        let done = docker_with_home(directory.path(), None, &line, &[], &build);
        assert_eq!(done.code, 125);
        assert!(done.stderr.contains("set HOME"), "{}", done.stderr);
    }
}
