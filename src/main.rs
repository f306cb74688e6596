//! The binary: read the command line, run, set the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    countersign::cli::main()
}
