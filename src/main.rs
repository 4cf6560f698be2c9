//! Entry point: allocator, crypto provider, command line.

use std::process::ExitCode;

/// A long-lived server with much fan-out: jemalloc keeps fragmentation low over weeks.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Only fails if a provider is installed already, which is as good.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .unwrap_or_default();
    openclaw::cli::main(openclaw::app::run)
}
