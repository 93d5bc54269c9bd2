//! Overload: how many calls a process works on at once, who waits, and who is
//! turned away, decided before a request is unpacked. docs/decisions/0006 says
//! why it is done so.
//!
//! A call that finds room takes one atomic step in and one out. Only when the
//! room is taken is there a lock, for as long as it takes to join or leave a
//! line.

mod config;
mod limit;
mod queue;
#[cfg(test)]
mod simulation;
mod streams;
#[cfg(test)]
mod tests;
pub(crate) mod usual;
mod window;

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{
            AtomicU32, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};
use tonic::{Status, metadata::MetadataValue};

pub(crate) use self::config::Config;
use self::{
    limit::Limit,
    queue::{Bounds, Queue},
    streams::{Stream, Streams},
    window::Window,
};
use crate::{
    Criticality, channel::UNPROCESSED, contract::Method, criticality::CLASSES, status,
    telemetry::page::Page,
};

/// How long a caller is asked to stay away, in milliseconds (gRFC A6).
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Calls at work are counted in the upper bits; the lowest tells that somebody
/// waits. In one word, so that nobody can join a line unseen by the one who
/// leaves.
const ONE: u64 = 2;
const WAITING: u64 = 1;

/// The calls of a process.
#[derive(Debug)]
pub(crate) struct Overload {
    state: AtomicU64,
    limit: AtomicU32,
    window: Window,
    crowded: Mutex<Crowded>,
    streams: Streams,
    shed: [AtomicU64; CLASSES],
    interval: Duration,
}

/// What is only needed when there is no room.
#[derive(Debug)]
struct Crowded {
    limit: Limit,
    queue: Queue<oneshot::Sender<()>>,
}

impl Overload {
    /// `None` when overload control is off.
    pub(crate) fn new(config: &Config) -> Option<Arc<Self>> {
        let limit = Limit::new(config);
        let Config { target, interval, queue: length, .. } = *config;
        let overload = || Self {
            state: AtomicU64::new(0),
            limit: AtomicU32::new(limit.get()),
            window: Window::new(Instant::now()),
            streams: Streams::new(config.streams),
            shed: Default::default(),
            interval,
            crowded: Mutex::new(Crowded {
                queue: Queue::new(Bounds { length, target, interval }),
                limit,
            }),
        };
        config.on.then(|| Arc::new(overload()))
    }

    /// A place for a call that came `now`: at once, or after waiting.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED with reason OVERLOADED, and when to come back.
    ///
    /// # Cancellation
    /// Who stops waiting leaves the line, and no place is lost.
    pub(crate) async fn enter<'a>(
        &'a self,
        method: Option<&'a Arc<Method>>,
        class: Criticality,
        now: Instant,
    ) -> Result<Place<'a>, Status> {
        let Some(method) = method.filter(|method| counts(method)) else {
            return Ok(Place::Free);
        };
        if lasts(method) {
            return match self.streams.enter(class) {
                Some(_open) => Ok(Place::Stream { _open }),
                None => Err(self.refusal(class)),
            };
        }
        // Waiting is rare and its future large: every call would carry it.
        let started = if self.take(0) {
            now
        } else if Box::pin(self.wait(class)).await {
            Instant::now()
        } else {
            return Err(self.refusal(class));
        };
        Ok(Place::Call(Call { overload: self, method, started, well: None }))
    }

    /// Takes a place if there is room and nobody waits but `WAITING` in `state`
    /// is expected.
    fn take(&self, waiting: u64) -> bool {
        let limit = u64::from(self.limit.load(Relaxed));
        let room =
            |state: u64| (state & WAITING == waiting && state / ONE < limit).then_some(state + ONE);
        self.state.fetch_update(AcqRel, Acquire, room).is_ok()
    }

    /// Gives a place back; tells how many were taken.
    fn give(&self) -> u32 {
        let before = self.state.fetch_sub(ONE, AcqRel);
        if before & WAITING != 0 {
            self.serve_line();
        }
        u32::try_from(before / ONE).unwrap_or(u32::MAX)
    }

    /// Waits in line; whether there was a place in the end.
    async fn wait(&self, class: Criticality) -> bool {
        let (grant, granted) = oneshot::channel();
        let queued = {
            let mut crowded = self.crowded();
            if crowded.queue.is_empty() && !self.close_door() {
                return true;
            }
            let Some(queued) = crowded.queue.push(class, grant, Instant::now()) else {
                self.open_door(&crowded);
                return false;
            };
            queued
        };
        drop(queued.displaced);
        let mut line =
            InLine { overload: self, class, ticket: queued.ticket, granted, waits: true };
        let served = tokio::time::timeout(queued.patience, &mut line.granted).await;
        match served {
            Ok(Ok(())) => {
                line.waits = false;
                true
            }
            // Displaced by a higher class.
            Ok(Err(_)) => false,
            // The place may have come in this very moment.
            Err(_) => line.leave(),
        }
    }

    /// Sends whoever comes next to the line, unless there is room: then takes a
    /// place and answers false.
    fn close_door(&self) -> bool {
        let limit = u64::from(self.limit.load(Relaxed));
        let mut room = false;
        let next = |state: u64| {
            room = state / ONE < limit;
            Some(if room { state + ONE } else { state | WAITING })
        };
        // Never fails: `next` always answers.
        let _ = self.state.fetch_update(AcqRel, Acquire, next);
        !room
    }

    fn open_door(&self, crowded: &Crowded) {
        if crowded.queue.is_empty() {
            self.state.fetch_and(!WAITING, AcqRel);
        }
    }

    /// Hands free places to those who wait.
    fn serve_line(&self) {
        loop {
            let next = {
                let mut crowded = self.crowded();
                self.open_door(&crowded);
                if crowded.queue.is_empty() || !self.take(WAITING) {
                    return;
                }
                crowded.queue.pop(Instant::now())
            };
            // Who has gone in the meantime leaves the place to the next.
            if next.is_none_or(|grant| grant.send(()).is_err()) {
                self.state.fetch_sub(ONE, AcqRel);
            }
        }
    }

    fn learn(&self, slowdown: f64, at_once: u32, now: Instant) {
        if !self.window.add(slowdown, at_once, now) {
            return;
        }
        {
            let mut crowded = self.crowded();
            let Some(window) = self.window.close(now) else {
                return;
            };
            crowded.limit.update(window);
            self.limit.store(crowded.limit.get(), Relaxed);
        }
        self.serve_line();
    }

    fn crowded(&self) -> MutexGuard<'_, Crowded> {
        self.crowded.lock().expect("nothing panics while it is held")
    }

    fn at_work(&self) -> u32 {
        u32::try_from(self.state.load(Relaxed) / ONE).unwrap_or(u32::MAX)
    }

    /// Callers are asked to stay away for one to two intervals, so that those
    /// who were turned away together do not come back together.
    fn refusal(&self, class: Criticality) -> Status {
        self.shed[class as usize].fetch_add(1, Relaxed);
        let wait = self.interval.mul_f64(1.0 + fastrand::f64());
        let message = "this process has more calls than it can do";
        let mut status = status::exhausted("OVERLOADED", message, wait);
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        status.metadata_mut().insert(PUSHBACK, MetadataValue::from(millis));
        // Nobody has looked at the message, so any call may go elsewhere.
        status.metadata_mut().insert(UNPROCESSED, MetadataValue::from_static("1"));
        status
    }

    /// Lines for the page of metrics.
    pub(crate) fn page(&self, page: &mut Page) {
        let queued = self.crowded().queue.len();
        for (name, help, value) in [
            ("limit", "Calls that may be worked on at once.", u64::from(self.limit.load(Relaxed))),
            ("in_flight", "Calls that are worked on.", u64::from(self.at_work())),
            ("queued", "Calls that wait for a place.", queued as u64),
            ("streams", "Streamed calls.", u64::from(self.streams.open())),
        ] {
            let name = format!("titan_server_overload_{name}");
            page.head(&name, "gauge", help);
            page.line(format_args!("{name} {value}"));
        }
        let name = "titan_server_overload_shed_total";
        let help = "Calls that were turned away, by class.";
        page.head(name, "counter", help);
        for class in Criticality::ALL {
            let (label, value) = (class.name(), self.shed[class as usize].load(Relaxed));
            page.line(format_args!("{name}{{criticality=\"{label}\"}} {value}"));
        }
    }
}

