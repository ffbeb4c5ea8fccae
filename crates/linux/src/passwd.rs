//! The user database, passwd(5), without the C library.
//!
//! In a static program getpwuid(3) loads shared libraries (nsswitch.conf(5)), of whatever version is installed, and
//! sends requests to daemons. In an image the file is the whole database.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A user of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The login name.
    pub name: String,
    /// The home directory.
    pub home: PathBuf,
}

/// Returns the first user with this uid; `None` if there is no such user or no database.
#[must_use]
pub fn user(uid: u32) -> Option<User> {
    find(&std::fs::read("/etc/passwd").ok()?, uid)
}

fn find(database: &[u8], uid: u32) -> Option<User> {
    let mut users = database.split(|&byte| byte == b'\n').filter_map(parse);
    users
        .find(|&(number, _)| number == uid)
        .map(|(_, user)| user)
}

/// Parses `name:password:uid:gid:comment:home:shell`, with no field missing.
fn parse(line: &[u8]) -> Option<(u32, User)> {
    let fields: Vec<&[u8]> = line.split(|&byte| byte == b':').collect();
    let &[name, _, uid, _, _, home, _] = fields.as_slice() else {
        return None;
    };
    let user = User {
        name: std::str::from_utf8(name).ok()?.to_owned(),
        home: Path::new(OsStr::from_bytes(home)).to_owned(),
    };
    Some((std::str::from_utf8(uid).ok()?.parse().ok()?, user))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(database: &str, uid: u32) -> Option<PathBuf> {
        find(database.as_bytes(), uid).map(|user| user.home)
    }

    #[test]
    fn find_returns_the_first_user_with_the_uid() {
        let database = "root:x:0:0:root:/root:/bin/bash\ntoor:x:0:0::/toor:/bin/sh\n";
        let root = find(database.as_bytes(), 0).unwrap();
        assert_eq!((root.name.as_str(), root.home), ("root", "/root".into()));
        assert_eq!(home(database, 1000), None);
    }

    #[test]
    fn find_ignores_malformed_lines() {
        let database = "# 0:0\n+::::::\nshort:x:5\na:x:-1:0::/a:\nb:x:5:0:::\nc:x:7:0:\u{e9}:/c:";
        assert_eq!(home(database, 5), Some(PathBuf::new()));
        assert_eq!(home(database, 7), Some("/c".into()));
        assert_eq!(home(database, 0), None);
    }

    #[test]
    fn user_agrees_with_getpwuid() {
        for uid in [0, 1, 2, 65534] {
            let theirs = nix::unistd::User::from_uid(uid.into()).unwrap();
            let theirs = theirs.map(|user| (user.name, user.dir));
            assert_eq!(user(uid).map(|user| (user.name, user.home)), theirs);
        }
    }
}
