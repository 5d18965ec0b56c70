//! Saltline.
fn main() {}
