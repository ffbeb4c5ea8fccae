//! Overwriting what the kernel shows of our start: the environment in `/proc/1/environ`, the job's command
//! in `/proc/1/cmdline`.
//!
//! An engine or a pod's `env` may have put a token there. Our own copies are used up by then.
#![allow(unsafe_code)]

use std::ops::Range;

use super::procfs::split_stat;

/// What our children, `newuidmap` among them, still need.
const KEPT: &[u8] = b"PATH=";

/// Where the kernel keeps argv and environ, `arg_start` to `env_end` in proc_pid_stat(5).
#[derive(Debug, Clone, PartialEq, Eq)]
struct StackBlocks {
    arguments: Range<usize>,
    environment: Range<usize>,
}

/// Overwrites the environment but for PATH, and in argv what follows `--`. Variables set later are not touched.
///
/// Needs a process of one thread: nobody else may read its environment meanwhile.
pub fn overwrite_environment_and_command() {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        tracing::warn!("the environment was not overwritten: there is no /proc/self/stat");
        return;
    };
    let Some(blocks) = parse(&stat) else {
        return;
    };
    // SAFETY: the kernel put both blocks on our stack, where they stay, writable and for nobody but us: the C
    // library's `environ` points there, and empty strings are as good to it as others.
    let (arguments, environment) =
        unsafe { (bytes(&blocks.arguments), bytes(&blocks.environment)) };
    overwrite_command(arguments);
    overwrite_environment(environment);
}

/// # Safety
/// The range must be mapped, writable and used by nobody else for as long as the slice lives.
unsafe fn bytes<'a>(range: &Range<usize>) -> &'a mut [u8] {
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts_mut(range.start as *mut u8, range.len()) }
}

fn parse(stat: &str) -> Option<StackBlocks> {
    let (_, _, fields) = split_stat(stat)?;
    // The first one is field 3.
    let mut fields = fields.skip(48 - 3);
    let mut range = || -> Option<Range<usize>> {
        let start = fields.next()?.parse().ok()?;
        let end = fields.next()?.parse().ok()?;
        (start != 0 && start <= end).then_some(start..end)
    };
    Some(StackBlocks {
        arguments: range()?,
        environment: range()?,
    })
}

fn overwrite_command(block: &mut [u8]) {
    let separator = b"\0--\0";
    let at = block
        .windows(separator.len())
        .position(|part| part == separator);
    if let Some(at) = at {
        block[at + separator.len()..].fill(0);
    }
}

fn overwrite_environment(block: &mut [u8]) {
    for variable in block.split_mut(|byte| *byte == 0) {
        if !variable.starts_with(KEPT) {
            variable.fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocks_are_found_whatever_the_name() {
        let fields: Vec<String> = (4..=52).map(|field| (field * 1000).to_string()).collect();
        let stat = format!("1 (a) b) S {}\n", fields.join(" "));
        let expected = StackBlocks {
            arguments: 48_000..49_000,
            environment: 50_000..51_000,
        };
        assert_eq!(parse(&stat), Some(expected));
        assert_eq!(parse("1 (a) S 1 2"), None);
    }

    #[test]
    fn the_jobs_command_and_all_variables_but_path_are_overwritten() {
        let mut arguments = *b"supervisor\0run\0--\0act\0--token\0x\0";
        overwrite_command(&mut arguments);
        assert_eq!(
            &arguments,
            b"supervisor\0run\0--\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        );
        let mut environment = *b"A=secret\0PATH=/bin\0XPATH=/s\0";
        overwrite_environment(&mut environment);
        assert_eq!(
            &environment,
            b"\0\0\0\0\0\0\0\0\0PATH=/bin\0\0\0\0\0\0\0\0\0\0"
        );
    }
}
