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

/// Rewrites lines of a stage with a value of `--build-arg V`.
fn with_value(value: &str, lines: &str) -> Result<String, String> {
    let mut build = build_options();
    build.build_args.insert("V".to_owned(), value.to_owned());
    let options = RewriteOptions {
        build: &build,
        network_none: false,
        nonce: Some("nonce"),
    };
    let head = "FROM a.example/base\nARG V\n";
    let text = rewrite(&[format!("{head}{lines}")], options);
    let text = text.map_err(|error| error.to_string())?.texts.remove(0);
    Ok(text.strip_prefix(head).unwrap().to_owned())
}

#[test]
fn a_value_ends_no_instruction() {
    assert_eq!(
        with_value("a\\x", "ENV A=${V%x}\nUSER nobody\n").unwrap(),
        "ENV A=a\\\\${_}\nUSER nobody\n"
    );
    assert_eq!(
        with_value("#ax", "LABEL a=b \\\n  ${V%x}=c\nUSER b\n").unwrap(),
        "LABEL a=b \\\n  ${_}#a=c\nUSER b\n"
    );
    assert_eq!(
        with_value("<<Ex", "COPY ${V%x} /y\nUSER b\n").unwrap(),
        "COPY \\<\\<E /y\nUSER b\n"
    );
    for line in ["LABEL x=\"${V#z}\"", "LABEL x=${V#z}"] {
        let error = with_value("a\nRUN id", line).unwrap_err();
        assert!(error.contains("line 3: ${V#z}: "), "{error}");
    }
}
