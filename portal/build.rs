//! Compiles the room again when npm has built its scripts anew.

fn main() {
    println!("cargo:rerun-if-changed=web/dist");
}
