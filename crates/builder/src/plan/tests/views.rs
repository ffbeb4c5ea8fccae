//! What a build sees of its contexts.

use super::*;
use crate::operation::View;

fn views(fixture: &Fixture, line: &str, docker: bool) -> Vec<View> {
    let environment: &[(&str, &str)] = if docker { &[("docker build", "")] } else { &[] };
    let build = fixture.plan(line, environment).unwrap();
    for name in build.inputs.iter().filter_map(|input| input.view.as_ref()) {
        let name = name.ignore.as_deref();
        assert!(
            name.is_none_or(|name| file(&build, name).is_some()),
            "{name:?}"
        );
    }
    let inputs = build.inputs.into_iter();
    inputs.filter_map(|input| input.view).collect()
}

#[test]
fn a_context_is_seen_without_the_ignored_files() {
    let mut fixture = Fixture::new("FROM scratch");
    let whole = View {
        ignore: None,
        overlay: true,
        masks: false,
    };
    assert_eq!(views(&fixture, "build .", false), [whole]);
    std::fs::write(fixture.directory.path().join(".dockerignore"), "a\n").unwrap();
    let view = &views(&fixture, "build .", false)[0];
    assert!(view.ignore.is_some() && view.overlay && view.masks);
    fixture.settings.storage.mount_program = true;
    let view = &views(&fixture, "build .", false)[0];
    assert!(view.ignore.is_some() && !view.overlay && view.masks);
    std::fs::write(fixture.directory.path().join(".dockerignore"), "a\n[\n").unwrap();
    fixture.refused("build .", ".dockerignore, line 2: \"[\" is no pattern");
}

#[test]
fn a_named_context_has_an_ignore_file_of_its_own_for_docker() {
    let mut fixture = Fixture::new("FROM scratch");
    let other = fixture.directory.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join(".dockerignore"), "secret\n").unwrap();
    let line = "build --build-context x=other .";
    let ignores = |fixture: &Fixture, docker| {
        let views = views(fixture, line, docker);
        assert_eq!(views.len(), 2);
        views[0].ignore.is_some() && !views[0].masks
    };
    assert!(ignores(&fixture, true) && !ignores(&fixture, false));
    // Without an overlay, COPY would find empty files.
    fixture.settings.storage.driver = "vfs";
    assert!(!ignores(&fixture, true));
}
