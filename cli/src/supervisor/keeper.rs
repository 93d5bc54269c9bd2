//! The task that owns one process: starts it, starts it again when it dies, and
//! ends it when asked.

use std::{
    io,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time,
};

use super::{
    child::Child,
    event::{Event, What},
    logs::Log,
    process::{Order, Spec, State, Status},
    restart::Restarts,
};

/// Owns a process.
pub(super) struct Keeper {
    spec: Spec,
    log: Log,
    status: watch::Sender<Status>,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<Event>,
    restarts: Restarts,
}

/// What a keeper does next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Rest,
    Start,
    BackOff(Duration),
}

impl Keeper {
    /// A keeper that obeys orders once [`Keeper::keep`] is polled.
    ///
    /// # Errors
    /// A log that cannot be written.
    pub(super) fn new(
        spec: Spec,
        status: watch::Sender<Status>,
        orders: mpsc::Receiver<Order>,
        events: mpsc::Sender<Event>,
    ) -> io::Result<Self> {
        let log = Log::open(&spec.log)?;
        Ok(Self { spec, log, status, orders, events, restarts: Restarts::default() })
    }

    /// Obeys orders until nobody is left to give any.
    pub(super) async fn keep(mut self) {
        let mut next = Next::Rest;
        loop {
            next = match next {
                Next::Start => self.run().await,
                Next::Rest => match self.orders.recv().await {
                    Some(order) => self.obey_at_rest(&order),
                    None => return,
                },
                Next::BackOff(wait) => match time::timeout(wait, self.orders.recv()).await {
                    Ok(Some(order)) => self.obey_at_rest(&order),
                    Ok(None) => return,
                    Err(_) => {
                        self.status.send_modify(|status| status.restarts += 1);
                        Next::Start
                    }
                },
            };
        }
    }

    /// An order while no process runs.
    fn obey_at_rest(&mut self, order: &Order) -> Next {
        match order {
            Order::Start | Order::Restart => {
                self.restarts.forgive();
                Next::Start
            }
            Order::Stop(_) | Order::Kill(_) => {
                self.status.send_modify(|status| status.enter(State::Stopped));
                Next::Rest
            }
        }
    }

    /// One start, until its end.
    async fn run(&mut self) -> Next {
        self.log.begin();
        let mut child = match Child::start(&self.spec, &self.log) {
            Ok(child) => child,
            Err(error) => {
                let program = self.spec.program.display();
                return self.died(format!("{program} does not start: {error}")).await;
            }
        };
        self.status.send_modify(|status| {
            status.enter(State::Starting);
            status.starts += 1;
            status.pid = child.pid;
            status.started = Some(SystemTime::now());
        });
        loop {
            tokio::select! {
                exit = child.exit() => return self.died(exit).await,
                order = self.orders.recv() => match order {
                    Some(Order::Start) => {}
                    Some(order) => return self.end(child, order).await,
                    // Nobody is left to care for it.
                    None => return Next::Rest,
                },
            }
        }
    }

    /// It ended without being asked to.
    async fn died(&mut self, exit: String) -> Next {
        let mut healthy = Duration::ZERO;
        self.status.send_modify(|status| {
            if status.state == State::Up {
                healthy = status.age();
            }
            status.enter(State::BackingOff);
            forget(status, &exit);
        });
        let verdict = self.restarts.died(healthy, fastrand::f64());
        let wait = verdict.wait;
        self.tell(What::Died { exit: exit.clone(), wait }).await;
        if let Some(deaths) = verdict.alarm {
            let (log, last) = (self.spec.log.clone(), self.log.last());
            self.tell(What::KeepsDying { deaths, exit, log, last }).await;
        }
        Next::BackOff(wait)
    }

    /// Ends it, as an order says, and waits for that as long as it may take.
    async fn end(&mut self, mut child: Child, order: Order) -> Next {
        self.status.send_modify(|status| status.enter(State::Stopping));
        if matches!(order, Order::Restart) {
            self.tell(What::Restarting).await;
        }
        let mut ending = Ending::default();
        child.terminate();
        ending.obey(order, &child);
        let patience = time::sleep(self.spec.patience);
        tokio::pin!(patience);
        let exit = loop {
            tokio::select! {
                exit = child.exit() => break exit,
                () = &mut patience, if !ending.killed => {
                    ending.kill(&child);
                    self.tell(What::Killed { after: self.spec.patience }).await;
                }
                Some(order) = self.orders.recv() => ending.obey(order, &child),
            }
        };
        self.restarts.forgive();
        self.status.send_modify(|status| {
            // Between two starts it is still on its way down.
            if !ending.again {
                status.enter(State::Stopped);
            }
            forget(status, &exit);
        });
        if ending.again { Next::Start } else { Next::Rest }
    }

    async fn tell(&self, what: What) {
        // Nobody listens any more when the supervisor ends.
        let _ = self.events.send(Event { name: self.spec.name.clone(), what }).await;
    }
}

/// How a process is being ended, by all the orders that came meanwhile.
#[derive(Default)]
struct Ending {
    killed: bool,
    /// Start it again afterwards.
    again: bool,
    /// Who wants to know of the end, which is told by dropping these.
    told: Vec<oneshot::Sender<()>>,
}

impl Ending {
    fn obey(&mut self, order: Order, child: &Child) {
        match order {
            // Who asked for its end is not overruled by an earlier restart, nor
            // by a start before that end has come.
            Order::Start => {}
            Order::Restart => self.again = self.told.is_empty(),
            Order::Stop(done) => {
                self.again = false;
                self.told.push(done);
            }
            Order::Kill(done) => {
                self.again = false;
                self.told.push(done);
                self.kill(child);
            }
        }
    }

    fn kill(&mut self, child: &Child) {
        self.killed = true;
        child.kill();
    }
}

fn forget(status: &mut Status, exit: &str) {
    status.pid = 0;
    status.started = None;
    status.address.clear();
    status.admin_address.clear();
    exit.clone_into(&mut status.last_exit);
}
