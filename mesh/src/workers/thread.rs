//! One worker: a thread that does nothing but turn its runtime.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
};

use super::{slot::Number, watchdog::Pulse};

/// A running worker. Its thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct Worker {
    runtime: Handle,
    number: usize,
    pulse: Arc<Pulse>,
    connections: Arc<AtomicUsize>,
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
        self.connections.load(Relaxed)
    }

    /// Counts a connection until it is dropped.
    pub(super) fn place(&self) -> Place {
        self.connections.fetch_add(1, Relaxed);
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

/// A connection's place on its worker.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
