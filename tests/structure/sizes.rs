//! How long files and functions are, as rustfmt lays them out.

/// A file with more lines says why.
pub(crate) const LINES: usize = 400;
/// No function has more.
pub(crate) const FUNCTION: usize = 60;
/// No name of a function has more letters.
pub(crate) const NAME: usize = 60;

/// Why a file is long, from its header.
pub(crate) fn reason(text: &str) -> Option<&str> {
    let header = text.lines().take_while(|line| line.starts_with("//!"));
    let mut reasons = header.filter_map(|line| line.strip_prefix("//! Long because: "));
    reasons.next()
}

/// Each function with its lines, up to the tests at the end of the file.
pub(crate) fn functions(text: &str) -> Vec<(String, usize)> {
    let code = text.split("\n#[cfg(test)]\n").next().unwrap_or_default();
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = name(line) else { continue };
        // One line, or a declaration without a body.
        if line.ends_with(['}', ';']) {
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        let length = lines[at..].iter().position(|line| **line == end);
        found.extend(length.map(|length| (name.to_owned(), length + 1)));
    }
    found
}

/// The names of all functions, tests included, that are too long.
pub(crate) fn long_names(text: &str) -> Vec<&str> {
    let names = text.lines().filter_map(name);
    names.filter(|name| name.len() > NAME).collect()
}

/// The name of the function that begins on this line.
fn name(line: &str) -> Option<&str> {
    let (before, after) = line.trim_start().split_once("fn ")?;
    let words = ["pub", "const", "unsafe", "extern", "\"C\"", "async"];
    let mut before = before.split_whitespace();
    let begins = before.all(|word| words.contains(&word) || word.starts_with("pub("));
    let end = after.find(['(', '<'])?;
    begins.then_some(&after[..end])
}

#[test]
fn a_function_is_measured_from_its_name_to_its_brace() {
    let text = "pub(crate) const fn one(\n    a: u8,\n) -> u8 {\n    a\n}\n\nimpl X {\n    fn two() {\n    }\n}\nfn three();\n";
    let expected = [("one".to_owned(), 5), ("two".to_owned(), 2)];
    assert_eq!(functions(text), expected);
}

#[test]
fn a_long_name_is_found_in_tests_too() {
    let (long, short) = ("a".repeat(NAME + 1), "b".repeat(NAME));
    let text = format!("fn {short}() {{}}\n#[cfg(test)]\nmod tests {{\n    fn {long}() {{\n");
    assert_eq!(long_names(&text), [long]);
}

#[test]
fn a_reason_stands_in_the_header() {
    assert_eq!(reason("//! A.\n//! Long because: b.\n\nx"), Some("b."));
    assert_eq!(reason("//! A.\n\n//! Long because: b.\n"), None);
}
