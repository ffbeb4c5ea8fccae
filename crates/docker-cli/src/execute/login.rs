//! Logins of the job: the builder checks them, and the client keeps them where other clients look.

use std::io::{self, Read};
use std::path::Path;

use secret::Secret;

use super::super::plan::{Command, Login, Stdin, Stdout};
use super::{ExecuteError, Executor, SIGNALLED, file_error};

/// The longest password on standard input, in bytes.
const PASSWORD: u64 = 64 * 1024;

impl Executor<'_> {
    /// Returns the exit code of a login that failed.
    pub(super) fn login(&mut self, login: &Login) -> Result<Option<u8>, ExecuteError> {
        let read = || password(io::stdin().lock());
        let password = match &login.password {
            Some(password) => password.clone(),
            None => read().map_err(file_error(Path::new("standard input")))?,
        };
        let command = Command {
            stdin: Stdin::Secret(password.clone()),
            ..login.command.clone()
        };
        let code = self.run(&command)?.code;
        if code != 0 {
            return Ok(Some(code));
        }
        let places = self.credentials.places();
        places.store(&login.registry, &login.user, password.expose())?;
        Ok(None)
    }

    pub(super) fn logout_of_all(&mut self) -> Result<(), ExecuteError> {
        self.run(&Command::new(["logout", "--all"], Stdout::Dropped))?;
        Ok(self.credentials.places().erase_all()?)
    }

    pub(super) fn logout(&mut self, registry: &str, none: &str) -> Result<(), ExecuteError> {
        let logout = Command::new(["logout", registry], Stdout::Dropped);
        let code = self.run(&logout)?.code;
        let erased = self.credentials.places().erase(registry);
        match erased {
            Ok(true) => {}
            Ok(false) if code == 0 || code > SIGNALLED => {}
            Ok(false) => {
                let _ = writeln!(self.stderr, "{none}");
            }
            // As with Docker, a logout that removes nothing is no error.
            Err(error) => {
                let _ = writeln!(self.stderr, "{error}");
            }
        }
        Ok(())
    }
}

/// Reads a password without the newline that `echo` writes.
fn password(from: impl Read) -> io::Result<Secret> {
    let mut text = String::new();
    from.take(PASSWORD).read_to_string(&mut text)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Secret::new(text.strip_suffix('\r').unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::docker;
    use super::*;

    #[test]
    fn one_newline_is_no_part_of_a_password() {
        for (input, expected) in [
            ("p", "p"),
            ("p\n", "p"),
            ("p\r\n", "p"),
            ("p\n\n", "p\n"),
            ("", ""),
        ] {
            assert_eq!(password(input.as_bytes()).unwrap().expose(), expected);
        }
    }

    #[test]
    fn only_a_valid_login_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".docker/config.json");
        let line = ["login", "-u", "u", "-p", "p", "https://r.example/v2/"];
        let done = docker(home.path(), &line, &[("login", 1, "")], &|_| {});
        assert!(done.code == 1 && !file.exists());
        let done = docker(home.path(), &line, &[], &|command| {
            assert_eq!(command.stdin, Stdin::Secret(Secret::new("p")));
        });
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(
            done.lines,
            ["login --username=u --password-stdin r.example"]
        );
        assert!(std::fs::read_to_string(&file).unwrap().contains("dTpw"));
        // The builder may have been started again since.
        for stderr in ["", "docker logout: there is no login for r.example\n"] {
            let done = docker(
                home.path(),
                &["logout", "r.example"],
                &[("logout", 125, "")],
                &|_| {},
            );
            assert_eq!((done.code, done.stderr.as_str()), (0, stderr));
        }
        assert!(!std::fs::read_to_string(&file).unwrap().contains("dTpw"));
    }
}
