//! The child's side of checks: looks, and says what it found. It is a copy of us, or us again with the scene on stdin.

use std::ffi::OsString;
use std::io::Read;

use super::check::Check;
use super::checks;
use super::scene::Scene;
use linux::handshake::die_with_parent;
use report::exit;

/// The name of the trial that runs checks.
pub const NAME: &str = "check";

/// Runs the checks `ids` on the scene from stdin and prints the outcome of each as one line of JSON.
#[must_use]
pub fn main(ids: &[OsString]) -> u8 {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    let scene: Option<Scene> = read.ok().and_then(|_| serde_json::from_str(&text).ok());
    let checks: Option<Vec<_>> = ids.iter().map(|id| checks::find(id.to_str()?)).collect();
    let (Some(scene), Some(checks)) = (scene, checks) else {
        return exit::USAGE;
    };
    if die_with_parent().is_err() {
        return exit::INTERNAL;
    }
    look(&checks, &scene)
}

/// The same where checks and scene are at hand.
pub(super) fn look(checks: &[&'static Check], scene: &Scene) -> u8 {
    for check in checks {
        let outcome = (check.look)(scene).outcome(check, scene);
        println!("{}", serde_json::to_string(&outcome).unwrap_or_default());
    }
    0
}
