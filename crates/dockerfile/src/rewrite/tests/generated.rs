//! Dockerfiles out of random pieces. No text makes the rewriter panic, and each result is its own result.

use super::*;
use crate::images;

const BEGINNINGS: &[&str] = &[
    "RUN ",
    "RUN ",
    "run ",
    "COPY ",
    "ADD ",
    "ENV ",
    "ARG ",
    "EXPOSE ",
    "LABEL ",
    "FROM ",
    "ONBUILD RUN ",
    "WORKDIR ",
    "SHELL [\"x\", \"-c\"]",
    "# x\nRUN ",
    "RUN \\\n# x\n  ",
];

const FLAGS: &[&str] = &[
    "",
    "",
    "--mount=target=/x ",
    "--mount=from=one ",
    "--mount=type=bind,from=ONE,target=/x,rw=1 ",
    "--mount=type=bind,source=$DIR,target=/x \\\n  ",
    "--mount=type=cache,target=/x,ro=true ",
    "--mount=type=secret,id=x,env=Y ",
    "--mount=type=secret,target=/x ",
    "--mount=\"target=/x\" ",
    "--link ",
    "--from=ONE ",
    "--chown=${A-1} ",
    "--link\u{a0}",
    "-- ",
    "--security=sandbox ",
];

const WORDS: &[&str] = &[
    "a",
    "/x",
    " ",
    "=",
    "A=1 ",
    "A=",
    "$A",
    "${A",
    "${A-",
    "${GIVEN+",
    "${GIVEN%",
    "${DIR//",
    "${GIVEN?",
    "${B:-",
    "*",
    "/",
    "}",
    "}",
    "'",
    "\"",
    "\\",
    "\\$",
    "GIVEN",
    "TARGETARCH=x",
    "8000-8002 ",
    "80/udp ",
    "80 ",
    "\u{e9}",
    "\u{85}",
    "${SLASH%x}",
    "${SLASH%x} ",
    "${SHARP%x}",
    "${LINES%x}",
    "${LINES%%?RUN*}",
    "${DOCUMENT%x}",
    "\\\n",
    "\\\n  ",
    "[\"a\", \"b\"]",
    "one",
];

const ENDS: &[&str] = &[
    "\n",
    "\n",
    "\r\n",
    " \\\n\n  # x\n  b\n",
    " <<EOF\nit's $A \\$x\nEOF\n",
    "<<EOF\n${A:-'}\n\"\nEOF\n",
    "<<-'EOF'\n\t#!/bin/sh -e\n\tEOF\n",
    " <<EOF\nEO\\F\nRUN id\nEOF\\\n\\\tx\nEOF\n",
    " <<-EOF\n\tEO\\F\n\\\tx\nE\\OF\\\r\n\tEOF\n",
    " /y\nUSER b\n",
    " <<A <<-B\n1\nA\n\t\\2\n\tB\n",
];

/// xorshift64, Marsaglia 2003.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).unwrap()
}

#[test]
fn every_result_is_its_own_result() {
    let mut build = build_options();
    for (name, value) in [
        ("SLASH", "a\\x"),
        ("SHARP", "#ax"),
        ("LINES", "a\nRUN idx"),
        ("DOCUMENT", "<<EOFx"),
    ] {
        let arguments = &mut build.build_args;
        arguments.insert(name.to_owned(), value.to_owned());
    }
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let (mut changed, mut accepted) = (0, 0);
    let pick = |state: &mut u64, from: &[&'static str]| from[next(state) % from.len()];
    for _ in 0..5000 {
        let mut text = "FROM a.example/base AS one\nRUN true\nFROM a.example/c\n".to_owned();
        text += "ARG SLASH\nARG SHARP\nARG LINES\nARG DOCUMENT\n";
        for _ in 0..=next(&mut state) % 4 {
            text += pick(&mut state, BEGINNINGS);
            text += pick(&mut state, FLAGS);
            for _ in 0..next(&mut state) % 5 {
                text += pick(&mut state, WORDS);
            }
            text += pick(&mut state, ENDS);
        }
        let nonce = (next(&mut state).is_multiple_of(2)).then_some("nonce");
        let options = RewriteOptions {
            build: &build,
            network_none: next(&mut state).is_multiple_of(2),
            nonce,
        };
        let first = match rewrite(std::slice::from_ref(&text), options) {
            Ok(first) => first,
            Err(error) => {
                // No change of these texts needs that check.
                let structure = matches!(error.problem, Problem::Structure);
                assert!(!structure, "{text:?}: {error}");
                continue;
            }
        };
        accepted += 1;
        changed += usize::from(first.texts[0] != text);
        let second = rewrite(&first.texts, options);
        let second = second.unwrap_or_else(|error| panic!("{text:?}: {error}: {first:?}"));
        assert_eq!(first.texts, second.texts, "{text:?}");
        // The security reading takes any text.
        let _ = images(&first.texts, &build);
    }
    assert!(changed > 1000, "{changed} texts were changed");
    assert!(accepted > 2000, "{accepted} texts were accepted");
}
