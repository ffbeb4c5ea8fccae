//! What an operation makes, as the builder notes it.

use super::Fixture;
use crate::facts::Product;

fn product(line: &str) -> Product {
    let fixture = Fixture::new("FROM scratch\n");
    fixture
        .plan_with_input(line, br#"{"manifests":[]}"#)
        .unwrap()
        .product
}

fn push(target: &str, file: &str) -> Product {
    Product::push(target.to_owned(), file)
}

#[test]
fn builds_have_names_and_pushes_a_file_with_the_digest() {
    let names = vec!["app:1".to_owned(), "app:2".to_owned()];
    let build = "build --tag app:1 -t app:2 .";
    assert_eq!(product(build), Product::Build(names));
    let target = "registry.example/app:1";
    let pushed = product(&format!("push app:1 docker://{target}"));
    assert_eq!(pushed, push(target, "digest"));
    let given = product(&format!("push --digestfile d app:1 docker://{target}"));
    assert_eq!(given, push(target, "out-0"));
    assert_eq!(product("push app docker-archive:./a.tar"), Product::Nothing);
    let copied = product(&format!("registry copy app:1 {target}"));
    assert_eq!(copied, push(target, "digest"));
    let list = product(&format!("registry index {target}"));
    assert_eq!(list, push(target, "digest"));
    assert_eq!(product("images"), Product::Nothing);
    // With a digest's file, it ends with 0 if the push fails (Buildah 1.39).
    let list = product(&format!("manifest push list docker://{target}"));
    let unknown = Product::Push {
        target: target.to_owned(),
        digest_file: None,
    };
    assert_eq!(list, unknown);
}

#[test]
fn the_program_of_a_push_writes_the_file() {
    let fixture = Fixture::new("FROM scratch\n");
    for line in [
        "push app registry.example/app",
        "registry copy app registry.example/app",
        "registry index registry.example/app",
        "registry push app registry.example/app",
    ] {
        let planned = fixture.plan_with_input(line, br#"{"manifests":[]}"#);
        let line = planned.unwrap().program.arguments().join(" ");
        assert!(line.contains("/own/memory/digest"), "{line}");
    }
}
