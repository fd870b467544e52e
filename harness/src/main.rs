//! The binary: everything is in the library, where tests can call it.

use std::process::ExitCode;

fn main() -> ExitCode {
    soundcheck::cli::dispatch::main()
}
