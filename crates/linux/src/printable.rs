//! Characters that must not reach a terminal as they are: a job chooses the names of its files and processes.

/// Whether a character moves a terminal's cursor, or reorders or hides the text around it.
#[must_use]
pub fn is_unprintable(character: char) -> bool {
    let invisible = matches!(
        character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    character.is_control() || invisible
}

/// The text with such characters escaped, but for those in `kept`.
#[must_use]
pub fn escaped(text: &str, kept: &[char]) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unprintable(character) && !kept.contains(&character) {
            printable.extend(character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_speak_to_the_terminal_is_escaped() {
        let text = "ä\u{1b}[31m\n\u{202e}";
        assert_eq!(escaped(text, &[]), "ä\\u{1b}[31m\\n\\u{202e}");
        assert_eq!(escaped(text, &['\n']), "ä\\u{1b}[31m\n\\u{202e}");
    }
}
