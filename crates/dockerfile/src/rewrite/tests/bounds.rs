//! Files that would cost memory or time. PID 1 of the builder rewrites them, so they must cost it neither.

use super::*;

/// The text of a file, and a part of the reason for which it is refused, if it is.
type Case = (String, Option<&'static str>);

fn cases() -> Vec<Case> {
    let many = |line: &dyn Fn(usize) -> String| (0..900).map(line).collect::<String>();
    let value = format!("FROM a\nENV V={}\n", "a".repeat(1024));
    let stages = many(&|at| format!("FROM s{at} AS s{}\nENV A{at}=$A{at}$B\n", at + 1));
    let matches = format!("ENV W=${{V//{}b/}}\n", "*a".repeat(60));
    vec![
        (format!("FROM a AS s0\n{stages}"), None),
        (
            format!("FROM a\nENV A=x\n{}", many(&|_| "ENV A=$A$A\n".to_owned())),
            None,
        ),
        (
            format!("FROM a\nENV A={}\n", "${A:-".repeat(100_000)),
            Some("line 2: a word with more than 100 variables"),
        ),
        // Buildah refuses it: a brace is not closed.
        (
            format!("FROM a\nCOPY <<E /\n{}\nE\n", "${A:-".repeat(100_000)),
            None,
        ),
        (
            format!("FROM a\nRUN {} true", "--mount=from=a ".repeat(10_000)),
            None,
        ),
        (
            format!("{value}{}", matches.repeat(2000)),
            Some("line 3: ${V//*a*a"),
        ),
        (
            format!("FROM a\nENV A={}\n", "\\\n${B-c}".repeat(50_000)),
            None,
        ),
        (
            format!("FROM a\nENV A={}\n", "\\\n${B-c}".repeat(100_000)),
            Some("line 2: the values of the variables"),
        ),
        (
            format!("FROM a\nCOPY [{}\"x\"]\n", "\"${B-c}\",".repeat(100_000)),
            None,
        ),
        (format!("{value}ENV W=${{V%{}}}", "*".repeat(128)), None),
    ]
}

#[test]
fn bounds_memory_and_time() {
    for (text, because) in cases() {
        let beginning: String = text.chars().take(60).collect();
        match (rewritten(&text), because) {
            (Ok(found), None) => {
                let (after, before) = (found.texts[0].len(), text.len());
                assert!(after < 3 * before, "{beginning}: {before}, now {after}");
            }
            (Err(error), Some(because)) => {
                assert!(error.contains(because), "{beginning}: {error}");
            }
            (Ok(_), Some(because)) => panic!("{beginning}: expected {because}"),
            (Err(error), None) => panic!("{beginning}: {error}"),
        }
    }
}

#[test]
fn places_within_characters_change_nothing() {
    for text in [
        "FROM a\nRUN --mount=target=/x\u{a0}--mount=target=/y true",
        "FROM a\nCOPY --link\u{e9}\u{a0}x y",
    ] {
        let error = rewritten(text).unwrap_err();
        assert!(error.starts_with("Containerfile, line "), "{error}");
    }
}
