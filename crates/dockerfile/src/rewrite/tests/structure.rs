//! No rewriting begins or ends an instruction or a here-document.

use super::*;

#[test]
fn no_line_of_a_here_document_becomes_its_end() {
    let body = |document: &str, given: &str| {
        let text = lines(&format!("COPY {document} /x\n{given}EOF\nRUN b\n"));
        let text = text.strip_prefix(&format!("COPY {document} /x\n"));
        let text = text.unwrap().strip_suffix("EOF\nRUN b\n").unwrap();
        text.to_owned()
    };
    for (document, given, wanted) in [
        ("<<EOF", "EO\\F\nRUN a\n", "${_}EOF\nRUN a\n"),
        ("<<EOF", "EOF\\\nRUN a\n", "${_}EOF\nRUN a\n"),
        ("<<EOF", "EO\\F\r\nRUN a\n", "${_}EOF\r\nRUN a\n"),
        ("<<EOF", "\tEO\\F\n", "\tEOF\n"),
        ("<<EOF", "\\\tx\n", "\tx\n"),
        ("<<-EOF", "\t\tE\\OF\n", "\t\t${_}EOF\n"),
        ("<<-EOF", "\\\tEOF\n\\\tx\\y\n", "${_}\tEOF\n${_}\txy\n"),
        ("<<-EOF", "\t\\\tx\na\\\tb\n", "\t${_}\tx\na\tb\n"),
        ("<<EOF", "${V:-\n}EO\\F\nEO\\F\n", "${V:-\n}EOF\n${_}EOF\n"),
    ] {
        assert_eq!(body(document, given), wanted, "{document} {given:?}");
    }
}
