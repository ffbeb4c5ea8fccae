//! Closes lines that end with several escape characters. To Docker these are text; Buildah continues the line.
//!
//! Source: `lineContinuationRegex` of moby/buildkit and of openshift/imagebuilder, both in `dockerfile/parser`.

use std::borrow::Cow;

use super::super::error::Problem;
use super::super::lexer::{Fault, Instruction, Reader, instructions_for};
use super::edits::applied;
use super::posix::{is_posix, shell};
use super::scope::NOTHING;
use super::structure;

/// Puts text that means nothing behind such lines.
///
/// # Errors
/// [`Problem::LineEnd`] for an instruction that has no text of that kind.
pub(super) fn closed(text: &str) -> Result<Cow<'_, str>, Fault> {
    let (instructions, escape) = instructions_for(Reader::Docker, text)?;
    let mut edits = Vec::new();
    let mut posix = true;
    for instruction in &instructions {
        if instruction.name == "shell" {
            posix = posix && is_posix(&shell(instruction).unwrap_or_default());
        }
        let rest = &instruction.rest;
        let length = rest.len() - rest.trim_end_matches(escape).len();
        if length == 0 {
            continue;
        }
        // An odd one would be the escape of what follows.
        let paired = escape == '\\' && length.is_multiple_of(2);
        let nothing = nothing(instruction, posix).filter(|_| paired);
        let nothing = nothing.ok_or((instruction.line, Problem::LineEnd(escape)))?;
        let end = instruction.span(0..rest.len()).end;
        edits.push((end..end, nothing.to_owned()));
    }
    if edits.is_empty() {
        return Ok(Cow::Borrowed(text));
    }
    let closed = applied(text, edits).ok_or((1, Problem::FlagWithinCharacter))?;
    structure::check(&instructions, &closed)?;
    Ok(Cow::Owned(closed))
}

/// Returns the text that means nothing at the end of an instruction, if the image's configuration does not show it.
fn nothing(instruction: &Instruction, posix: bool) -> Option<&'static str> {
    if instruction.trigger || instruction.is_json() {
        return None;
    }
    match instruction.name.as_str() {
        // The shell reads two quotes as nothing.
        "run" => posix.then_some("\"\""),
        "arg" | "copy" | "add" | "env" | "expose" | "label" | "stopsignal" | "user" | "volume"
        | "workdir" => Some(NOTHING),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_two_escapes_at_its_end_is_closed() {
        for (line, wanted) in [
            ("RUN echo x \\\\", "RUN echo x \\\\\"\""),
            ("RUN echo x \\\\ \t", "RUN echo x \\\\\"\" \t"),
            ("RUN echo \\\n  x\\\\\\\\", "RUN echo \\\n  x\\\\\\\\\"\""),
            ("LABEL a=b\\\\", "LABEL a=b\\\\${CI_CD_AGENTS_UNSET}"),
            (
                "RUN cat <<E \\\\\nx\\\\\nE",
                "RUN cat <<E \\\\\"\"\nx\\\\\nE",
            ),
        ] {
            let file = |line: &str| format!("FROM a\n{line}\nUSER b\n");
            assert_eq!(closed(&file(line)).unwrap(), file(wanted));
        }
        // Here both read alike: one escape character, a comment, the body of a here-document.
        for text in [
            "FROM a\nRUN x \\\n  y\n",
            "# x \\\\\nFROM a\nRUN x \\\n# y \\\\\n  z\n",
            "FROM a\nRUN <<E\nx \\\\\nE\nUSER b\n",
        ] {
            assert!(matches!(closed(text), Ok(Cow::Borrowed(_))), "{text}");
        }
    }

    #[test]
    fn a_line_that_nothing_closes_is_refused() {
        for line in [
            "CMD echo \\\\",
            "RUN echo \\\\\\",
            "ONBUILD RUN echo \\\\",
            "SHELL [\"pwsh\", \"-c\"]\nRUN x\\\\",
        ] {
            let fault = closed(&format!("FROM a\n{line}\nUSER b\n")).unwrap_err();
            assert!(matches!(fault.1, Problem::LineEnd('\\')), "{line}");
            assert_eq!(fault.0, 1 + line.lines().count());
        }
        let backtick = closed("# escape=`\nFROM a\nRUN x``\n").unwrap_err();
        assert!(matches!(backtick, (3, Problem::LineEnd('`'))));
    }
}
