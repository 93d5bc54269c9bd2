//! The client side of a call. A [`Channel`] is what tonic's generated clients
//! need (`tower::Service` over HTTP requests); beneath it are connections driven
//! by the `h2` crate, without a worker task or a buffer on the way.
//!
//! Why not tonic's own channel? It puts a buffer with one worker in front of
//! every call, its timeout ends at the response's headers and reads CANCELLED,
//! its balancer picks dead endpoints, and the GOAWAY's last stream id, which
//! proves that a request was not processed, does not reach it.

mod attempt;
mod attempts;
mod balance;
mod breaker;
mod budget;
mod bulkhead;
mod choice;
mod connection;
mod endpoint;
mod failure;
pub(crate) mod hash;
mod head;
mod hedging;
#[cfg(all(test, feature = "loom"))]
mod interleavings;
mod key;
mod lane;
mod last_good;
mod limits;
mod meter;
mod outcome;
mod outlier;
pub(crate) mod payload;
mod permit;
mod pool;
mod race;
mod report;
mod response;
mod ring;
mod rotation;
mod standing;
pub(crate) mod subset;
mod tick;
mod told;
mod tried;
mod verdict;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response,
    uri::{Authority, PathAndQuery},
};
use tokio::{runtime::Handle, time::Instant};
use tonic::{Status, body::Body};

use self::{
    attempts::Order, budget::Repetitions, bulkhead::Bulkhead, hedging::Hedging, pool::Pool,
    report::Report, subset::Standpoint,
};
pub(crate) use self::{
    failure::{UNPROCESSED, deadline_exceeded},
    limits::limits,
    response::code_of,
};
pub use self::{last_good::LastGoodChannel, response::ResponseBody};
use crate::{
    Criticality,
    call::Trace,
    contract::Contracts,
    identity::process::Prover,
    net::Network,
    resolver::View,
    telemetry::destinations::{Destination, Destinations},
};

/// Calls one application. Clones share connections, budget and all.
///
/// Within a handler, a call inherits what is left of the handled call's
/// deadline, its trace, and its user's token. A call is cancelled by dropping
/// its future or its response's body.
///
/// Errors are [`Status`]es: UNAVAILABLE when no instance could be reached,
/// DEADLINE_EXCEEDED when the time ran out, whatever it ran out on.
#[derive(Clone)]
pub struct Channel {
    shared: Arc<Shared>,
    carried: Carried,
}

/// A call for a request from outside of the mesh; see [`Channel::forward`].
#[derive(Debug)]
pub struct Forwarded {
    /// `/package.Service/Method`.
    pub path: PathAndQuery,
    /// Headers of the call, but for its time.
    pub metadata: HeaderMap,
    /// What it sends.
    pub body: Outgoing,
    /// Where the request stands in its trace.
    pub trace: Trace,
    /// How long it may take, unless its contract says less.
    pub timeout: Option<Duration>,
}

/// What a call sends, each message with its prefix.
#[derive(Debug)]
pub enum Outgoing {
    /// One message.
    Message(Bytes),
    /// Messages as they come.
    Messages(Body),
}

/// What a channel sends with every call beside the call's own metadata.
#[derive(Clone, Default)]
struct Carried {
    authorization: Option<HeaderValue>,
    criticality: Option<Criticality>,
    /// The call is somebody else's who is outside of the mesh.
    outsider: bool,
}

/// What every clone of a channel uses.
pub(crate) struct Shared {
    app: String,
    authority: Authority,
    pool: Pool,
    budget: Repetitions,
    hedging: Hedging,
    bulkhead: Bulkhead,
    destination: Arc<Destination>,
    common: Common,
}

/// What every channel of a process uses.
#[derive(Clone)]
pub(crate) struct Common {
    /// Contracts of everything this process serves or calls.
    pub(crate) contracts: Arc<ArcSwap<Contracts>>,
    /// Proves this process's name; absent in a mesh without a key.
    pub(crate) prover: Option<Arc<Prover>>,
    pub(crate) trace_ratio: f64,
    /// Largest message that is unpacked.
    pub(crate) max_message_bytes: usize,
    /// Where this process stands among those whom it calls.
    pub(crate) standpoint: Arc<Standpoint>,
    /// Counters of the applications that are called.
    pub(crate) destinations: Destinations,
    /// How their instances are reached.
    pub(crate) network: Arc<dyn Network>,
    /// The runtime of the process itself. A channel that is opened on a worker
    /// outlives it.
    pub(crate) home: Handle,
}

