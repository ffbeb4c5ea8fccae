//! No rewriting begins or ends an instruction or a here-document.

use super::super::structure;
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
        assert_eq!(body(document, given), unset(wanted), "{document} {given:?}");
    }
}

/// The time of each change does not depend on the text before it.
#[test]
fn many_changes_of_one_word_take_linear_time() {
    let line = |variable: &str| format!("LABEL a={}\n", variable.repeat(100_000));
    assert_eq!(with_value("ab", &line("${V#a}")).unwrap(), line("b"));
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
    Ok(without_identities(text.strip_prefix(head).unwrap()))
}

#[test]
fn a_value_ends_no_instruction() {
    assert_eq!(
        with_value("a\\x", "ENV A=${V%x}\nUSER b\n").unwrap(),
        unset("ENV A=a\\\\${_}\nUSER b\n")
    );
    assert_eq!(
        with_value("#ax", "LABEL a=b \\\n  ${V%x}=c\nUSER b\n").unwrap(),
        unset("LABEL a=b \\\n  ${_}#a=c\nUSER b\n")
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

#[test]
fn a_changed_text_has_the_same_instructions() {
    // The name of a here-document is the text of its variable.
    let name = "COPY <<${V%x} /y\na\nRUN id\n${V%x}\nUSER b\n";
    let error = with_value("ax", name).unwrap_err();
    assert!(
        error.contains("line 3: ") && error.contains("here-document"),
        "{error}"
    );
    let instructions = |text: &str| lexer::instructions(text).unwrap();
    let before = "FROM a\nRUN b\nCOPY <<E /x\n1\nE\nUSER c\n";
    let check = |after: &str| structure::check(&instructions(before), after);
    assert!(check(&before.replace("1\n", "${_}\n")).is_ok());
    for (text, by, line) in [
        ("RUN b", "RUN b\nRUN id", 3),
        ("RUN b", "RUN b \\", 2),
        ("RUN b", "#RUN b", 2),
        ("1\n", "E\n", 6),
        ("<<E", "<<-E", 3),
        ("USER c\n", "USER c\nUSER d\n", 6),
        ("USER c\n", "USER c <<E\nE\n", 6),
        ("E\nUSER", "F\nUSER", 3),
    ] {
        let fault = check(&before.replacen(text, by, 1)).unwrap_err();
        assert_eq!(fault.0, line, "{text:?} {by:?}");
    }
}

#[test]
fn the_changes_of_a_build_are_bounded() {
    let value = format!("-{}", "$".repeat(1000));
    let many = |count| format!("LABEL a={}\n", "${V#y}".repeat(count));
    assert!(with_value(&value, &many(1000)).is_ok());
    // In one instruction or in many.
    for text in [many(10_000), many(1000).repeat(10)] {
        let error = with_value(&value, &text).unwrap_err();
        assert!(error.contains("more than 8 MiB"), "{error}");
    }
    let error = with_value("", &format!("LABEL a={}", "$1".repeat(300_000))).unwrap_err();
    assert!(error.contains("more than 8 MiB"), "{error}");
}

#[test]
fn the_variable_that_is_never_set_stays_so() {
    for line in [
        "ARG CI_CD_AGENTS_UNSET",
        "ARG A=b CI_CD_AGENTS_UNSET=x",
        "ENV A=b CI_CD_AGENTS_UNSET=x",
        "ENV CI_CD_AGENTS_UNSET x",
        "ENV \"CI_CD_AGENTS_UNSET\"=x",
        "ENV CI_CD_${V}=x",
    ] {
        let error = with_value("AGENTS_UNSET", line).unwrap_err();
        assert!(error.contains("use another name"), "{line}: {error}");
    }
    // Images of shells have this one.
    let text = with_value("", "ENV _=x\nLABEL a=$1${V#y}b").unwrap();
    assert_eq!(text, unset("ENV _=x\nLABEL a=${_}${_}b"));
}
