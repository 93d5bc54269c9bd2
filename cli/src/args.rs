//! The command line: commands, flags, and what each may be.

mod operator;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand};

use crate::supervisor::topology;

pub(crate) use operator::{Doctor, Sagas, SagasCommand, Tasks, TasksCommand};

/// More copies than this of one application on one machine are a typing error.
const MAX_REPLICAS: u16 = 64;

const CALL_ENDS: &str = "\
Prints every response as JSON on standard output. A call that is refused prints its
google.rpc.Status on standard error and exits with 64 plus its code, as grpcurl does:
NOT_FOUND (5) is 69. Anything else that goes wrong exits with 1.";

const EXPLAINS: &str = "\
The contract comes from the server by gRPC reflection. What it leaves open, and the limits,
are those of the mesh that this command was built with; where a limit is a setting, the
server's operator may have set another. The edge knows the contracts of the services behind
it; for the mesh's own, such as titan.mesh.v1.RegistryService, name a process by --address.";

const ROUTES: &str = "\
The edge is asked by gRPC reflection and answers with the contracts that it serves at this
moment: those that it has refused, and those of the mesh's own services, are not among them.";

/// Runs the Titan system on this machine and talks to it.
#[derive(Debug, Parser)]
#[command(name = "titan", version, propagate_version = true)]
pub(crate) struct Args {
    /// Where databases, logs and the key of the mesh are kept.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "TITAN_DATA",
        default_value = ".titan",
        hide_env_values = true
    )]
    pub data: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `titan` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything, restart what dies, stop everything on Ctrl-C
    Up(Up),
    /// Drain and stop what `titan up` started
    Down,
    /// Show what runs
    Status(Status),
    /// Show what the applications wrote
    Logs(Logs),
    /// Stop an application's processes and start them again, one after the other
    Restart(Restart),
    /// Copy all databases while the system runs
    Backup(Backup),
    /// Put a backup in the place of all databases
    Restore(Restore),
    /// Show sagas, and decide about those that need a human
    Sagas(Sagas),
    /// Show tasks that were given up, and try or remove them
    Tasks(Tasks),
    /// Check what durability rests on
    Doctor(Doctor),
    /// Call a method; its schema comes from the server by gRPC reflection
    Call(Call),
    /// Show what applies to calls of a method, and where each number comes from
    Explain(Explain),
    /// Show events and consumers, and decide over parked streams
    Events(crate::events::args::Events),
    /// List which requests over HTTP lead to which methods
    Routes(Routes),
    /// Sign in; `titan call` then calls as that user
    Login(Login),
    /// Sign out and forget the session
    Logout,
}

/// `titan up`
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Up {
    /// Run N processes of an application (may be repeated)
    #[arg(long, value_name = "APP=N", value_parser = replicas)]
    pub replicas: Vec<Replicas>,
    /// Where the edge serves REST and gRPC; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Run only these applications (and the registry, which all of them need)
    #[arg(long, value_name = "APP,..", value_delimiter = ',', value_parser = application)]
    pub only: Vec<String>,
    /// Where the services keep their state; {app} becomes the application's name
    /// [default: sqlite:DIR/data/{app}.db]
    #[arg(long, value_name = "URL", value_parser = database)]
    pub database: Option<String>,
    /// Start although this check of `titan doctor` finds something unsafe (may be
    /// repeated), such as fsync
    #[arg(long, value_name = "CHECK")]
    pub allow: Vec<String>,
    /// Send traces to this OTLP endpoint, such as `http://127.0.0.1:4317`
    #[arg(long, value_name = "URL")]
    pub otlp: Option<String>,
    /// Return when everything is healthy and leave it running
    #[arg(long)]
    pub detach: bool,
    /// The process that `--detach` leaves running.
    #[arg(long, hide = true, conflicts_with = "detach")]
    pub background: bool,
}

/// How many processes of an application run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replicas {
    /// The application.
    pub app: String,
    /// From one up.
    pub count: u16,
}