/// The mesh's own calls are few, and what holds it together is not turned away;
/// no more are health and reflection, which no contract knows.
fn counts(method: &Method) -> bool {
    !method.service.starts_with("titan.mesh.")
}

fn lasts(method: &Method) -> bool {
    method.server_streaming || method.client_streaming
}

/// A place among the calls at work, given back when it is dropped.
#[derive(Debug)]
#[must_use = "a place is given back when it is dropped"]
pub(crate) enum Place<'a> {
    /// None was needed.
    Free,
    Call(Call<'a>),
    Stream {
        _open: Stream<'a>,
    },
}

impl Place<'_> {
    /// The handler has answered by now. A call gives its place back, so that a slow
    /// reader of its answer holds none; a stream goes on.
    pub(crate) fn answered(self, well: bool, now: Instant) -> Self {
        match self {
            Self::Call(mut call) => {
                call.well = well.then_some(now);
                Self::Free
            }
            other => other,
        }
    }
}

/// A call at work.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    overload: &'a Overload,
    method: &'a Method,
    started: Instant,
    /// When it ended well.
    well: Option<Instant>,
}

impl Drop for Call<'_> {
    /// A call that did not end well, or was dropped, says little: a refusal is
    /// quick. But one that had already lasted longer than usual was slow.
    fn drop(&mut self) {
        let now = self.well.unwrap_or_else(Instant::now);
        let took = now.saturating_duration_since(self.started);
        let usual = &self.method.usual;
        let slowdown = usual.slowdown(took);
        let at_once = self.overload.give();
        if self.well.is_some() {
            let hurried = at_once * 2 > self.overload.limit.load(Relaxed);
            usual.learn(took, hurried);
        }
        if self.well.is_some() || slowdown > 1.0 {
            self.overload.learn(slowdown, at_once, now);
        }
    }
}

/// Somebody who waits. Leaves the line when it is dropped.
struct InLine<'a> {
    overload: &'a Overload,
    class: Criticality,
    ticket: u64,
    granted: oneshot::Receiver<()>,
    waits: bool,
}

impl InLine<'_> {
    /// Whether a place had come after all; it is then the caller's.
    fn leave(&mut self) -> bool {
        self.waits = false;
        let left = {
            let mut crowded = self.overload.crowded();
            let left = crowded.queue.remove(self.class, self.ticket);
            self.overload.open_door(&crowded);
            left
        };
        drop(left);
        // From here on nothing can be granted; what was granted before is here.
        self.granted.close();
        self.granted.try_recv().is_ok()
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if self.waits && self.leave() {
            self.overload.give();
        }
    }
}
