//! Overwrites what procfs shows of our start: the environment in `/proc/1/environ` and the job's command in
//! `/proc/1/cmdline`.
//!
//! An engine or the `env` of a pod may have put a token there. The supervisor has copied what it needs by then.
#![allow(unsafe_code)]

use std::ops::Range;

use super::procfs::split_stat;

/// The variable that our children, such as `newuidmap`, still need.
const KEPT: &[u8] = b"PATH=";

/// The addresses of argv and environ, `arg_start` to `env_end` in proc_pid_stat(5).
#[derive(Debug, Clone, PartialEq, Eq)]
struct StackBlocks {
    arguments: Range<usize>,
    environment: Range<usize>,
}

/// Overwrites the environment except for PATH, and the arguments after `--`. Variables that were set later stay.
///
/// The process must have one thread only, because another thread could read its environment meanwhile.
pub fn overwrite_environment_and_command() {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        tracing::warn!(
            "the environment was not overwritten, because /proc/self/stat cannot be read"
        );
        return;
    };
    let Some(blocks) = parse(&stat) else {
        return;
    };
    // SAFETY: the kernel has put both blocks on our stack, where they stay and are writable. Only the C library's
    // `environ` points there, and it accepts empty strings.
    let (arguments, environment) =
        unsafe { (bytes(&blocks.arguments), bytes(&blocks.environment)) };
    overwrite_command(arguments);
    overwrite_environment(environment);
}

/// # Safety
/// The range must be mapped and writable, and not be used otherwise as long as the slice lives.
unsafe fn bytes<'a>(range: &Range<usize>) -> &'a mut [u8] {
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts_mut(range.start as *mut u8, range.len()) }
}

fn parse(stat: &str) -> Option<StackBlocks> {
    let (_, _, fields) = split_stat(stat)?;
    // The first field of the iterator is field 3.
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
    fn parse_finds_blocks_after_any_command_name() {
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
    fn overwrites_the_jobs_command_and_variables_except_path() {
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