/// `titan status`
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Print titan.mesh.v1.GetStatusResponse as JSON
    #[arg(long)]
    pub json: bool,
}

/// `titan logs`
#[derive(Debug, clap::Args)]
pub(crate) struct Logs {
    /// Applications or single processes (`projects`, `projects-2`); all when none is named
    #[arg(value_name = "APP")]
    pub names: Vec<String>,
    /// Go on with what is written from now on
    #[arg(short, long)]
    pub follow: bool,
    /// How many lines of each process to begin with
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 100)]
    pub lines: usize,
    /// Print lines as they were written instead of in a readable form
    #[arg(long)]
    pub raw: bool,
}

/// `titan restart`
#[derive(Debug, clap::Args)]
pub(crate) struct Restart {
    /// The application
    #[arg(value_parser = application)]
    pub app: String,
}

/// `titan backup`
#[derive(Debug, clap::Args)]
pub(crate) struct Backup {
    /// A folder that does not exist yet [default: backups/TIME in the data directory]
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Where the services keep their state, if `titan up` was told
    #[arg(long, value_name = "URL", value_parser = database)]
    pub database: Option<String>,
}

/// `titan restore`
#[derive(Debug, clap::Args)]
pub(crate) struct Restore {
    /// The folder that `titan backup` made
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Where the services keep their state, if `titan up` was told
    #[arg(long, value_name = "URL", value_parser = database)]
    pub database: Option<String>,
    /// Do not keep a copy of what is replaced
    #[arg(long)]
    pub discard: bool,
}

/// `titan call`
#[derive(Debug, clap::Args)]
#[command(after_help = CALL_ENDS)]
pub(crate) struct Call {
    /// The method, such as titan.projects.v1.ProjectsService/ListProjects
    #[arg(value_name = "SERVICE/METHOD", value_parser = method)]
    pub method: Method,
    /// The request: JSON, @FILE, or - for standard input. A client-streaming
    /// method takes any number of JSON values, every other one exactly one
    #[arg(
        short = 'd',
        long,
        value_name = "JSON",
        default_value = "{}",
        allow_hyphen_values = true
    )]
    pub request: String,
    /// Send this header too (may be repeated); the value of a `-bin` header is base64
    #[arg(short = 'H', long = "header", value_name = "KEY: VALUE", value_parser = header)]
    pub headers: Vec<(String, String)>,
    /// Call this address instead of the edge that `titan up` runs
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
    /// Access token to call with, instead of the session of `titan login`
    #[arg(long, value_name = "TOKEN", env = "TITAN_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Print every response on one line, without indentation
    #[arg(long)]
    pub plain_json: bool,
}

/// `titan explain`
#[derive(Debug, clap::Args)]
#[command(after_help = EXPLAINS)]
pub(crate) struct Explain {
    /// The method, such as titan.projects.v1.ProjectsService/GetProject
    #[arg(value_name = "SERVICE/METHOD", value_parser = method)]
    pub method: Method,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Ask this address for the contract instead of the edge that `titan up` runs
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
}

/// `titan routes`
#[derive(Debug, clap::Args)]
#[command(after_help = ROUTES)]
pub(crate) struct Routes {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Ask this address instead of the edge that `titan up` runs
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
}

/// A method by its full name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Method {
    /// `titan.projects.v1.ProjectsService`
    pub service: String,
    /// `ListProjects`
    pub name: String,
}

/// `titan login`
#[derive(Debug, clap::Args)]
pub(crate) struct Login {
    /// E-mail address of the user
    pub email: String,
    /// Read the password from standard input instead of asking for it
    #[arg(long)]
    pub password_stdin: bool,
    /// Sign in at this edge instead of the one that `titan up` runs
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
}

fn application(text: &str) -> Result<String, String> {
    if topology::NAMES.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("there is no such application; there are {}", topology::NAMES.join(", ")))
}

