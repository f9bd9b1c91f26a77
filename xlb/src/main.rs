//! The `xlb` command.
fn main() {}
