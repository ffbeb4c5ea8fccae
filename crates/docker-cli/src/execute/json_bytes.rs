//! The white space of a JSON text, and its digest.

use std::io::{self, Write};
use std::process::{Command, Stdio};

/// Writes JSON with a tab for each level, as Docker prints manifests.
pub(super) fn tabs(text: &str) -> String {
    indented(text, Some("\t"))
}

/// Writes JSON with other white space: compact, or with one line for each value, as Go's `json.Indent` does.
pub(super) fn white_space(text: &str, indent: Option<usize>) -> String {
    indented(text, indent.map(|width| " ".repeat(width)).as_deref())
}

fn indented(text: &str, indent: Option<&str>) -> String {
    let (mut written, mut depth, mut quoted, mut escaped) = (String::new(), 0, false, false);
    let new_line = |written: &mut String, depth: usize| {
        if let Some(indent) = indent {
            written.push('\n');
            written.push_str(&indent.repeat(depth));
        }
    };
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if quoted {
            written.push(letter);
            quoted = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
            continue;
        }
        match letter {
            letter if letter.is_ascii_whitespace() => {}
            '{' | '[' => {
                written.push(letter);
                while letters.next_if(char::is_ascii_whitespace).is_some() {}
                match letters.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => written.push(end),
                    None => {
                        depth += 1;
                        new_line(&mut written, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut written, depth);
                written.push(letter);
            }
            ',' => {
                written.push(letter);
                new_line(&mut written, depth);
            }
            ':' => written.push_str(if indent.is_some() { ": " } else { ":" }),
            letter => {
                quoted = letter == '"';
                written.push(letter);
            }
        }
    }
    written
}

/// Returns the digest of bytes, by sha256sum(1).
pub(super) fn sha256(bytes: &[u8]) -> io::Result<String> {
    let mut command = Command::new("sha256sum");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(bytes)?;
    }
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDENTED: &str = "{\n    \"schemaVersion\": 2,\n    \"mediaType\": \"m\",\n    \"manifests\": [\n        {\n            \"digest\": \"sha256:ab\",\n            \"platform\": {\n                \"architecture\": \"arm64\",\n                \"os\": \"linux\"\n            }\n        }\n    ],\n    \"a\": \"{ \\\"b\\\": [ ] }\",\n    \"c\": {},\n    \"d\": []\n}\n";

    #[test]
    fn only_white_space_outside_of_texts_changes() {
        let compact = white_space(INDENTED, None);
        assert!(
            compact.starts_with(r#"{"schemaVersion":2,"#)
                && compact.ends_with(r#""a":"{ \"b\": [ ] }","c":{},"d":[]}"#),
            "{compact}"
        );
        assert_eq!(white_space(&compact, Some(4)) + "\n", INDENTED);
        assert_eq!(tabs(&compact), INDENTED.trim_end().replace("    ", "\t"));
    }

    #[test]
    fn a_digest_is_that_of_the_bytes() {
        assert_eq!(sha256(b"abc").unwrap()[..16], *"ba7816bf8f01cfea");
    }
}
