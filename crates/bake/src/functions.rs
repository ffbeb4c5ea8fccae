//! The functions of the standard library.

mod collections;
pub(crate) mod encoding;
mod function;
mod numbers;
mod patterns;
mod printf;
mod sets;
mod text;
mod times;

use function::Function;

use crate::error::BakeError;

const TABLES: [&[Function]; 7] = [
    collections::FUNCTIONS,
    encoding::FUNCTIONS,
    numbers::FUNCTIONS,
    patterns::FUNCTIONS,
    sets::FUNCTIONS,
    text::FUNCTIONS,
    times::FUNCTIONS,
];

/// Functions of buildx that this client does not have: they need cryptography, random numbers or addresses.
const MISSING: [&str; 16] = [
    "bcrypt",
    "byteslen",
    "bytesslice",
    "cidrhost",
    "cidrnetmask",
    "cidrsubnet",
    "cidrsubnets",
    "csvdecode",
    "homedir",
    "md5",
    "rsadecrypt",
    "semvercmp",
    "sha1",
    "sha256",
    "sha512",
    "unixtimestampparse",
];
const MISSING_RANDOM: [&str; 2] = ["uuidv4", "uuidv5"];

pub(crate) fn find(name: &str) -> Option<&'static Function> {
    let mut all = TABLES.iter().copied().flatten();
    all.find(|function| function.name == name)
}

/// Returns the error of a function that does not exist.
pub(crate) fn unknown(name: &str) -> BakeError {
    if MISSING.contains(&name) || MISSING_RANDOM.contains(&name) {
        return BakeError::new(format!(
            "function {name} is not available here; compute the value in a step before, and give it as a variable"
        ));
    }
    BakeError::new(format!(
        "unknown function {name}; declare it with function {name:?} {{…}}"
    ))
}
