//! posix_spawn(3), which copies no page table as fork(2) does. The standard library uses it too, but cannot set the
//! child's signal mask.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::null_mut;

use nix::libc::{self, c_char, c_int};

/// The PATH that execvp(3) uses if there is no PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin";
/// The program that runs a script without an interpreter line, execvp(3).
const SHELL: &CStr = c"/bin/sh";

/// A program to start, in its own process group, with an empty signal mask and default dispositions.
#[derive(Debug)]
pub struct Program<'a> {
    /// A path, or a name that is looked up in the PATH of `environment`.
    pub name: &'a OsStr,
    /// The arguments after the name.
    pub arguments: &'a [OsString],
    /// The whole environment.
    pub environment: &'a [(OsString, OsString)],
    /// The working directory.
    pub directory: &'a Path,
    /// The descriptor that becomes stdin; without it stdin is inherited.
    pub stdin: Option<BorrowedFd<'a>>,
    /// Becomes its stdout.
    pub stdout: Option<BorrowedFd<'a>>,
    /// Becomes its stderr.
    pub stderr: Option<BorrowedFd<'a>>,
}

/// Starts the program and returns its pid.
///
/// # Errors
/// As posix_spawn(3), with the errors of execve(2); `EINVAL` for a text with a NUL.
pub fn spawn(program: &Program) -> io::Result<i32> {
    let mut argv = vec![text(program.name)?];
    for argument in program.arguments {
        argv.push(text(argument)?);
    }
    let mut environment = Vec::with_capacity(program.environment.len());
    for (name, value) in program.environment {
        environment.push(text(&[name.as_os_str(), value].join(OsStr::new("=")))?);
    }
    let attributes = Attributes::new()?;
    let mut actions = Actions::new()?;
    for (given, number) in [
        (program.stdin, libc::STDIN_FILENO),
        (program.stdout, libc::STDOUT_FILENO),
        (program.stderr, libc::STDERR_FILENO),
    ] {
        if let Some(given) = given {
            actions.duplicate(given.as_raw_fd(), number)?;
        }
    }
    let directory = File::open(program.directory)?;
    actions.change_directory(&directory)?;

    let start =
        |path: &CStr, argv: &[CString]| execute(path, argv, &environment, &attributes, &actions);
    let mut refused = libc::ENOENT;
    for path in candidates(program)? {
        match start(&path, &argv) {
            Err(libc::ENOEXEC) => {
                let mut shell = vec![SHELL.to_owned(), path];
                shell.extend(argv.drain(..).skip(1));
                return start(SHELL, &shell).map_err(io::Error::from_raw_os_error);
            }
            Err(libc::EACCES) => refused = libc::EACCES,
            Err(libc::ENOENT | libc::ENOTDIR) => {}
            other => return other.map_err(io::Error::from_raw_os_error),
        }
    }
    Err(io::Error::from_raw_os_error(refused))
}

/// Returns the paths that the program may have, in the order of execvp(3).
fn candidates(program: &Program) -> io::Result<Vec<CString>> {
    if program.name.as_bytes().contains(&b'/') {
        return Ok(vec![text(program.name)?]);
    }
    let path = program.environment.iter().find(|(name, _)| name == "PATH");
    let path = path.map_or(OsStr::new(DEFAULT_PATH), |(_, value)| value);
    // Each attempt costs a process, so only existing files are tried, and those in a directory that cannot be searched.
    let is_there = |path: &PathBuf| program.directory.join(path).try_exists().unwrap_or(true);
    std::env::split_paths(path)
        .map(|directory| directory.join(program.name))
        .filter(is_there)
        .map(|path| text(path.as_os_str()))
        .collect()
}

