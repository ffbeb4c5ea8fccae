//! Tests of single words.

use super::super::scope::UNSET;
use super::*;

fn scope() -> Scope {
    let mut scope = Scope::global().stage(false);
    scope.set_environment("E", Some(String::new()));
    scope.set_environment("V", Some("r.example/x:1".to_owned()));
    scope.set_argument("Q", Some("it's $5".to_owned()));
    scope.set_environment("PATH", None);
    scope
}

/// Writes the name of the variable that is never set, which the tables here call `_`.
fn unset(text: &str) -> String {
    text.replace("${_", &format!("${{{UNSET}"))
}

fn rewrite(text: &str) -> Result<String, Problem> {
    let expansion = expand(text, &scope())?;
    Ok(super::super::edits::applied(text, expansion.edits).unwrap())
}

#[test]
fn substitutions_become_those_that_buildah_has() {
    for (text, wanted) in [
        ("a${E-d}b${E:-d}", "a${E}b${E:-d}"),
        ("${W-d} ${W+s}", "${W:-d} ${W:+s}"),
        ("${E+s} ${V+s}", "${_:-s} ${_:-s}"),
        ("${PATH+s} ${PATH-d}", "${_:-s} ${PATH}"),
        ("${V:?m} ${V?m} ${E?m}", "${V} ${V} ${E}"),
        ("${V%:*}", "r.example/x"),
        ("${V##*/}", "x:1"),
        ("\"${Q/it/he}\" ${Q/it/he}", "\"he's \\$5\" he\\'s\\ \\$5"),
        ("${W:-${V%:*}}", "${W:-r.example/x}"),
        ("${W:-a ${W:-b}}", "${W:-a ${W:-b}}"),
        ("'${V%x}' \\${V%x}", "'${V%x}' \\${V%x}"),
        ("it's ${V%x}", "it's ${V%x}"),
        ("\"${V%*}\"${V%%*}", "\"r.example/x:1\"${_}"),
        ("$E${V##*/}-$E\"${V##*/}\"", "$E${_}x:1-$E\"x:1\""),
        ("\\\\$E${V##*/}\\$E${V##*/}", "\\\\$E${_}x:1\\$Ex:1"),
        ("\"$E\"${V##*/}$E'a'${V##*/}", "\"$E\"x:1$E'a'x:1"),
        ("a$$E$1b$12$", "a${_}E${_}b${_}$"),
        ("$", "$"),
    ] {
        let wanted = unset(wanted);
        assert_eq!(rewrite(text).unwrap(), wanted, "{text}");
        assert_eq!(rewrite(&wanted).unwrap(), wanted, "{wanted}");
    }
}

#[test]
fn values_are_known_only_if_all_their_variables_are() {
    let value = |text: &str| expand(text, &scope()).unwrap().value;
    assert_eq!(
        value("a$E'b c'\"$V\"\\$").as_deref(),
        Some("ab cr.example/x:1$")
    );
    assert_eq!(value("${E:-${V%%/*}}").as_deref(), Some("r.example"));
    for unknown in ["$W", "$PATH", "${W:-d}", "${W:+s}", "it's"] {
        assert_eq!(value(unknown), None, "{unknown}");
    }
}

#[test]
fn a_missing_value_ends_the_build_before_it_begins() {
    let error = |text: &str| rewrite(text).unwrap_err().to_string();
    assert!(error("${W:?must be set}").starts_with("W: must be set; set W by"));
    assert!(error("${E:?}").starts_with("E: it is not allowed to be unset"));
    assert!(error("${W%x}").starts_with("${W%x}: its value is not known"));
    assert!(error("${V#\\a}").contains("this pattern is not available"));
}

#[test]
fn a_value_neither_ends_nor_continues_its_line() {
    let mut scope = scope();
    for (name, value) in [
        ("B", "a\\x"),
        ("G", "a`x"),
        ("S", "a x"),
        ("C", "#ax"),
        ("D", "<<ax"),
        ("T", " #ax"),
        ("L", "a\nRUN id"),
        ("R", "a\rRUN id"),
    ] {
        scope.set_argument(name, Some(value.to_owned()));
    }
    let rewrite = |text: &str| {
        let expansion = expand(text, &scope).map_err(|problem| problem.to_string())?;
        Ok::<_, String>(super::super::edits::applied(text, expansion.edits).unwrap())
    };
    for (text, wanted) in [
        ("${B%x}", "a\\\\${_}"),
        ("\"${B%x}\"", "\"a\\\\${_}\""),
        ("${G%x}", "a`${_}"),
        ("${S%x}", "a\\ ${_}"),
        ("\"${S%x}\"", "\"a ${_}\""),
        ("${C%x}", "${_}#a"),
        ("${T%x}", "${_}\\ #a"),
        ("\"${T%x}\"", "\"${_} #a\""),
        ("${D%x}", "\\<\\<a"),
        ("\"${D%x}\"", "\"<<a\""),
    ] {
        let wanted = unset(wanted);
        assert_eq!(rewrite(text).unwrap(), wanted, "{text}");
        assert_eq!(rewrite(&wanted).unwrap(), wanted, "{wanted}");
    }
    for text in ["${L%x}", "\"${L%x}\"", "${R%x}", "${W:-${L#a}}"] {
        let error = rewrite(text).unwrap_err();
        assert!(error.contains("has a line break"), "{text}: {error}");
    }
    // A value of several lines is no text of the file otherwise.
    assert_eq!(rewrite("$L ${L:-x} ${L-x}").unwrap(), "$L ${L:-x} ${L}");
}

#[test]
fn a_platform_is_a_value_although_it_is_not_known() {
    let mut scope = scope();
    for name in ["TARGETARCH", "TARGETVARIANT", "OTHER"] {
        scope.set_argument(name, None);
    }
    let text = "${TARGETARCH:?m}";
    let edits = expand(text, &scope).unwrap().edits;
    assert_eq!(edits, [(0..text.len(), "${TARGETARCH}".to_owned())]);
    // These may be empty, and Buildah would go on with the message.
    for text in ["${TARGETVARIANT:?m}", "${OTHER:?m}"] {
        assert!(expand(text, &scope).is_err(), "{text}");
    }
}

#[test]
fn a_value_that_is_not_read_is_still_set() {
    let scope = scope();
    assert!(!scope.may_match(usize::MAX));
    let expansion = expand("${V-d}", &scope).unwrap();
    assert_eq!(expansion.edits, [(0..6, "${V}".to_owned())]);
    assert_eq!(expansion.value, None);
}
