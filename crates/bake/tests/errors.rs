//! Definitions that are wrong, and definitions that would never end.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;

use bake::{File, Request, Resolved};

fn resolve(name: &str, text: &str, overrides: &[&str]) -> Result<Resolved, String> {
    let files = [File {
        name: name.to_owned(),
        text: text.to_owned(),
    }];
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    let none = BTreeMap::new();
    let request = Request {
        files: &files,
        targets: &[],
        overrides: &overrides,
        variables: &none,
        builtins: &none,
        environment: &|name| (name == "WRONG").then(|| "many".to_owned()),
        project: &none,
        now: 0,
    };
    request.resolve().map_err(|error| error.to_string())
}

fn error(name: &str, text: &str) -> String {
    match resolve(name, text, &[]) {
        Ok(resolved) => panic!("{text}: {}", resolved.print()),
        Err(error) => error,
    }
}

#[test]
fn an_error_has_its_file_and_line() {
    for (text, expected) in [
        ("target \"default\" {\n  tags = [\n", "bake.hcl:2: "),
        (
            "\ntarget \"default\" {\n  tags = [nothing]\n}",
            "bake.hcl:3: target default, tags: unknown variable nothing",
        ),
        (
            "target \"default\" {\n  tag = []\n}",
            "a target has no attribute tag",
        ),
        (
            "target \"default\" {\n\n  tags = \"x\"\n}",
            "bake.hcl:3: target default, tags: expected a list",
        ),
        (
            "target \"default\" {\n args = { A = md5(\"x\") }\n}",
            "bake.hcl:2: target default, args: function md5 is not available here",
        ),
        (
            "target \"default\" {\n args = { A = upper() }\n}",
            "takes 1 arguments, and gets 0",
        ),
        (
            "variable \"WRONG\" {\n default = 1\n}\ntarget \"default\" {}",
            "bake.hcl:1: the value of variable WRONG in the environment: expected a number",
        ),
        (
            "variable \"A\" {\n validation {\n condition = A != \"\"\n error_message = \"A is empty\"\n }\n}\ntarget \"default\" {}",
            "bake.hcl:2: variable A: A is empty",
        ),
        (
            "target \"a b\" {}",
            "bake.hcl:1: the name \"a b\" is not allowed",
        ),
        (
            "target \"default\" {\n matrix = { x = [1, 2] }\n}",
            "two targets with the name default",
        ),
        ("targets \"x\" {}", "unexpected block targets"),
        (
            "group \"g\" {\n targets = [\"a\"]\n matrix = {}\n}",
            "a group has no matrix",
        ),
        (
            "target \"other\" {}",
            "there is no target default; there are: other",
        ),
        (
            "target \"default\" { inherits = [\"gone\"] }",
            "there is no target gone",
        ),
        (
            "target \"default\" { contexts = { a = \"target:default\" } }",
            "uses target default",
        ),
        (
            "target \"default\" { output = [\"dest=x\"] }",
            "has no type=",
        ),
    ] {
        let found = error("bake.hcl", text);
        assert!(found.contains(expected), "{text}: {found}");
    }
    let found = error("bake.json", "{\n\"target\": {,}}");
    assert!(found.starts_with("bake.json:2: "), "{found}");
    let found = error(
        "c.yaml",
        "services:\n  a:\n    build: {args: {A: \"${X:?set it}\"}}",
    );
    assert!(
        found.contains("c.yaml: variable X is required: set it"),
        "{found}"
    );
    let found = error("c.yaml", "include: [x]\nservices: {}");
    assert!(found.contains("include is not available"), "{found}");
    // Beside a build it would be a part of the build.
    let text = "services:\n  a: {build: .}\n  b: {extends: a, build: {target: x}}";
    let found = error("c.yaml", text);
    assert!(
        found.contains("service b: extends is not available"),
        "{found}"
    );
}

