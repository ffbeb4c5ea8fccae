//! The fake of GitHub's Runner.Listener as a program.

fn main() {
    fakes::runner_listener::main();
}
