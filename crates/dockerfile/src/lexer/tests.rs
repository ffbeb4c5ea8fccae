//! How lines become instructions.

use super::*;

fn read(text: &str) -> Vec<String> {
    let found = instructions(text).unwrap();
    found
        .iter()
        .map(|found| {
            let flags: String = found.flags.iter().map(|flag| format!(" {flag}")).collect();
            format!("{}:{}{flags} | {}", found.line, found.name, found.rest)
        })
        .collect()
}

#[test]
fn joins_continued_lines_and_drops_comments() {
    let text = "\u{feff}FROM a\r\n\n# comment\nRUN x \\\n# comment\n  # another\n\n  y \\ \t\n  z\n  copy \\\n --from=a b c";
    assert_eq!(
        read(text),
        ["1:from | a", "4:run | x   y   z", "10:copy --from=a | b c"]
    );
    assert_eq!(read("RUN a \\"), ["1:run | a"]);
    assert!(read("# only\n\n").is_empty());
}

#[test]
fn reads_escape_directive_only_at_the_beginning() {
    let read_as = |head: &str| read(&format!("{head}RUN a `\nFROM b")).len();
    assert_eq!(read_as("# escape=`\n"), 1);
    assert_eq!(read_as("\u{feff}  #ESCAPE = ` and more\n"), 1);
    assert_eq!(read_as("# a comment\n# escape=`\n"), 2);
    assert_eq!(read_as("# syntax=docker/dockerfile:1\n# escape=`\n"), 2);
    assert_eq!(read_as("\n# escape=`\n"), 2);
    assert_eq!(read_as("# escape = \\\n"), 2);
    assert!(instructions("# escape=`\n# escape=`\n").is_err());
    assert!(instructions("# escape=x\n").is_err());
}

/// By a search of all lines for each place, these would take 10^10 steps.
#[test]
fn finds_places_on_many_lines() {
    let lines = 300_000;
    let found = instructions(&format!("RUN \\\n{}true", "--a \\\n".repeat(lines))).unwrap();
    assert_eq!(found[0].flag_spans.len(), lines);
    let text = format!("ENV \\\n{}", "x \\\n".repeat(lines));
    let found = instructions(&text).unwrap();
    for at in (0..found[0].rest.len()).step_by(2) {
        assert_eq!(&text[found[0].span(at..at + 1)], "x");
    }
}

#[test]
fn skips_bodies_of_here_documents() {
    let text =
        "RUN <<EOF\nFROM a\nEOF\nCOPY <<a <<-'b c' /x/\nFROM a\na\nFROM b\n\t\tb c\nFROM c\n";
    assert_eq!(
        read(text),
        ["1:run | <<EOF", "4:copy | <<a <<-'b c' /x/", "9:from | c"]
    );
    // An indented name ends only a document that began with `<<-`.
    assert_eq!(read("RUN <<EOF\n\tEOF\nEOF\nFROM a").len(), 2);
    assert_eq!(read("ADD <<\"E\" /x\nFROM x\nE\r\nFROM a").len(), 2);
    assert_eq!(
        read("ONBUILD RUN 3<<E cat\nFROM x\nE\nFROM a"),
        ["1:run | 3<<E cat", "4:from | a"]
    );
    let unfinished = instructions("FROM a\nRUN <<EOF\nFROM b").unwrap_err();
    assert_eq!(unfinished.0, 2);
}

#[test]
fn lookalikes_of_here_documents_hide_nothing() {
    for line in [
        // Go reads an unpaired surrogate.
        r#"RUN ["sh", "-c", "true", "\ud800"] <<EOF"#,
        r#"RUN ["sh", "-c", "true", "\\\uDFfF\uDb00x"] <<EOF"#,
        "RUN [\"cat\", \"<<EOF\"]",
        "RUN [\"cat\"] <<EOF",
        "ENV x <<EOF",
        "LABEL x=<<EOF",
        "FROM <<EOF",
        "RUN x <<<EOF",
        "RUN x << EOF",
        "RUN echo \"<<EOF\"",
        "RUN echo '<<EOF",
        "RUN echo a<<EOF",
        "RUN echo \\<<EOF",
        "RUN echo ${x <<EOF",
        "ONBUILD ONBUILD RUN <<EOF",
        "# <<EOF\nRUN x",
    ] {
        let text = format!("{line}\nFROM hidden\nEOF\nFROM seen");
        let found = read(&text).join("\n");
        assert!(found.contains("from | hidden"), "{line}: {found}");
    }
    // The shell's `[` is not an array.
    assert_eq!(read("RUN [ -f x ] <<EOF\nFROM a\nEOF\nFROM b").len(), 2);
}
