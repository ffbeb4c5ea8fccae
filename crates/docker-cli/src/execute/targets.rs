//! Reads the files of a definition, and builds its targets.

use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use ::bake::{DEFAULT_FILES, File, Request, Resolved};
use serde_json::{Map, Value};

use super::super::bake::{Place, TargetBuild, builds, dotenv, shown};
use super::super::bake_request::{Action, Bake};
use super::super::image_table::align_tabs;
use super::super::plan::{Command, Plan, Stdout, Step};
use super::super::planner::JobContext;
use super::super::translate::translate;
use super::super::verbs::Program;
use super::place::Shared;
use super::{ExecuteError, Executor, create_private, file_error};

/// The largest file of a definition, in bytes. buildx has the same limit for repositories.
const LARGEST: u64 = 2 << 20;

impl Executor<'_> {
    /// Returns the exit code of the first build that failed.
    pub(super) fn bake(&mut self, bake: &Bake) -> Result<Option<u8>, ExecuteError> {
        let files = read_files(bake)?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let environment = |name: &str| std::env::var(name).ok();
        let project = fs::read_to_string(".env").unwrap_or_default();
        let request = Request {
            files: &files,
            targets: &bake.targets,
            overrides: &bake.overrides,
            variables: &bake.variables,
            builtins: &bake.builtins,
            environment: &environment,
            project: &dotenv(&project),
            now: now.map_or(0, |now| now.as_secs()),
        };
        let remote = bake.remote.as_ref();
        let place: Place<'_> = remote.map(|remote| (&*remote.url, &*remote.directory));
        match &bake.action {
            Action::List { variables, json } => {
                let all = request.definitions()?;
                let text = match (variables, json) {
                    (true, true) => all.variable_json(),
                    (false, true) => all.target_json(),
                    (true, false) => align_tabs(&all.variable_rows()),
                    (false, false) => align_tabs(&all.target_rows()),
                };
                self.print(text.as_bytes())?;
            }
            Action::Print => {
                let mut resolved = request.resolve()?;
                resolved.map_contexts(|context| shown(context, place));
                self.print(resolved.print().as_bytes())?;
            }
            Action::Build { progress, metadata } => {
                let resolved = request.resolve()?;
                let to = metadata.as_deref();
                return self.build_targets(bake, &resolved, place, (progress.as_deref(), to));
            }
        }
        Ok(None)
    }

    /// All command lines are translated before the first build.
    fn build_targets(
        &mut self,
        bake: &Bake,
        resolved: &Resolved,
        place: Place<'_>,
        (progress, metadata): (Option<&str>, Option<&Path>),
    ) -> Result<Option<u8>, ExecuteError> {
        let builds = builds(resolved, place, &bake.scratch, progress)?;
        let mut plans = Vec::new();
        for build in &builds {
            plans.push(plan(build)?);
        }
        let mut result = Ok(None);
        for (build, plan) in builds.iter().zip(&plans) {
            result = self.build_target(build, plan, (&bake.command, builds.len()));
            if !matches!(result, Ok(None)) {
                break;
            }
        }
        // These names are of no use after a failure either.
        for (_, alias) in builds.iter().filter_map(|build| build.link.as_ref()) {
            let remove = Command::new(["rmi", alias], Stdout::Dropped);
            self.run_step(&Step::Try(remove))?;
        }
        if let (Ok(None), Some(path)) = (&result, metadata) {
            write_metadata(&builds, path)?;
        }
        result
    }

    fn build_target(
        &mut self,
        build: &TargetBuild,
        plan: &Plan,
        (command, count): (&str, usize),
    ) -> Result<Option<u8>, ExecuteError> {
        let name = (count > 1).then(|| format!("{command}: target {}", build.name));
        let notice = build.notice.as_ref();
        let notice = notice.map(|notice| format!("{command}: {notice}"));
        let lines = name.iter().chain(&notice).chain(&plan.notices);
        for line in lines {
            let _ = writeln!(self.stderr, "{line}");
        }
        let mut directory = DirBuilder::new();
        let created = directory.mode(0o700).create(&build.scratch);
        created.map_err(file_error(&build.scratch))?;
        if let Some((path, text)) = &build.inline {
            let written = create_private(path);
            let written = written.and_then(|mut file| file.write_all(text.as_bytes()));
            written.map_err(file_error(path))?;
        }
        self.run_steps(&plan.steps)
    }
}

/// Translates the build of a target.
fn plan(build: &TargetBuild) -> Result<Plan, ExecuteError> {
    let shared = Shared::find();
    let job = JobContext {
        scratch: &build.scratch,
        variable: &|name| std::env::var(name).ok(),
        place: &|path| shared.place(path),
    };
    let mut plan = translate(Program::Docker, &build.arguments, job)?;
    if let Some((name, alias)) = build.link.as_ref().filter(|(name, alias)| name != alias) {
        let tag = Command::new(["tag", name, alias], Stdout::Inherited);
        plan.steps.push(Step::Run(tag));
    }
    Ok(plan)
}

/// Writes one object with the metadata of each target.
fn write_metadata(builds: &[TargetBuild], path: &Path) -> Result<(), ExecuteError> {
    let mut all = Map::new();
    for build in builds {
        if let Some(file) = &build.metadata {
            let text = fs::read_to_string(file).map_err(file_error(file))?;
            let value = serde_json::from_str(&text).unwrap_or(Value::Null);
            all.insert(build.name.clone(), value);
        }
    }
    let text = format!("{:#}\n", Value::Object(all));
    fs::write(path, text).map_err(file_error(path))
}

/// Reads the files that the command line names, or those with the default names.
fn read_files(bake: &Bake) -> Result<Vec<File>, ExecuteError> {
    let (of_job, others): (Vec<&String>, Vec<&String>) = bake
        .files
        .iter()
        .partition(|name| name.starts_with("cwd://"));
    let mut names: Vec<(String, PathBuf, bool)> = Vec::new();
    let directory = bake
        .remote
        .as_ref()
        .map(|remote| remote.directory.as_path());
    let within = directory.unwrap_or(Path::new(""));
    if others.is_empty() && (of_job.is_empty() || directory.is_some()) {
        names.extend(DEFAULT_FILES.map(|name| (name.to_owned(), within.join(name), true)));
    }
    names.extend(
        others
            .iter()
            .map(|name| ((*name).clone(), within.join(name), false)),
    );
    names.extend(of_job.iter().map(|name| {
        let path = name.trim_start_matches("cwd://");
        (path.to_owned(), path.into(), false)
    }));
    let mut files = Vec::new();
    for (name, path, optional) in names {
        let text = match name.as_str() {
            "-" => read(&mut io::stdin().lock()),
            _ => fs::File::open(&path).and_then(|mut file| read(&mut file)),
        };
        match text {
            Ok(text) => files.push(File { name, text }),
            Err(error) if optional && error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                let what = format!("{} --file", bake.command);
                return Err(ExecuteError::Unreadable { what, path, source });
            }
        }
    }
    if files.is_empty() {
        return Err(ExecuteError::NoDefinition);
    }
    Ok(files)
}

fn read(from: &mut dyn Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(io::Error::other(format!(
            "it has more than {LARGEST} bytes"
        )));
    }
    Ok(text)
}
