//! Compiles the protocol buffers with a pure-Rust compiler, so no `protoc` is needed.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto/control.proto");
    let descriptors = protox::compile(["proto/control.proto"], ["proto"])?;
    let out = Path::new(&env::var("OUT_DIR")?).join("control.fds");
    fs::write(out, descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    println!("cargo:rerun-if-changed=proto/otlp.proto");
    tonic_prost_build::configure().compile_fds(protox::compile(["proto/otlp.proto"], ["proto"])?)?;
    Ok(())
}