#[test]
fn wrong_overrides_are_errors() {
    let text = "target \"default\" {}";
    for (given, expected) in [
        ("default", "expected TARGET.KEY=VALUE"),
        ("default.tags", "expected TARGET.KEY=VALUE"),
        (
            "other*.tags=x",
            "no target matches other*; there are: default",
        ),
        ("*.args=x", "expected TARGET.args.NAME=VALUE"),
        ("*.nothing=x", "unknown key nothing"),
        ("*.pull=maybe", "expected true or false"),
        ("*.target+=x", "+= adds to lists only"),
    ] {
        let found = resolve("bake.hcl", text, &[given]).unwrap_err();
        assert!(found.contains(expected), "{given}: {found}");
    }
}

#[test]
fn an_evaluation_without_an_end_is_an_error() {
    let args =
        |expression: &str| format!("target \"default\" {{\n args = {{ A = {expression} }}\n}}");
    let digits = "[0,1,2,3,4,5,6,7,8,9]";
    let mut loops = format!("[for a in {digits} : a]");
    for _ in 0..9 {
        loops = format!("[for a in {digits} : {loops}]");
    }
    let mut doubled = "variable \"V0\" { default = \"0123456789\" }\n".to_owned();
    for level in 1..40 {
        let below = level - 1;
        doubled +=
            &format!("variable \"V{level}\" {{ default = \"${{V{below}}}${{V{below}}}\" }}\n");
    }
    let mut chain = "variable \"V0\" { default = \"a\" }\n".to_owned();
    for level in 1..5000 {
        chain += &format!("variable \"V{level}\" {{ default = V{} }}\n", level - 1);
    }
    chain = chain.replace("V0\" { default = \"a\"", "V0\" { default = \"${V4999}\"");
    let all = "too much time and memory";
    for (text, expected) in [
        (args("length(range(100000000))"), all),
        (args(&format!("jsonencode({loops})")), all),
        (args("indent(1000000000, \"a\\nb\")"), all),
        (args("format(\"%1000000000d\", 1)"), "more than 1024"),
        (args("replace(join(\"\", [for x in range(9999) : \"a\"]), \"\", join(\"\", [for x in range(9999) : \"b\"]))"), all),
        (args("length(setproduct(range(999), range(999), range(999)))"), all),
        (doubled, all),
        (chain, "nested more than"),
        ("variable \"A\" { default = B }\nvariable \"B\" { default = A }".to_owned(), "depends on itself"),
        ("function \"f\" {\n params = [x]\n result = f(x)\n}\ntarget \"default\" {\n tags = [f(1)]\n}".to_owned(), "function f calls itself"),
        ("target \"a\" { args = { X = target.b.tags[0] } }\ntarget \"b\" { tags = [target.a.args.X] }".to_owned(), "depends on itself"),
        ("target \"t\" {\n name = \"t${x}${y}\"\n matrix = { x = range(99), y = range(99) }\n}".to_owned(), "more than 1000 targets"),
        (args(&format!("{}1{}", "(".repeat(5000), ")".repeat(5000))), "bake.hcl:2: "),
    ] {
        let found = error("bake.hcl", &text);
        assert!(found.contains(expected), "{}: {found}", &text[..text.len().min(200)]);
    }
}

#[test]
fn targets_that_inherit_in_a_circle_end() {
    let text = "target \"default\" {\n inherits = [\"b\"]\n tags = [\"d\"]\n}\ntarget \"b\" {\n inherits = [\"default\"]\n args = { B = 1 }\n}";
    let resolved = resolve("bake.hcl", text, &[]).unwrap();
    let (_, value) = resolved.targets["default"].map("args").next().unwrap();
    assert_eq!(value, "1");
    let diamonds = (1..200).map(|level| {
        let below = level - 1;
        format!("target \"t{level}\" {{ contexts = {{ a = \"target:t{below}\", b = \"target:t{below}\" }} }}\n")
    });
    let text = diamonds.collect::<String>()
        + "target \"t0\" {}\ngroup \"default\" { targets = [\"t199\"] }";
    let resolved = resolve("bake.hcl", &text, &[]).unwrap();
    let order = resolved.in_order();
    assert_eq!((order.len(), order[0], order[199]), (200, "t0", "t199"));
}
