//! Called as `buildah`: the build client.

use std::ffi::OsString;
use std::path::Path;

use supervisor::build::client;
use supervisor::exit;

/// The exit code, where we were called by a name of the client's.
pub(crate) fn by_name(mut arguments: impl Iterator<Item = OsString>) -> Option<u8> {
    let program = arguments.next()?;
    if Path::new(&program).file_name()? != "buildah" {
        return None;
    }
    let arguments: Result<Vec<String>, OsString> = arguments.map(OsString::into_string).collect();
    let code = match arguments {
        Ok(arguments) => client::run(arguments).unwrap_or_else(|error| {
            eprintln!("buildah: {error}");
            exit::STORAGE
        }),
        Err(argument) => {
            eprintln!("buildah: {} is not UTF-8", argument.to_string_lossy());
            exit::USAGE
        }
    };
    Some(code)
}
