//! Makes a hostile tree from any bytes. The wipe must remove it and leave a canary beside it unchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use test_support::hostile_tree;
use wipe::WipeCommand;

fuzz_target!(|bytes: &[u8]| {
    let place = tempfile::tempdir().unwrap();
    let (root, canary) = (place.path().join("workspace"), place.path().join("canary"));
    std::fs::create_dir(&root).unwrap();
    std::fs::create_dir_all(canary.join("below")).unwrap();
    for name in ["one", "below/two"] {
        std::fs::write(canary.join(name), name).unwrap();
    }
    hostile_tree::build(&root, &canary, bytes);
    let request = WipeCommand {
        paths: vec![root.clone()],
        ..WipeCommand::default()
    };
    let wiped = wipe::run(&request).unwrap();
    assert_eq!(wiped.leftover_count, 0, "{wiped:?}");
    assert!(!root.exists());
    for name in ["one", "below/two"] {
        assert_eq!(std::fs::read_to_string(canary.join(name)).unwrap(), name);
    }
});