fn replicas(text: &str) -> Result<Replicas, String> {
    let (app, count) = text.split_once('=').ok_or("write APP=N, such as projects=3")?;
    let app = application(app)?;
    let count = match count.parse() {
        Ok(count @ 1..=MAX_REPLICAS) => count,
        _ => return Err(format!("`{count}` is not a number from 1 to {MAX_REPLICAS}")),
    };
    if count > 1 && !topology::may_be_replicated(&app) {
        return Err(format!("{app} runs once, since its address is fixed"));
    }
    Ok(Replicas { app, count })
}

fn database(text: &str) -> Result<String, String> {
    if !text.starts_with("sqlite:") && !text.starts_with("postgres:") {
        return Err("must begin with sqlite: or postgres:".to_owned());
    }
    if !text.contains("{app}") {
        return Err("must contain {app}, since every application has a database of its own".into());
    }
    Ok(text.to_owned())
}

fn method(text: &str) -> Result<Method, String> {
    match text.trim_start_matches('/').split_once('/') {
        Some((service, name)) if !service.is_empty() && !name.is_empty() => {
            Ok(Method { service: service.to_owned(), name: name.to_owned() })
        }
        _ => Err("write SERVICE/METHOD, such as titan.projects.v1.ProjectsService/ListProjects"
            .to_owned()),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once(':').ok_or("write 'key: value'")?;
    let key = key.trim().to_ascii_lowercase();
    if key.is_empty() {
        return Err("the key is missing; write 'key: value'".to_owned());
    }
    Ok((key, value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, error::ErrorKind};

    use super::*;

    fn up(flags: &[&str]) -> Result<Up, clap::Error> {
        let words = ["titan", "up"].iter().chain(flags);
        match Args::try_parse_from(words)?.command {
            Command::Up(options) => Ok(options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn up_runs_everything_once_on_port_8080() {
        let options = up(&[]).unwrap();
        assert_eq!(options.listen, "127.0.0.1:8080".parse().unwrap());
        assert!(options.replicas.is_empty() && options.only.is_empty() && !options.detach);
    }

    #[test]
    fn replicas_and_lists_of_applications_are_read() {
        let flags = ["--replicas", "projects=3", "--replicas=applicants=2", "--only", "a,b"];
        assert!(up(&flags).is_err(), "a and b do not exist");
        let options = up(&["--replicas", "projects=3", "--only", "projects,gateway"]).unwrap();
        assert_eq!(options.replicas, [Replicas { app: "projects".to_owned(), count: 3 }]);
        assert_eq!(options.only, ["projects", "gateway"]);
    }

    #[test]
    fn wrong_values_are_usage_errors() {
        for flags in [
            &["--replicas", "projects"][..],
            &["--replicas", "projects=0"],
            &["--replicas", "projects=many"],
            &["--replicas", "projects=1000"],
            &["--replicas", "unknown=2"],
            &["--replicas", "gateway=2"],
            &["--listen", "8080"],
            &["--only", "projects,unknown"],
            &["--database", "mysql://{app}"],
            &["--database", "postgres://localhost/titan"],
        ] {
            let error = up(flags).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ValueValidation, "{flags:?}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn the_data_directory_may_be_named_before_or_after_the_command() {
        for words in [["titan", "--data", "d", "down"], ["titan", "down", "--data", "d"]] {
            assert_eq!(Args::try_parse_from(words).unwrap().data, PathBuf::from("d"));
        }
    }

    #[test]
    fn a_method_is_a_service_and_a_name() {
        let expected = Method { service: "a.B".to_owned(), name: "C".to_owned() };
        assert_eq!(method("a.B/C").as_ref(), Ok(&expected));
        assert_eq!(method("/a.B/C").as_ref(), Ok(&expected));
        for wrong in ["a.B.C", "a.B/", "/", ""] {
            assert!(method(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_header_is_a_key_and_a_value() {
        assert_eq!(header("If-Match: x:y"), Ok(("if-match".to_owned(), "x:y".to_owned())));
        for wrong in ["if-match", ": x"] {
            assert!(header(wrong).is_err(), "{wrong}");
        }
    }
}