fn text(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

fn execute(
    path: &CStr,
    argv: &[CString],
    environment: &[CString],
    attributes: &Attributes,
    actions: &Actions,
) -> Result<i32, c_int> {
    let pointers = |texts: &[CString]| -> Vec<*mut c_char> {
        let texts = texts.iter().map(|text| text.as_ptr().cast_mut());
        texts.chain([null_mut()]).collect()
    };
    let (argv, environment) = (pointers(argv), pointers(environment));
    let mut pid = 0;
    // SAFETY: all pointers are to values that outlive the call, both lists end with a null pointer, and only `pid` is
    // written.
    check(unsafe {
        libc::posix_spawn(
            &raw mut pid,
            path.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            argv.as_ptr(),
            environment.as_ptr(),
        )
    })?;
    Ok(pid)
}

/// Converts the result of functions that return an errno instead of setting it.
fn check(errno: c_int) -> Result<(), c_int> {
    if errno == 0 { Ok(()) } else { Err(errno) }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn new() -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        let mut mask = MaybeUninit::uninit();
        let mut all = MaybeUninit::uninit();
        let flags = libc::POSIX_SPAWN_SETPGROUP
            | libc::POSIX_SPAWN_SETSIGMASK
            | libc::POSIX_SPAWN_SETSIGDEF;
        // SAFETY: init, sigemptyset and sigfillset fill what the other calls read; no call keeps a pointer.
        let made = unsafe {
            check(libc::posix_spawnattr_init(attributes.as_mut_ptr())).map(|()| {
                let mut attributes = Self(attributes.assume_init());
                libc::sigemptyset(mask.as_mut_ptr());
                libc::sigfillset(all.as_mut_ptr());
                // Group 0 is a new group with the child's pid. These four calls fail only for unknown flags.
                libc::posix_spawnattr_setpgroup(&raw mut attributes.0, 0);
                libc::posix_spawnattr_setsigmask(&raw mut attributes.0, mask.as_ptr());
                // Without this the C library reads each disposition before it sets it.
                libc::posix_spawnattr_setsigdefault(&raw mut attributes.0, all.as_ptr());
                libc::posix_spawnattr_setflags(&raw mut attributes.0, flags as libc::c_short);
                attributes
            })
        };
        made.map_err(io::Error::from_raw_os_error)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: it was initialized and is not used any more.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

struct Actions(libc::posix_spawn_file_actions_t);

// The standard library has a function of this kind that takes a path, as a weak symbol, which a static binary lacks.
unsafe extern "C" {
    fn posix_spawn_file_actions_addfchdir_np(
        actions: *mut libc::posix_spawn_file_actions_t,
        fd: c_int,
    ) -> c_int;
}

impl Actions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: init fills it if it succeeds.
        let made = unsafe {
            check(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))
                .map(|()| Self(actions.assume_init()))
        };
        made.map_err(io::Error::from_raw_os_error)
    }

    fn duplicate(&mut self, from: RawFd, to: RawFd) -> io::Result<()> {
        // SAFETY: it was initialized; numbers are no pointers.
        let added = unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut self.0, from, to) };
        check(added).map_err(io::Error::from_raw_os_error)
    }

    fn change_directory(&mut self, directory: &File) -> io::Result<()> {
        // SAFETY: it was initialized; numbers are no pointers.
        let added = unsafe {
            posix_spawn_file_actions_addfchdir_np(&raw mut self.0, directory.as_raw_fd())
        };
        check(added).map_err(io::Error::from_raw_os_error)
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: it was initialized and is not used any more.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::Pid;

    fn run(name: &str, arguments: &[&str], path: Option<&Path>) -> io::Result<WaitStatus> {
        let arguments: Vec<OsString> = arguments.iter().map(Into::into).collect();
        let environment: Vec<(OsString, OsString)> = path
            .map(|path| ("PATH".into(), path.into()))
            .into_iter()
            .collect();
        let pid = spawn(&Program {
            name: OsStr::new(name),
            arguments: &arguments,
            environment: &environment,
            directory: Path::new("/"),
            stdin: None,
            stdout: None,
            stderr: None,
        })?;
        Ok(waitpid(Pid::from_raw(pid), None).unwrap())
    }

    fn exited(status: io::Result<WaitStatus>) -> i32 {
        match status.unwrap() {
            WaitStatus::Exited(_, code) => code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn spawn_looks_up_names_as_execvp_does() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("script");
        std::fs::write(&file, "exit $1").unwrap();
        let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&file, mode(0o644)).unwrap();
        let refused = run("script", &["3"], Some(directory.path())).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EACCES));
        // A script without an interpreter line runs in the shell.
        std::fs::set_permissions(&file, mode(0o755)).unwrap();
        assert_eq!(exited(run("script", &["3"], Some(directory.path()))), 3);
        assert_eq!(exited(run("sh", &["-c", "exit 4"], None)), 4);
        let missing = run("no-such-program", &[], None).unwrap_err();
        assert_eq!(missing.raw_os_error(), Some(libc::ENOENT));
    }

    #[test]
    fn spawn_rejects_a_missing_directory_and_a_nul() {
        let missing = spawn(&Program {
            name: OsStr::new("/bin/true"),
            arguments: &[],
            environment: &[],
            directory: Path::new("/no/such/directory"),
            stdin: None,
            stdout: None,
            stderr: None,
        });
        assert_eq!(missing.unwrap_err().raw_os_error(), Some(libc::ENOENT));
        let nul = run("a\0b", &[], None).unwrap_err();
        assert_eq!(nul.raw_os_error(), Some(libc::EINVAL));
    }
}
