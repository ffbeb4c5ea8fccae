//! The bytes of a JSON text whose white space is lost: its digest says which form they had.

use std::io::{self, Write};
use std::process::{Command, Stdio};

/// Returns the text with the white space that its digest proves.
pub(super) fn exact(printed: &str, digest: &str) -> Option<String> {
    let text = printed.trim_end();
    let compact = white_space(text, None);
    let mut forms = vec![text.to_owned(), compact];
    forms.extend([2, 3, 4].map(|indent| white_space(text, Some(indent))));
    let with_newline: Vec<String> = forms.iter().map(|form| format!("{form}\n")).collect();
    forms.extend(with_newline);
    forms
        .into_iter()
        .find(|form| sha256(form.as_bytes()).is_ok_and(|found| digest == format!("sha256:{found}")))
}

/// Writes JSON with other white space: compact, or with one line for each value, as Go's `json.Indent` does.
pub(super) fn white_space(text: &str, indent: Option<usize>) -> String {
    let (mut written, mut depth, mut quoted, mut escaped) = (String::new(), 0, false, false);
    let new_line = |written: &mut String, depth: usize| {
        if let Some(indent) = indent {
            written.push('\n');
            written.push_str(&" ".repeat(indent * depth));
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
    fn the_digest_proves_the_white_space() {
        let compact = white_space(INDENTED, None);
        assert!(
            compact.starts_with(r#"{"schemaVersion":2,"#)
                && compact.ends_with(r#""a":"{ \"b\": [ ] }","c":{},"d":[]}"#),
            "{compact}"
        );
        assert_eq!(white_space(&compact, Some(4)) + "\n", INDENTED);
        for bytes in [
            compact.clone(),
            white_space(INDENTED, Some(3)),
            format!("{compact}\n"),
        ] {
            let digest = format!("sha256:{}", sha256(bytes.as_bytes()).unwrap());
            assert_eq!(exact(INDENTED, &digest).unwrap(), bytes);
        }
        assert!(exact(INDENTED, "sha256:00").is_none());
        assert_eq!(sha256(b"abc").unwrap()[..16], *"ba7816bf8f01cfea");
    }
}
