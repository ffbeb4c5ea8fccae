//! What others wrote, as a terminal may show it: a job's log and its last words, and what servers say, must neither move the
//! cursor nor set a title, and a sentence must not pass for another line of the launcher's.

use std::iter::Peekable;
use std::str::Chars;

const ESCAPE: char = '\u{1b}';

/// On one line, without control characters.
pub(super) fn sentence(text: &str) -> String {
    let shown = text.trim_end().chars();
    shown
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control())
        .collect()
}

/// On as many lines as it has.
pub(super) fn lines(text: &str) -> String {
    let shown = text.trim_end().lines().map(sentence);
    shown.collect::<Vec<_>>().join("\n")
}

/// A line of a log: tabs and colours stay.
pub(super) fn log(line: &[u8]) -> String {
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

/// What follows an escape character, where it does no more than to choose a colour; of everything else the escape alone goes,
/// and what is left is text.
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
    fn a_sentence_is_one_line_of_text() {
        let said = "no\u{1b}]0;title\u{7}\nrunner-a  completed\r  exit 0\u{9b}2J\n";
        assert_eq!(sentence(said), "no]0;title runner-a  completed   exit 02J");
        assert_eq!(lines("a\u{1b}[2J\nb\n"), "a[2J\nb");
    }

    #[test]
    fn a_log_keeps_its_colours_alone() {
        for (line, shown) in [
            ("\u{1b}[31;1mred\u{1b}[m\tx", "\u{1b}[31;1mred\u{1b}[m\tx"),
            ("\u{1b}[2Jgone", "[2Jgone"),
            ("\u{1b}]52;c;aGk=\u{7}x", "]52;c;aGk=x"),
            ("50 %\r100 %\u{8}", "50 %100 %"),
            ("\u{9b}2J\u{1b}", "2J"),
            ("\u{1b}\u{1b}[1mbold", "\u{1b}[1mbold"),
        ] {
            assert_eq!(log(line.as_bytes()), shown, "{line:?}");
        }
        assert_eq!(log(b"\xff\x9b2J"), "\u{fffd}\u{fffd}2J");
    }
}
