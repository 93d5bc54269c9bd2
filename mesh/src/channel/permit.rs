//! A call's place on a connection, from the pick to the last trailer. It is
//! given back on drop, so that an error, a cancellation and a good end are alike,
//! and it tells the instance's standing what the call has shown, once.

use std::{
    mem,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use http::{Response, StatusCode};
use tokio::time::Instant;
use tonic::Code;

use super::{
    breaker::Trial,
    connection::Connection,
    endpoint::Endpoint,
    response::code_of,
    standing::Finished,
    tried::{Number, Tried},
    verdict::Verdict,
};
use crate::contract::Method;

/// Which end of a call tells how quick its instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The last trailer.
    Unary,
    /// The headers: how long the messages go on is not the instance's merit.
    ServerStream,
    /// Neither: the caller takes its time to send.
    ClientStream,
    /// The headers, since no contract tells what it is. It is balanced as a call.
    Unknown,
}

impl Shape {
    pub(crate) fn of(method: Option<&Method>) -> Self {
        match method {
            Some(method) if method.client_streaming => Self::ClientStream,
            Some(method) if !method.server_streaming => Self::Unary,
            Some(_) => Self::ServerStream,
            None => Self::Unknown,
        }
    }

    /// Whether it may last, so that it is balanced apart.
    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::ServerStream | Self::ClientStream)
    }
}

/// What a call needs to know of itself to be sent somewhere. It is small, and
/// lent: the choice happens for every attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) deadline: Option<Instant>,
    pub(crate) shape: Shape,
    /// Whom the call has tried already: they are chosen only when nobody else
    /// can be called.
    pub(crate) avoid: Tried,
    /// Calls with the same key go to the same instance, as far as that goes.
    pub(crate) key: Option<u64>,
}

impl Ask {
    /// A call's first attempt.
    pub(crate) fn new(deadline: Option<Instant>, shape: Shape) -> Self {
        Self { deadline, shape, avoid: Tried::default(), key: None }
    }
}

/// A call's place on a connection.
#[derive(Debug)]
pub(crate) struct Permit {
    endpoint: Arc<Endpoint>,
    pub(crate) connection: Arc<Connection>,
    deadline: Option<Instant>,
    shape: Shape,
    began: Instant,
    probe: bool,
    settled: bool,
}

impl Permit {
    /// Takes a place in the instance's load; the connection has counted the call
    /// already.
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        connection: Arc<Connection>,
        ask: &Ask,
        began: Instant,
    ) -> Self {
        let Ask { deadline, shape, .. } = *ask;
        endpoint.standing.meter(shape.is_stream()).begin();
        Self { endpoint, connection, deadline, shape, began, probe: false, settled: false }
    }

    /// Whom to add to [`Ask::avoid`] when the call is repeated.
    pub(crate) fn instance(&self) -> Number {
        self.endpoint.standing.number
    }

    /// Where the instance is.
    pub(crate) fn address(&self) -> &str {
        &self.endpoint.target.address
    }

    /// The same call, with the reservation of its instance's breaker.
    pub(super) fn with_probe(mut self) -> Self {
        self.probe = true;
        self
    }

    /// When the instance was picked.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The response's headers are there.
    pub(crate) fn answered<B>(&mut self, response: &Response<B>) {
        let status = response.status();
        if let Some(code) = code_of(response.headers()) {
            self.ended(code, Instant::now());
        } else if status != StatusCode::OK {
            // Something that speaks no gRPC stands in the instance's place.
            let failed = status.is_server_error();
            let verdict = if failed { Verdict::Failed } else { Verdict::Silent };
            self.settle(verdict, Instant::now());
        } else if self.shape != Shape::Unary {
            self.settle(Verdict::Served, Instant::now());
        }
    }

    /// The server has told how the call ended.
    pub(crate) fn ended(&mut self, code: Code, now: Instant) {
        let verdict = Verdict::of_code(code);
        if self.settled && verdict == Verdict::Failed && code != Code::Unavailable {
            // A stream that began well. UNAVAILABLE is how a drain ends it.
            self.learn(Verdict::Failed, now);
        }
        self.settle(verdict, now);
    }

    /// The response ended without telling how.
    pub(crate) fn cut_short(&mut self, now: Instant) {
        self.settle(Verdict::Failed, now);
    }

    /// The stream has failed.
    pub(crate) fn broke(&mut self, error: &h2::Error, now: Instant) {
        if error.is_io() {
            self.endpoint.lost(&self.connection);
        } else if error.is_go_away() {
            self.connection.retire();
        }
        let of_stream = Verdict::of_error(error);
        let verdict = of_stream.unwrap_or_else(|| {
            let first = self.endpoint.blame(&self.connection);
            if first { Verdict::Failed } else { Verdict::Silent }
        });
        // A server that keeps the deadline too may be quicker to end the stream.
        self.settle(if self.late(now) { Verdict::Late } else { verdict }, now);
    }

    fn late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// The first verdict stands, and ends the call's part in the instance's load.
    fn settle(&mut self, verdict: Verdict, now: Instant) {
        if !mem::replace(&mut self.settled, true) {
            if !self.shape.is_stream() {
                self.endpoint.standing.calls.end();
            }
            self.learn(verdict, now);
            self.probe = false;
        }
    }

    fn learn(&self, verdict: Verdict, now: Instant) {
        let measured = self.shape != Shape::ClientStream;
        let took = measured.then(|| now.saturating_duration_since(self.began));
        let trial = Trial { began: self.endpoint.epoch.tick(self.began), probe: self.probe };
        self.endpoint.learn(Finished { verdict, took, stream: self.shape.is_stream(), trial }, now);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.settled {
            let now = Instant::now();
            self.settle(if self.late(now) { Verdict::Late } else { Verdict::Silent }, now);
        }
        if self.shape.is_stream() {
            self.endpoint.standing.streams.end();
        }
        self.connection.in_flight.fetch_sub(1, Relaxed);
    }
}
