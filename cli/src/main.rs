//! The `titan` command: runs a whole system on one machine and talks to it.

mod args;
mod backup;
mod call;
mod client;
mod control;
mod detach;
mod directory;
mod doctor;
mod events;
mod explain;
mod failure;
mod json;
mod login;
mod logs;
mod operator;
mod output;
mod password;
mod routes;
mod sagas;
mod schema;
mod session;
mod signals;
mod status;
mod supervisor;
mod tasks;
mod up;

use std::process::ExitCode;

use args::{Args, Command};
use clap::Parser as _;

// The supervisor waits, most of the time: one thread is all it needs.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Args { data, command } = Args::parse();
    let done = match command {
        Command::Up(options) if options.detach => detach::run(&data, &options).await,
        Command::Up(options) => up::run(&data, &options).await,
        Command::Down => control::down(&data).await,
        Command::Restart(options) => control::restart(&data, options).await,
        Command::Status(options) => status::run(&data, &options).await,
        Command::Logs(options) => logs::run(&data, options).await,
        Command::Backup(options) => backup::backup(&data, &options).await,
        Command::Restore(options) => backup::restore(&data, &options).await,
        Command::Sagas(options) => sagas::run(&data, options).await,
        Command::Tasks(options) => tasks::run(&data, options).await,
        Command::Doctor(options) => doctor::run(&data, &options).await,
        Command::Call(options) => call::run(&data, options).await,
        Command::Events(options) => events::run(&data, options).await,
        Command::Explain(options) => explain::run(&data, &options).await,
        Command::Routes(options) => routes::run(&data, &options).await,
        Command::Login(options) => login::login(&data, options).await,
        Command::Logout => login::logout().await,
    };
    failure::exit_code(done)
}
