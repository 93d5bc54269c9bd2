//! What one run will be: its addresses, its processes and their settings, all
//! checked before the first process starts.

use std::{
    env, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use mesh::Settings;
use tokio::{sync::Notify, time};

use super::report::Report;
use crate::{
    args::{Replicas, Up},
    directory::{Directory, Run},
    output,
    supervisor::{
        Supervisor,
        grpc::Control,
        process::Spec,
        topology::{self, Application, EDGE, Place, REGISTRY},
    },
};

/// Ports that stay the same for a run are taken from here: below those that the
/// system gives to outgoing connections, or such a connection could sit on the
/// port of a registry that is just being restarted.
const FIXED_PORTS: std::ops::Range<u16> = 20_000..32_768;

/// How many ports are tried before the machine is declared full.
const PORT_ATTEMPTS: usize = 100;

/// How long the processes of a run that died may take to notice and drain.
const LEFTOVERS: Duration = Duration::from_secs(10);

/// Setting `drain_timeout`, as the processes have it.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);

/// What a process gets beyond its `drain_timeout` before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// A run that is ready to start.
#[derive(Debug)]
pub(crate) struct Plan {
    place: Place,
    applications: Vec<Application>,
    replicas: Vec<Replicas>,
    programs: PathBuf,
    /// Where the supervisor answers.
    address: SocketAddr,
}

impl Plan {
    /// Makes the plan. `stale`: the last run in the directory died.
    ///
    /// # Errors
    /// What must be put right first: a port that is taken, a missing program.
    pub(crate) async fn new(
        directory: &Directory,
        options: &Up,
        stale: bool,
    ) -> anyhow::Result<Self> {
        let database = options.database.clone().unwrap_or_else(|| directory.database());
        let place = Place {
            registry: fixed_address()?,
            registry_admin: fixed_address()?,
            edge: edge_address(options.listen, stale).await?,
            database: accepting(database, &options.allow),
            mesh_key: directory.key()?,
            drain_timeout: drain_timeout()?,
            otlp: options.otlp.clone(),
        };
        let plan = Self {
            applications: chosen(&place, &options.only),
            place,
            replicas: options.replicas.clone(),
            programs: programs()?,
            address: fixed_address()?,
        };
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> anyhow::Result<()> {
        for app in &self.applications {
            let program = self.programs.join(app.name);
            if !program.is_file() {
                bail!("{} is missing; run `make build`", program.display());
            }
        }
        for replicas in &self.replicas {
            if !self.applications.iter().any(|app| app.name == replicas.app) {
                bail!("--replicas {}: --only leaves it out", replicas.app);
            }
        }
        Ok(())
    }

    /// The supervisor as a member of the mesh.
    pub(crate) fn app(&self) -> anyhow::Result<mesh::App> {
        let listen = self.address.to_string();
        let key = self.place.mesh_key.display().to_string();
        let pairs = [("listen", listen.as_str()), ("mesh_key_file", &key), ("log", "off")];
        Ok(mesh::App::new(Settings::from_pairs("titan", &pairs))?)
    }

    /// The processes in the order in which they start.
    pub(crate) fn specs(&self, directory: &Directory) -> Vec<Spec> {
        let replicas = |app: &Application| {
            let given = self.replicas.iter().rev().find(|given| given.app == app.name);
            1..=given.map_or(1, |given| given.count)
        };
        self.applications
            .iter()
            .flat_map(|app| replicas(app).map(|number| self.spec(directory, app, number)))
            .collect()
    }

    fn spec(&self, directory: &Directory, app: &Application, number: u16) -> Spec {
        let name = match number {
            1 => app.name.to_owned(),
            _ => format!("{}-{number}", app.name),
        };
        let fixed = (self.place.registry, self.place.registry_admin);
        Spec {
            log: directory.log(&name),
            name,
            app: app.name.to_owned(),
            program: self.programs.join(app.name),
            arguments: Vec::new(),
            settings: app.settings.clone(),
            addresses: (app.name == REGISTRY).then_some(fixed),
            patience: self.place.drain_timeout + GRACE,
        }
    }

    /// The databases that the run is about to use, by the applications' names.
    pub(crate) fn databases(&self) -> Vec<(String, String)> {
        let named = self.applications.iter().map(|app| app.name);
        let stateful = named.filter(|app| topology::has_database(app));
        stateful.map(|app| (app.to_owned(), self.place.database.replace("{app}", app))).collect()
    }

    /// What other commands are answered.
    pub(crate) fn control(
        &self,
        directory: &Directory,
        supervisor: Supervisor,
        stop: Arc<Notify>,
    ) -> Control {
        Control {
            supervisor,
            edge: self.edge().unwrap_or_default(),
            registry: self.place.registry.to_string(),
            directory: directory.path().display().to_string(),
            stop,
        }
    }

    /// What is told of this run to other commands.
    pub(crate) fn run(&self) -> Run {
        let edge = self.has_edge().then_some(self.place.edge);
        Run { pid: process::id(), address: self.address, edge }
    }

    /// The report of this run.
    pub(crate) fn report(&self) -> Report {
        let processes = self.applications.iter().map(|app| app.name.to_owned());
        let extra = self.replicas.iter().flat_map(|given| {
            (2..=given.count).map(move |number| format!("{}-{number}", given.app))
        });
        Report::new(processes.chain(extra), self.edge())
    }

    fn edge(&self) -> Option<String> {
        self.has_edge().then(|| topology::url(self.place.edge))
    }

    fn has_edge(&self) -> bool {
        self.applications.iter().any(|app| app.name == EDGE)
    }
}

/// The applications that were chosen; all when none was. Nothing works without
/// the registry.
fn chosen(place: &Place, only: &[String]) -> Vec<Application> {
    let chosen = |app: &Application| {
        only.is_empty() || app.name == REGISTRY || only.iter().any(|name| name == app.name)
    };
    topology::applications(place).into_iter().filter(chosen).collect()
}

/// What is accepted here must not be refused by the services, which look again. Of
/// SQLite they refuse only what they cannot put right themselves.
fn accepting(mut database: String, allowed: &[String]) -> String {
    if !allowed.is_empty() && !database.starts_with("sqlite:") {
        let sign = if database.contains('?') { '&' } else { '?' };
        database.push_str(&format!("{sign}allow_unsafe={}", allowed.join(",")));
    }
    database
}

/// The programs of the applications lie beside this one.
fn programs() -> anyhow::Result<PathBuf> {
    let this = env::current_exe().context("cannot tell where this program is")?;
    Ok(this.parent().map_or_else(PathBuf::new, Path::to_owned))
}

/// From the environment; the processes are told the result.
fn drain_timeout() -> anyhow::Result<Duration> {
    let given = env::var("TITAN_DRAIN_TIMEOUT").ok();
    let pairs: Vec<_> = given.iter().map(|text| ("drain_timeout", text.as_str())).collect();
    let mut settings = Settings::from_pairs("titan", &pairs);
    let timeout = settings.get("drain_timeout", DRAIN_TIMEOUT);
    settings.finish()?;
    Ok(timeout)
}

/// An address that stays for the run.
fn fixed_address() -> anyhow::Result<SocketAddr> {
    (0..PORT_ATTEMPTS)
        .map(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, fastrand::u16(FIXED_PORTS))))
        .find(|address| TcpListener::bind(address).is_ok())
        .context("no free port was found from 20000 to 32767")
}

