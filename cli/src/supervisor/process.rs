//! The handle of one supervised process, and what is known of it. A
//! [`Keeper`](super::keeper::Keeper) owns the process itself.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::Instant,
};

use super::{
    event::{Event, What},
    keeper::Keeper,
};

/// Orders that wait for a process. One is being obeyed; who sends more than this
/// many waits.
const ORDERS: usize = 4;

/// What is started, and how.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// Application and number: `projects`, `projects-2`.
    pub name: String,
    /// Application.
    pub app: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment beside the supervisor's.
    pub settings: Vec<(&'static str, String)>,
    /// Where its output goes.
    pub log: PathBuf,
    /// Where it serves, and its admin pages, when that is decided for it.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// How long it may take to end before it is killed.
    pub patience: Duration,
}

/// What a process does now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Not started yet, or ended on purpose.
    #[default]
    Stopped,
    /// Started, not yet known to be healthy.
    Starting,
    /// Serving.
    Up,
    /// Waiting before it is started again.
    BackingOff,
    /// Asked to end, finishing its calls.
    Stopping,
}

/// What is known of a process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    /// What it does now.
    pub state: State,
    /// Its process id; zero when none runs.
    pub pid: u32,
    /// Where it serves; empty until known.
    pub address: String,
    /// Where it serves its admin pages; empty until known.
    pub admin_address: String,
    /// How often it was started again after it died.
    pub restarts: u32,
    /// When the present process was started.
    pub started: Option<SystemTime>,
    /// How the last one ended.
    pub last_exit: String,
    /// How often it was started, for whatever reason.
    pub starts: u64,
    /// Since when it is in this state.
    since: Option<Instant>,
}

impl Status {
    /// Notes that it is in another state from now on.
    pub(super) fn enter(&mut self, state: State) {
        self.state = state;
        self.since = Some(Instant::now());
    }

    /// How long it has been in its state.
    pub(super) fn age(&self) -> Duration {
        self.since.map(|since| since.elapsed()).unwrap_or_default()
    }
}

/// What a keeper is to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Start it, unless it runs.
    Start,
    /// End it, if it runs, and start it again.
    Restart,
    /// Ask it to end, and drop this when it has ended.
    Stop(oneshot::Sender<()>),
    /// End it at once, and drop this when it has ended.
    Kill(oneshot::Sender<()>),
}

/// The end of a process that was asked to end.
#[derive(Debug)]
pub(crate) struct End(oneshot::Receiver<()>);

impl End {
    /// Waits until it has ended.
    pub(crate) async fn come(self) {
        // Nothing is ever sent: the other half is dropped, with the end or with
        // the keeper.
        let _ = self.0.await;
    }
}

/// The handle of a supervised process. A clone is the same process.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// Application and number.
    pub name: String,
    /// Application.
    pub app: String,
    /// Where it serves, and its admin pages, when that was decided for it.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    status: watch::Sender<Status>,
    orders: mpsc::Sender<Order>,
    events: mpsc::Sender<Event>,
}

impl Process {
    /// A process that waits for [`Process::start`], tended by a task of `tasks`.
    pub(crate) fn new(
        spec: Spec,
        events: mpsc::Sender<Event>,
        tasks: &mut JoinSet<()>,
    ) -> io::Result<Self> {
        let status = watch::Sender::default();
        let (orders, received) = mpsc::channel(ORDERS);
        let process = Self {
            name: spec.name.clone(),
            app: spec.app.clone(),
            addresses: spec.addresses,
            status: status.clone(),
            orders,
            events: events.clone(),
        };
        tasks.spawn(Keeper::new(spec, status, received, events)?.keep());
        Ok(process)
    }

    /// What is known of it now.
    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Waits until what is known of it fulfils a condition.
    pub(crate) async fn wait(&self, condition: impl FnMut(&Status) -> bool) -> Status {
        let mut status = self.status.subscribe();
        let found = status.wait_for(condition).await;
        // The sender is a field of this very object.
        found.expect("the sender outlives its receivers").clone()
    }

    /// Starts it, unless it runs.
    pub(crate) async fn start(&self) {
        self.order(Order::Start).await;
    }

    /// Asks it to end.
    pub(crate) async fn stop(&self) -> End {
        let (done, end) = oneshot::channel();
        self.order(Order::Stop(done)).await;
        End(end)
    }

    /// Ends it at once.
    pub(crate) async fn kill(&self) -> End {
        let (done, end) = oneshot::channel();
        self.order(Order::Kill(done)).await;
        End(end)
    }

    /// Ends it, starts it again and waits until it serves.
    ///
    /// # Errors
    /// How the new process ended, when it did not come up.
    pub(crate) async fn restart(&self) -> Result<(), String> {
        let before = self.status().starts;
        self.order(Order::Restart).await;
        let decided = [State::Up, State::BackingOff, State::Stopped];
        let status =
            self.wait(|status| status.starts > before && decided.contains(&status.state)).await;
        if status.state == State::Up { Ok(()) } else { Err(status.last_exit) }
    }

    async fn order(&self, order: Order) {
        // A keeper that is gone has no process left to end.
        let _ = self.orders.send(order).await;
    }

    /// Notes that the process of this id serves at these addresses.
    pub(crate) async fn serves(&self, pid: u32, address: String, admin_address: String) {
        let mut took = None;
        self.status.send_if_modified(|status| {
            if status.pid != pid || status.state != State::Starting {
                return false;
            }
            took = Some(status.age());
            status.enter(State::Up);
            status.address.clone_from(&address);
            status.admin_address = admin_address;
            true
        });
        if let Some(took) = took {
            self.tell(What::Up { address, took }).await;
        }
    }

    /// Notes that the process of this id, though it runs, is not heard of.
    pub(crate) async fn silent(&self, pid: u32) {
        let fell_silent = self.status.send_if_modified(|status| {
            let serves = status.pid == pid && status.state == State::Up;
            if serves {
                status.enter(State::Starting);
            }
            serves
        });
        if fell_silent {
            self.tell(What::Silent).await;
        }
    }

    async fn tell(&self, what: What) {
        // Nobody listens any more when the supervisor ends.
        let _ = self.events.send(Event { name: self.name.clone(), what }).await;
    }
}
