//! Real programs against the built binary: SDKs, the upstream command line, reverse proxies.
//!
//! Run by `bash .ci/dev clients` and `bash .ci/dev proxies`, which install them; not part of the default test run because
//! it needs Node, Python, nginx, HAProxy and Caddy.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    reason = "a test that meets the unexpected must fail loudly"
)]

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "the other suite uses the rest")]
mod support;

mod proxies;
mod sdks;
mod upstream_cli;

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

/// Longest run of one client program.
const PROGRAM_PATIENCE: Duration = Duration::from_secs(150);

/// Where `.ci/dev` installed the clients.
fn clients_dir() -> PathBuf {
    PathBuf::from(std::env::var_os("OPENCLAW_CLIENTS_DIR").expect("run this suite with: bash .ci/dev clients"))
}

fn node() -> PathBuf {
    clients_dir().join("node/node_modules/node/bin/node")
}

/// Runs a program to its end and returns what it printed; fails unless it succeeded in time.
async fn run(command: std::process::Command) -> String {
    let running = tokio::process::Command::from(command)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output: Output = tokio::time::timeout(PROGRAM_PATIENCE, running)
        .await
        .expect("the program ends in time")
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    stdout
}
