//! The child's side of a check: looks, and says what it found. It is a copy of us, or us again with the scene on stdin.

use std::io::Read;

use super::check::Check;
use super::checks;
use super::scene::Scene;
use crate::exit;
use crate::sys::userns::die_with_parent;

/// The name of the trial that runs one check.
pub const NAME: &str = "check";

/// Runs check `id` on the scene from stdin and prints its outcome as one line of JSON.
#[must_use]
pub fn main(id: &str) -> u8 {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    let scene: Option<Scene> = read.ok().and_then(|_| serde_json::from_str(&text).ok());
    let (Some(scene), Some(check)) = (scene, checks::find(id)) else {
        return exit::USAGE;
    };
    if die_with_parent().is_err() {
        return exit::INTERNAL;
    }
    look(check, &scene)
}

/// The same where check and scene are at hand.
pub(super) fn look(check: &'static Check, scene: &Scene) -> u8 {
    let outcome = (check.look)(scene).outcome(check, scene);
    println!("{}", serde_json::to_string(&outcome).unwrap_or_default());
    0
}
