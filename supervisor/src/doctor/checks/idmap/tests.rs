//! What is made of id maps and ranges.

use super::*;

const POD: [Range; 1] = [Range {
    start: 0,
    count: 65536,
}];

fn case(text: &str) -> &'static str {
    judge(text, "runner", 1000, 1000, &POD).map_or_else(|(case, _)| case.name, |_| "ok")
}

#[test]
fn each_fault_of_the_file_has_its_own_case() {
    assert_eq!(case("runner:1:999\nrunner:1001:64535\n"), "ok");
    assert_eq!(case("1000:1:999\n"), "ok");
    assert_eq!(case("root:1:999\n"), "no-entry");
    assert_eq!(case(""), "no-entry");
    assert_eq!(case("runner:1\n"), "malformed");
    assert_eq!(case("runner:1:999\nrunner:x:1\n"), "malformed");
    assert_eq!(case("runner:1:999\nrunner:500:10\n"), "overlap");
    assert_eq!(case("runner:1:65535\n"), "own-id");
    assert_eq!(case("runner:100000:65536\n"), "outside");
    assert_eq!(case("runner:60000:6000\n"), "outside");
}

#[test]
fn what_is_advised_is_granted_for_each_id_apart() {
    for own in [0, 1, 2, 1000, 2000, 65534, 65535, 100_000] {
        let text = advice("runner", own).replace("\\n", "\n");
        let total = judge(&text, "runner", 1000, own, &POD);
        assert!(total.is_ok_and(|total| total >= 65534), "{own}: {text}");
    }
}

#[test]
fn the_line_to_paste_serves_user_and_group_apart() {
    let check = &CHECKS[1];
    let finding = Finding::case(OWN_ID, "")
        .fill("subuids", advice("runner", 1000))
        .fill("subgids", advice("runner", 2000));
    let scene = Scene::of(&crate::config::Config::default());
    let cure = finding.outcome(check, &scene).cure.unwrap();
    let line = "RUN printf 'runner:1:999\\nrunner:1001:64535\\n' >/etc/subuid && printf 'runner:1:1999\\nrunner:2001:63535\\n' >/etc/subgid";
    assert!(cure.contains(line), "{cure}");
}
