//! How the supervisor is linked.

fn main() {
    // The standard library refers to it weakly. Link-time optimization makes one symbol of that and of our own use of it
    // (sys/posix_spawn.rs), and a static linker takes no member out of libc for a weak one: it would be called at address 0.
    println!("cargo::rustc-link-arg=-Wl,--undefined=posix_spawn_file_actions_addchdir_np");
    println!("cargo::rerun-if-changed=build.rs");
}
