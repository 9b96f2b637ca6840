//! The commands. `serve` opens the store, and so do those that need it closed; all others speak to a running gateway over
//! HTTP, or not at all.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use thiserror::Error;

use crate::config::{Config, ConfigError};
use crate::http::app::openapi_document;
use crate::http::openapi;

mod backup;
mod banner;
mod bound;
mod check;
mod first_secret;
mod gateway;
mod health;
mod http;
mod reload;
mod serve;
mod service;

pub use first_secret::FirstSecretError;
pub use serve::ServeError;

/// A bad setting, as with a bad argument.
const BAD_USAGE: u8 = 2;

/// A session server for microservices. Without a command, it serves.
///
/// Settings are environment variables that start with `SGW_`, also read from `.env`; `.env.example` lists them.
#[derive(Debug, Parser)]
#[command(name = "session-gateway", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve (what happens without a command)
    Serve,
    #[command(about = "Print the OpenAPI document")]
    Openapi,
    /// Exit with 0 if the gateway on `SGW_LISTEN` is ready for requests
    Healthcheck,
    /// Write what a running gateway keeps into a file
    Backup(backup::BackupArguments),
    /// Fill the new store of `SGW_STORE` from a backup
    Restore(backup::RestoreArguments),
    /// Judge the file of `SGW_STORE`, while no gateway has it open, or a backup; nothing is changed
    Check(check::Arguments),
    /// Manage the services of a running gateway
    Service(service::Arguments),
}

/// Why a command failed, in one line.
#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Health(#[from] health::NotReady),
    #[error(transparent)]
    Backup(#[from] backup::BackupError),
    #[error(transparent)]
    Check(#[from] check::CheckError),
    #[error(transparent)]
    Service(#[from] service::ServiceError),
    #[error("the document cannot be written: {0}")]
    Document(#[from] serde_json::Error),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

/// Runs the command that the arguments of the process name.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command.unwrap_or(Command::Serve)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("session-gateway: {failure}");
            match failure {
                Failure::Config(_) => ExitCode::from(BAD_USAGE),
                Failure::Serve(_)
                | Failure::Health(_)
                | Failure::Backup(_)
                | Failure::Check(_)
                | Failure::Service(_)
                | Failure::Document(_)
                | Failure::Output(_) => ExitCode::FAILURE,
            }
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve => serve::run(&Config::load()?)?,
        Command::Openapi => print(&openapi::to_json(&openapi_document())?)?,
        Command::Healthcheck => health::run(&Config::load()?)?,
        Command::Backup(arguments) => backup::back_up(&arguments, &Config::load()?)?,
        Command::Restore(arguments) => backup::restore(&arguments, &Config::load()?)?,
        Command::Check(arguments) => check::run(&arguments, &Config::load()?)?,
        Command::Service(arguments) => service::run(&arguments, &Config::load()?)?,
    }
    Ok(())
}

/// Writes to standard output; a reader that has seen enough (`| head`) is no failure.
fn print(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}
