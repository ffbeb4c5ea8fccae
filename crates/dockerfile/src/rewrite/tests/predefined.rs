//! Predefined arguments, and what else takes values: the ports of EXPOSE.

use super::*;

#[test]
fn predefined_arguments_take_a_default() {
    let text = "ARG BUILDPLATFORM=linux/amd64\nFROM --platform=$BUILDPLATFORM a.example/base\nARG TARGETPLATFORM=linux/amd64";
    let wanted =
        "ARG BUILDPLATFORM\nFROM --platform=$BUILDPLATFORM a.example/base\nARG TARGETPLATFORM";
    assert_eq!(rewritten(text).unwrap().texts, [wanted]);
    let found = rewritten("FROM a.example/base\nARG TARGETARCH=arm64").unwrap();
    assert_eq!(
        found.build_args,
        [("TARGETARCH".to_owned(), "arm64".to_owned())].into()
    );
    for text in [
        "FROM a\nARG TARGETARCH=arm64\nFROM b\nARG TARGETARCH",
        "ARG TARGETARCH\nFROM a-$TARGETARCH\nARG TARGETARCH=arm64",
        "ARG BUILDPLATFORM=linux/s390x\nFROM a",
        "FROM a\nARG TARGETPLATFORM=linux/arm64",
    ] {
        assert!(
            rewritten(text).unwrap_err().contains("default of its own"),
            "{text}"
        );
    }
}

#[test]
fn several_platforms_give_predefined_arguments_a_value() {
    let mut build = build_options();
    build.predefined.clear();
    let options = RewriteOptions {
        build: &build,
        network_none: false,
        nonce: None,
    };
    let text =
        |variable: &str| format!("FROM a.example/base\nARG TARGETARCH\nCOPY bin/{variable} /x\n");
    let found = rewrite(&[text("${TARGETARCH:?a platform}")], options).unwrap();
    assert_eq!(without_identities(&found.texts[0]), text("${TARGETARCH}"));
}

#[test]
fn ports_of_a_range_are_ports() {
    assert_eq!(
        lines("EXPOSE 80 8000-8002/udp 1-$X"),
        "EXPOSE 80 8000/udp 8001/udp 8002/udp 1-$X"
    );
    let ranges = refused("EXPOSE 1-65535\nEXPOSE 1-65535");
    assert!(
        ranges.contains("line 3") && ranges.contains("ports"),
        "{ranges}"
    );
    assert_eq!(
        lines("EXPOSE 53 \\\n  80\nEXPOSE 53/tcp 53/udp 81\nEXPOSE 53/udp 1-1"),
        "EXPOSE 53 \\\n  80 53/udp\nEXPOSE 53/tcp 53/udp 81\nEXPOSE 53/udp 1"
    );
}
