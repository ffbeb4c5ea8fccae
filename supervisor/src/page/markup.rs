//! Escapes texts for the log of GitHub's runner and for Markdown.

/// Escapes the message of an annotation. A line break would end it, and `%` begins an escape. Source: actions/runner,
/// `ActionCommand.cs`.
pub(crate) fn message(text: &str) -> String {
    let text = text.replace('%', "%25");
    text.replace('\r', "%0D").replace('\n', "%0A")
}

/// Makes a text part of one line of the log that is no command. `##[` begins one anywhere in a line, `::` only at its start.
pub(crate) fn line(text: &str) -> String {
    let text: String = text.chars().map(printable).collect();
    text.replace("##[", "# #[")
}

/// Makes a text plain words of Markdown, in one line. CommonMark, section 2.4: each of ASCII's punctuation marks can be escaped.
pub(crate) fn words(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars().map(printable) {
        let plain = matches!(letter, '.' | ',' | ';' | '(' | ')' | '/' | '%' | '-');
        if letter.is_ascii_punctuation() && !plain {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// Makes a text a code span of Markdown, also within a cell of a table. HTML and links have no meaning in it.
pub(crate) fn code(text: &str) -> String {
    let text: String = text.chars().map(printable).collect();
    let text = text.replace('`', "'").replace('|', "\\|");
    if text.trim().is_empty() {
        return String::new();
    }
    format!("`{text}`")
}

/// Control characters could end a line, and marks of the direction of text could turn a name around.
fn printable(letter: char) -> char {
    let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if letter.is_control() || turns {
        '?'
    } else {
        letter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_stays_one_command() {
        let text = message("100%\r\n::error::no");
        assert_eq!(text, "100%25%0D%0A::error::no");
    }

    #[test]
    fn line_begins_no_command() {
        assert_eq!(line("a\n::error::b"), "a?::error::b");
        assert_eq!(line("a ##[add-mask]b"), "a # #[add-mask]b");
    }

    #[test]
    fn words_have_no_meaning_in_markdown() {
        assert_eq!(words("a (b); 5%"), "a (b); 5%");
        assert_eq!(words("<b>*`x`|\n# y"), r"\<b\>\*\`x\`\|\?\# y");
    }

    #[test]
    fn code_ends_neither_span_nor_cell_nor_line() {
        assert_eq!(code("a`b|c\nd"), "`a'b\\|c?d`");
        assert_eq!(code("<img src=x>"), "`<img src=x>`");
        assert_eq!(code("a\u{202e}b"), "`a?b`");
        assert_eq!(code(" "), "");
    }
}
