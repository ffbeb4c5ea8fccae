//! Makes foreign text safe for a terminal: a job's log, its termination message, and messages of servers.
//!
//! Such text must not move the cursor or set a title. A message must not look like another line of the launcher.

use std::iter::Peekable;
use std::str::Chars;

const ESCAPE: char = '\u{1b}';

/// Returns the text on one line, without control characters.
pub(super) fn single_line(text: &str) -> String {
    let shown = text.trim_end().chars();
    shown
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control())
        .collect()
}

/// Returns the text with its line breaks, without other control characters.
pub(super) fn multi_line(text: &str) -> String {
    let shown = text.trim_end().lines().map(single_line);
    shown.collect::<Vec<_>>().join("\n")
}

/// Returns a line of a log with its tabs and colours, without other control characters.
pub(super) fn log_line(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            ESCAPE => shown.push_str(&colour(&mut rest)),
            '\t' => shown.push(c),
            c if c.is_control() => {}
            c => shown.push(c),
        }
    }
    shown
}

/// Consumes and returns a colour sequence after an escape character (ECMA-48, SGR). Returns nothing for other sequences:
/// then only the escape character is dropped.
fn colour(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut ahead = rest.clone();
    if ahead.next() != Some('[') {
        return String::new();
    }
    let numbers: String =
        std::iter::from_fn(|| ahead.next_if(|c| c.is_ascii_digit() || matches!(c, ';' | ':')))
            .collect();
    if ahead.next() != Some('m') {
        return String::new();
    }
    *rest = ahead;
    format!("{ESCAPE}[{numbers}m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_without_control_characters() {
        let text = "no\u{1b}]0;title\u{7}\nrunner-a  completed\r  exit 0\u{9b}2J\n";
        assert_eq!(
            single_line(text),
            "no]0;title runner-a  completed   exit 02J"
        );
        assert_eq!(multi_line("a\u{1b}[2J\nb\n"), "a[2J\nb");
    }

    #[test]
    fn a_log_keeps_only_its_colours() {
        for (line, shown) in [
            ("\u{1b}[31;1mred\u{1b}[m\tx", "\u{1b}[31;1mred\u{1b}[m\tx"),
            ("\u{1b}[2Jgone", "[2Jgone"),
            ("\u{1b}]52;c;aGk=\u{7}x", "]52;c;aGk=x"),
            ("50 %\r100 %\u{8}", "50 %100 %"),
            ("\u{9b}2J\u{1b}", "2J"),
            ("\u{1b}\u{1b}[1mbold", "\u{1b}[1mbold"),
        ] {
            assert_eq!(log_line(line.as_bytes()), shown, "{line:?}");
        }
        assert_eq!(log_line(b"\xff\x9b2J"), "\u{fffd}\u{fffd}2J");
    }
}
