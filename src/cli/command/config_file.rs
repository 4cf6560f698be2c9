//! `config file`: where the config file is.

use super::Context;
use crate::cli::exit::Exit;

/// Prints the path, whether or not the file exists.
pub fn run(context: &mut Context<'_>) -> Exit {
    let path = context.local.config_path().display().to_string();
    context.printer.line(path);
    Exit::OK
}
