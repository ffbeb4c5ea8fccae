//! What the linker has to be told beyond what the code says.

fn main() {
    // The standard library refers to this function weakly. Link-time optimization makes one declaration of that and of our
    // own in sys/posix_spawn.rs, and a static link then leaves a weak function out: calling it would be a jump to nowhere.
    println!("cargo::rustc-link-arg=-Wl,--undefined=posix_spawn_file_actions_addchdir_np");
    println!("cargo::rerun-if-changed=build.rs");
}
