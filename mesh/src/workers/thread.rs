//! One worker: a thread that does nothing but turn its runtime.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::{Notify, oneshot},
};

use super::{slot::Number, watchdog::Pulse};

/// A timer that is due before all others of its runtime interrupts the wait for
/// events by a system call, even when the runtime's own thread sets it: a worker
/// that had nothing to wait for would pay that for the deadline of every call. So
/// while it has connections there is a timer that is due sooner than deadlines
/// usually are. To wake four times a second costs some 10 µs.
const BEAT: Duration = Duration::from_millis(250);

/// A running worker. Its thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct Worker {
    runtime: Handle,
    number: usize,
    pulse: Arc<Pulse>,
    connections: Arc<Connections>,
    /// Ends the thread by being dropped.
    _stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Worker {
    pub(super) fn start() -> io::Result<Self> {
        let pulse = Arc::new(Pulse::default());
        let (sleeps, wakes) = (pulse.clone(), pulse.clone());
        let runtime = Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || sleeps.beat())
            .on_thread_unpark(move || wakes.beat())
            .build()?;
        let number = Number::take();
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let worker = Self {
            runtime: runtime.handle().clone(),
            number: number.get(),
            pulse,
            connections: Arc::default(),
            _stop: stop,
            ended,
        };
        runtime.spawn(beat(worker.connections.clone()));
        // Linux shows fifteen characters.
        let thread = thread::Builder::new().name(format!("worker-{}", number.get()));
        thread.spawn(move || turn(runtime, &number, stopped, end))?;
        Ok(worker)
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }

    pub(super) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.count.load(Relaxed)
    }

    /// Counts a connection until it is dropped.
    pub(super) fn place(&self) -> Place {
        if self.connections.count.fetch_add(1, Relaxed) == 0 {
            self.connections.first.notify_one();
        }
        Place(self.connections.clone())
    }

    /// Asks the thread to end; returns when it has.
    pub(super) async fn end(self) {
        let Self { _stop: stop, ended, .. } = self;
        drop(stop);
        // An error is how a thread that is gone tells it.
        let _ = ended.await;
    }
}

fn turn(
    runtime: Runtime,
    number: &Number,
    stopped: oneshot::Receiver<()>,
    _end: oneshot::Sender<()>,
) {
    number.settle();
    let _ = runtime.block_on(stopped);
    // Drops what was spawned here. Threads that block for it are not waited for.
    runtime.shutdown_background();
}

/// How many connections a worker has.
#[derive(Debug, Default)]
struct Connections {
    count: AtomicUsize,
    /// Tells that there was none before.
    first: Notify,
}

/// See [`BEAT`].
async fn beat(connections: Arc<Connections>) {
    loop {
        while connections.count.load(Relaxed) == 0 {
            connections.first.notified().await;
        }
        tokio::time::sleep(BEAT).await;
    }
}

/// A connection's place on its worker.
#[derive(Debug)]
pub(super) struct Place(Arc<Connections>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Relaxed);
    }
}
