//! Puts the escape directive first. Buildah ends the directives at the first line that is another one.
//!
//! Source: moby/buildkit, `parser/directives.go`, and openshift/imagebuilder, `dockerfile/parser`.

use std::borrow::Cow;
use std::ops::Range;

/// Exchanges the first line with `# escape=`, if only directives are before that.
pub(super) fn escape_first(text: &str) -> Cow<'_, str> {
    let unchanged = Cow::Borrowed(text);
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut at = text.len() - body.len();
    let mut first: Option<Range<usize>> = None;
    for line in body.split_inclusive('\n') {
        let span = at..at + line.trim_end_matches(['\r', '\n']).len();
        at += line.len();
        let Some((name, value)) = directive(&text[span.clone()]) else {
            return unchanged;
        };
        match (name.as_str(), &first) {
            // Both know this one by default.
            ("escape", _) if value == "\\" => return unchanged,
            ("escape", Some(first)) => {
                let between = &text[first.end..span.start];
                return Cow::Owned(format!(
                    "{}{}{between}{}{}",
                    &text[..first.start],
                    &text[span.clone()],
                    &text[first.clone()],
                    &text[span.end..]
                ));
            }
            ("syntax" | "check", _) => first = first.or(Some(span)),
            _ => return unchanged,
        }
    }
    unchanged
}

/// Reads `# NAME=VALUE`.
fn directive(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.strip_prefix('#')?.trim_start().split_once('=')?;
    Some((name.trim_end().to_lowercase(), value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_escape_directive_comes_first() {
        for (text, wanted) in [
            (
                "# syntax=x\n# escape=`\nFROM a",
                "# escape=`\n# syntax=x\nFROM a",
            ),
            (
                "\u{feff}#syntax=x\r\n# check=y\r\n#Escape = `\r\n",
                "\u{feff}#Escape = `\r\n# check=y\r\n#syntax=x\r\n",
            ),
            ("# escape=`\n# syntax=x\n", "# escape=`\n# syntax=x\n"),
            ("# syntax=x\n# escape=\\\n", "# syntax=x\n# escape=\\\n"),
            ("# syntax=x\n\n# escape=`\n", "# syntax=x\n\n# escape=`\n"),
            ("# a comment\n# escape=`\n", "# a comment\n# escape=`\n"),
            ("FROM a\n# escape=`\n", "FROM a\n# escape=`\n"),
            ("", ""),
        ] {
            assert_eq!(escape_first(text), wanted, "{text:?}");
        }
    }
}