/// The edge's address, which must be free. After a run that died, its processes
/// may need a moment to go.
async fn edge_address(listen: SocketAddr, stale: bool) -> anyhow::Result<SocketAddr> {
    if listen.port() == 0 {
        return Ok(SocketAddr::new(listen.ip(), fixed_address()?.port()));
    }
    let deadline = time::Instant::now() + if stale { LEFTOVERS } else { Duration::ZERO };
    let mut told = false;
    loop {
        match TcpListener::bind(listen) {
            Ok(_) => return Ok(listen),
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                return Err(error).with_context(|| format!("cannot listen on {listen}"));
            }
            Err(_) if time::Instant::now() >= deadline => bail!(
                "{listen} is taken by another program; stop that, or choose another address with \
                 --listen, such as --listen 127.0.0.1:0 for any free port"
            ),
            Err(_) if !told => {
                told = true;
                output::complain(format_args!("titan: waiting for {listen}: the last run died"));
            }
            Err(_) => time::sleep(Duration::from_millis(100)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_passed_on_to_the_services() {
        let allowed = ["fsync".to_owned(), "role".to_owned()];
        for (url, passed) in [
            ("sqlite:/a/{app}.db", "sqlite:/a/{app}.db"),
            ("postgres://h/{app}", "postgres://h/{app}?allow_unsafe=fsync,role"),
            ("postgres://h/{app}?a=b", "postgres://h/{app}?a=b&allow_unsafe=fsync,role"),
        ] {
            assert_eq!(accepting(url.to_owned(), &allowed), passed);
            assert_eq!(accepting(url.to_owned(), &[]), url);
        }
    }

    fn place() -> Place {
        Place {
            registry: "127.0.0.1:20001".parse().unwrap(),
            registry_admin: "127.0.0.1:20002".parse().unwrap(),
            edge: "127.0.0.1:8080".parse().unwrap(),
            database: "sqlite:/state/data/{app}.db".to_owned(),
            mesh_key: "/state/mesh.key".into(),
            drain_timeout: DRAIN_TIMEOUT,
            otlp: None,
        }
    }

    fn plan(only: &[&str], replicas: &[(&str, u16)]) -> Plan {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        Plan {
            applications: chosen(&place(), &only),
            place: place(),
            replicas: replicas
                .iter()
                .map(|(app, count)| Replicas { app: (*app).to_owned(), count: *count })
                .collect(),
            programs: "/nowhere".into(),
            address: "127.0.0.1:20003".parse().unwrap(),
        }
    }

    fn names(plan: &Plan) -> Vec<String> {
        let directory = Directory::at(Path::new("/state"));
        plan.specs(&directory).into_iter().map(|spec| spec.name).collect()
    }

    #[test]
    fn one_process_of_each_application_runs() {
        assert_eq!(names(&plan(&[], &[])), topology::NAMES);
    }

    #[test]
    fn replicas_are_numbered_and_share_their_settings() {
        let plan = plan(&["identity", "projects", "gateway"], &[("projects", 3)]);
        let expected = ["registry", "identity", "projects", "projects-2", "projects-3", "gateway"];
        assert_eq!(names(&plan), expected);
        let specs = plan.specs(&Directory::at(Path::new("/state")));
        assert_eq!(specs[2].settings, specs[4].settings);
        assert_ne!(specs[2].log, specs[4].log);
        assert_eq!(specs[4].app, "projects");
    }

    #[test]
    fn a_choice_always_includes_the_registry() {
        let plan = plan(&["projects", "identity"], &[]);
        assert_eq!(names(&plan), ["registry", "identity", "projects"]);
        assert_eq!(plan.edge(), None);
    }

    #[test]
    fn a_missing_program_is_named_with_what_to_do() {
        let error = plan(&[], &[]).check().unwrap_err().to_string();
        assert!(error.contains("/nowhere/registry") && error.contains("make build"), "{error}");
    }

    #[tokio::test]
    async fn a_taken_port_is_refused_and_port_zero_finds_a_free_one() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = edge_address(address, false).await.unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("--listen"), "{error}");
        let free = edge_address("127.0.0.1:0".parse().unwrap(), false).await.unwrap();
        assert!(FIXED_PORTS.contains(&free.port()));
    }

    #[tokio::test]
    async fn after_a_run_that_died_the_port_is_waited_for() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let waiting = edge_address(address, true);
        tokio::pin!(waiting);
        // The first look finds it taken; then the last process of the old run goes.
        assert!(time::timeout(Duration::from_millis(1), &mut waiting).await.is_err());
        drop(taken);
        assert_eq!(waiting.await.unwrap(), address);
    }
}
