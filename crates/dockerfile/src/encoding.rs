//! Reads the bytes of a Dockerfile as text.

use std::borrow::Cow;

use super::error::{DockerfileError, Problem};

/// Returns the text of a Dockerfile. In comments, it replaces bytes that are not UTF-8.
///
/// Buildah takes the bytes 85 and A0 for spaces, even if they are no characters. It would find flags that are not in the text.
///
/// # Errors
/// [`Problem::Encoding`] for the first other line that is not UTF-8.
pub fn decode(content: &[u8]) -> Result<Cow<'_, str>, DockerfileError> {
    let text = String::from_utf8_lossy(content);
    if matches!(text, Cow::Borrowed(_)) {
        return Ok(text);
    }
    let lines = content.split(|byte| *byte == b'\n');
    for (index, line) in lines.enumerate() {
        let text = String::from_utf8_lossy(line);
        let comment = text.trim_start_matches([' ', '\t']).starts_with('#');
        let replaced = matches!(text, Cow::Owned(_));
        // A line of a here-document may look like a comment, and end the text with these characters.
        let ambiguous = text.contains(char::REPLACEMENT_CHARACTER) && !replaced;
        if ambiguous || (replaced && !comment) {
            return Err(DockerfileError {
                line: index + 1,
                problem: Problem::Encoding,
            });
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_comments_may_have_other_bytes() {
        let read = |content: &[u8]| decode(content).map(Cow::into_owned);
        assert_eq!(read("FROM a\u{fffd}".as_bytes()).unwrap(), "FROM a\u{fffd}");
        assert_eq!(
            read(b"FROM a\n \t# caf\xe9\nRUN x").unwrap(),
            "FROM a\n \t# caf\u{fffd}\nRUN x"
        );
        for content in [
            b"FROM a\nCOPY --chown=0\xa0--from=a.example/i a b".as_slice(),
            b"# \xe9\nRUN echo caf\xe9",
            b"FROM a\n\xa0# x",
            // A lossy reading ends this document at its second line.
            b"RUN <<'#\xef\xbf\xbd'\n#\xff\nRUN x\n#\xef\xbf\xbd\n",
        ] {
            let error = read(content).unwrap_err();
            assert!(matches!(error.problem, Problem::Encoding), "{error}");
        }
    }
}
