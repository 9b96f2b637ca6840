//! The `session-gateway` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    session_gateway::cli::main()
}
