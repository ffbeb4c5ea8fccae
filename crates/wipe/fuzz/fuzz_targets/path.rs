//! Reads any bytes as a path, and as a list of mounts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wipe::fuzzing;

fuzz_target!(|bytes: &[u8]| {
    fuzzing::check_any_path(bytes);
    fuzzing::check_any_mountinfo(bytes);
});