impl Shared {
    /// The refusal of a call for which there is no place.
    fn full(&self) -> Status {
        self.destination.bulkhead_full.fetch_add(1, Relaxed);
        bulkhead::full(&self.app)
    }
}

impl Channel {
    /// A channel to the instances in a view.
    pub(crate) fn open(
        app: &str,
        view: tokio::sync::watch::Receiver<View>,
        common: Common,
    ) -> Self {
        // The authority is only a name here: which address is called is the
        // resolver's business.
        let authority = Authority::try_from(app).unwrap_or(Authority::from_static("mesh"));
        let destination = common.destinations.of(app);
        let _home = common.home.enter();
        let shared = Shared {
            app: app.to_owned(),
            authority,
            pool: Pool::follow(
                view,
                common.standpoint.clone(),
                destination.clone(),
                common.network.clone(),
            ),
            budget: Repetitions::new(Instant::now()),
            hedging: Hedging::default(),
            bulkhead: Bulkhead::default(),
            destination,
            common,
        };
        Self { shared: Arc::new(shared), carried: Carried::default() }
    }

    /// The same channel, calling for a user: `token` is sent with every call
    /// that carries no `authorization` of its own.
    ///
    /// # Errors
    /// A token that cannot stand in a header.
    pub fn with_token(&self, token: &str) -> Result<Self, http::header::InvalidHeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
        value.set_sensitive(true);
        let carried = Carried { authorization: Some(value), ..self.carried.clone() };
        Ok(Self { shared: self.shared.clone(), carried })
    }

    /// The same channel, for calls that matter this much, whatever the call
    /// being handled or the contract says: background work calls itself
    /// [`Criticality::Sheddable`] here.
    #[must_use]
    pub fn with_criticality(&self, criticality: Criticality) -> Self {
        let carried = Carried { criticality: Some(criticality), ..self.carried.clone() };
        Self { shared: self.shared.clone(), carried }
    }

    /// The same channel, calling for somebody outside of the mesh: this process
    /// does not prove its own name, or an edge would open to everyone what is
    /// open to services. What the outsider says of the call's criticality is not
    /// sent on.
    #[must_use]
    pub fn for_outsiders(&self) -> Self {
        let carried = Carried { outsider: true, ..self.carried.clone() };
        Self { shared: self.shared.clone(), carried }
    }

    /// Makes a call for a request from outside of the mesh. Nothing is inherited
    /// from a call that this task handles.
    ///
    /// The future is large and not boxed: who forwards every request has a place
    /// for it. It cancels the call when it is dropped.
    ///
    /// # Errors
    /// As all calls of the channel.
    pub fn forward(
        &self,
        call: Forwarded,
    ) -> impl Future<Output = Result<Response<ResponseBody>, Status>> + Send + use<> {
        attempts::make(self.shared.clone(), self.carried.clone(), Order::forwarded(call))
    }

    /// The application that is called.
    #[must_use]
    pub fn app(&self) -> &str {
        &self.shared.app
    }

    /// What is known of the instances, and how they are chosen.
    pub(crate) fn report(&self) -> Report {
        self.shared.pool.report(&self.shared.app)
    }

    /// Addresses of the instances that can be called now.
    #[must_use]
    pub fn ready(&self) -> Vec<String> {
        self.shared.pool.ready()
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("app", &self.shared.app).finish_non_exhaustive()
    }
}

impl tower::Service<Request<Body>> for Channel {
    type Response = Response<ResponseBody>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = attempts::Made> + Send>>;

    /// Always ready: waiting for an instance is part of the call, so that the
    /// deadline covers it.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(attempts::make(self.shared.clone(), self.carried.clone(), Order::of(request)))
    }
}
