//! Files that would cost PID 1 too much, and files that no reading fits.

use super::*;

/// A parse for each change would read 10^11 bytes.
#[test]
fn arrays_are_parsed_once() {
    let text = format!("VOLUME [\"{}\"]", "${A-}".repeat(100_000));
    assert_eq!(lines(&text), text.replace("${A-}", "${A:-}"));
}

#[test]
fn changes_within_characters_are_refused() {
    let text = "RUN true\nRUN --mount=target=/x\u{a0}--mount=target=/y true";
    let found = refused(text);
    assert!(
        found.starts_with("Containerfile, line 3: a flag ends within a character"),
        "{found}"
    );
    let text = "COPY --link\u{e9}\u{a0}x y";
    assert!(refused(text).contains("line 2: "));
}
