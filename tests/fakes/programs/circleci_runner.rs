//! The fake of CircleCI's machine runner as a program.

fn main() {
    fakes::circleci_runner::main();
}
