//! Files that would cost PID 1 too much, and files that no reading fits.

use super::*;

/// PID 1 of the builder rewrites these files, so they must cost it neither memory nor time.
#[test]
fn bounds_memory_and_time() {
    let many = |line: &dyn Fn(usize) -> String| (0..900).map(line).collect::<String>();
    let found = [
        format!(
            "FROM a AS s0\n{}",
            many(&|at| format!("FROM s{at} AS s{}\nENV A{at}=$A{at}$B\n", at + 1))
        ),
        format!("FROM a\nENV A=x\n{}", many(&|_| "ENV A=$A$A\n".to_owned())),
        format!("FROM a\nENV A={}\n", "${A:-".repeat(100_000)),
        format!("FROM a\nCOPY <<E /\n{}\nE\n", "${A:-".repeat(100_000)),
        format!("FROM a\nRUN {} true", "--mount=from=a ".repeat(10_000)),
        format!(
            "FROM a\nENV V={}\n{}",
            "a".repeat(1024),
            format!("ENV W=${{V//{}b/}}\n", "*a".repeat(60)).repeat(2000)
        ),
        format!("FROM a\nENV A={}\n", "\\\n${B-c}".repeat(100_000)),
        format!("FROM a\nCOPY [{}\"x\"]\n", "\"${B-c}\",".repeat(100_000)),
        format!(
            "FROM a\nENV V={}\nENV W=${{V%{}}}",
            "a".repeat(1024),
            "*".repeat(128)
        ),
    ]
    .map(|text| match rewritten(&text) {
        Ok(found) => {
            let size = found.texts[0].len();
            assert!(size < 3 * text.len(), "{} became {size}", text.len());
            "rewritten"
        }
        Err(error) if error.contains("more than 100 variables") => "nested",
        Err(error) if error.contains("pattern is not available") => "pattern",
        Err(error) => panic!("{error}"),
    });
    let ok = "rewritten";
    assert_eq!(found, [ok, ok, "nested", ok, ok, "pattern", ok, ok, ok]);
}

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
