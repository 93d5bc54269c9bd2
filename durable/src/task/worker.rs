//! The worker of a process: which kinds it does, and the loops that keep it going.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::future::BoxFuture;
use tokio::{
    runtime::Handle,
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
};

use super::{
    HandlerError, Kind, Lease, NewTask, attempt, claim, first_epoch, heart,
    held::{Held, Hold},
};
use crate::{Error, Store, Tx, time};

/// The wall clock in microseconds since 1970.
pub(super) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Does the tasks of a store in this process; one for each store. Cheap to clone:
/// clones are the same worker.
///
/// Tasks are done in any order but for their priority and due time, at least
/// once: an attempt whose process died, or whose worker was declared dead, is
/// followed by another. What an attempt *writes* under its lease is there once.
#[derive(Clone)]
pub struct Worker {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) store: Store,
    pub(super) now: Clock,
    kinds: Mutex<Vec<Arc<Registered>>>,
    /// Changes when it was declared dead: what it held is somebody else's.
    owner: Mutex<Arc<str>>,
    pub(super) held: Arc<Held>,
    /// Rung when an attempt ended, so that there is room for another.
    pub(super) freed: Notify,
    /// The runtime of [`Worker::run`], while that runs.
    running: Mutex<Option<Handle>>,
    /// Turns true when nothing new is to be begun.
    stopping: watch::Sender<bool>,
}

type Handler = dyn Fn(Lease) -> BoxFuture<'static, Result<(), HandlerError>> + Send + Sync;

/// A kind with its handler.
pub(super) struct Registered {
    pub(super) kind: Kind,
    pub(super) handler: Box<Handler>,
    pub(super) room: Arc<Semaphore>,
    /// Whether the one task of a recurring kind is known to be there.
    pub(super) seeded: AtomicBool,
}

impl Worker {
    /// A worker without kinds. It does nothing before [`Worker::run`].
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self::with_clock(store, time::now)
    }

    /// With another wall clock, in microseconds since 1970, to tell what is due.
    #[must_use]
    pub fn with_clock(store: Store, now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        let inner = Inner {
            store,
            now: Arc::new(now),
            kinds: Mutex::default(),
            owner: Mutex::new(name()),
            held: Arc::default(),
            freed: Notify::new(),
            running: Mutex::default(),
            stopping: watch::Sender::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Does tasks of this kind by `handler`, which settles the lease in the
    /// transaction of its effect. An error, a panic, and an end without settling
    /// are failures: the task is tried again as the kind says.
    ///
    /// Kinds may be added while the worker runs.
    ///
    /// # Panics
    /// When the kind has a handler already.
    #[must_use]
    pub fn kind<F, Fut>(self, kind: Kind, handler: F) -> Self
    where
        F: Fn(Lease) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        assert!(self.inner.registered(&kind.name).is_none(), "kind {} is taken", kind.name);
        let registered = Registered {
            room: Arc::new(Semaphore::new(kind.concurrency)),
            kind,
            handler: Box::new(move |lease| Box::pin(handler(lease))),
            seeded: AtomicBool::new(false),
        };
        lock(&self.inner.kinds).push(Arc::new(registered));
        self
    }

    /// Like [`Tx::enqueue`], but when this worker runs and has room, the task is
    /// born claimed by it: its handler starts with the commit of `tx`, at no cost
    /// but the one row, and never starts when that fails. Without room, or when it
    /// is due later, it is enqueued. `tx` is one of the worker's own store.
    ///
    /// # Errors
    /// As [`Tx::enqueue`].
    pub async fn adopt(&self, tx: &mut Tx, task: NewTask) -> Result<bool, Error> {
        let Some(slot) = self.room(&task) else { return tx.enqueue(task).await };
        let (registered, permit) = slot;
        let (owner, epoch) = (self.inner.owner(), first_epoch());
        // Before the row can be seen: a row of ours that nobody holds is given back.
        let hold = self.inner.held.hold((task.kind.clone(), task.key.clone(), epoch));
        if !tx.insert_task(&task, Some(&owner), epoch).await? {
            return Ok(false);
        }
        let traceparent = mesh::call::traceparent().unwrap_or_default();
        let lease = Lease {
            owner,
            epoch,
            attempts: 1,
            failures: 0,
            actor: tx.actor(),
            correlation: tx.cause(&traceparent).0,
            traceparent,
            schedule: registered.schedule(&self.inner),
            settled: Arc::default(),
            stopping: self.inner.stopping.subscribe(),
            kind: task.kind,
            key: task.key,
            body: task.body,
            due: task.due,
        };
        let inner = self.inner.clone();
        tx.after_commit(move || inner.start(registered, lease, hold, permit));
        Ok(true)
    }

    fn room(&self, task: &NewTask) -> Option<(Arc<Registered>, OwnedSemaphorePermit)> {
        let inner = &self.inner;
        if lock(&inner.running).is_none() || inner.is_stopping() || task.due > (inner.now)() {
            return None;
        }
        let registered = inner.registered(&task.kind)?;
        let permit = registered.room.clone().try_acquire_owned().ok()?;
        Some((registered, permit))
    }

    /// Works until it is stopped, by [`Worker::stop`] or because the
    /// [server](mesh::Server::task) whose task this is was asked to end: what it
    /// began then ends first. It may also be dropped at any point without harm: what
    /// was being done is cut, and done again elsewhere about a second and a half
    /// later.
    ///
    /// # Panics
    /// When the worker runs already.
    pub async fn run(self) {
        let _running = Running::begin(&self.inner);
        let process = mesh::drain::hold();
        let inner = &self.inner;
        tokio::select! {
            _ = async { tokio::join!(claim::run(inner), heart::beat(inner), heart::observe(inner)) } => {}
            () = inner.ended(&process) => {}
        }
        // Nothing is held any more, so nobody needs to find out that it is gone.
        heart::sign_off(inner).await;
    }

    /// Takes nothing new from now on and gives back what it has not begun; others
    /// find that at once. [`Worker::run`] returns when the attempts that run have
    /// ended. Those that take long look at [`Lease::is_stopping`]; sagas stop after
    /// the step that they are at. For good: the worker is not started again.
    pub fn stop(&self) {
        self.inner.stopping.send_replace(true);
    }
}

impl Inner {
    /// Returns when it was stopped and holds nothing any more.
    async fn ended(&self, process: &mesh::drain::Hold) {
        let mut stopping = self.stopping.subscribe();
        tokio::select! {
            // Its sender lives as long as this.
            _ = stopping.wait_for(|stopping| *stopping) => {}
            () = process.asked() => {
                self.stopping.send_replace(true);
            }
        }
        tracing::info!("takes no more tasks, and ends those that it has begun");
        self.held.until_empty().await;
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    pub(super) fn kinds(&self) -> Vec<Arc<Registered>> {
        lock(&self.kinds).clone()
    }

    fn registered(&self, name: &str) -> Option<Arc<Registered>> {
        lock(&self.kinds).iter().find(|registered| registered.kind.name == name).cloned()
    }

    /// As whom it claims now.
    pub(super) fn owner(&self) -> Arc<str> {
        lock(&self.owner).clone()
    }

    /// It was declared dead, so nothing that it does under its old name counts.
    pub(super) fn rename(&self) {
        *lock(&self.owner) = name();
        self.held.abort_all();
    }

    /// Begins an attempt in the runtime of the worker. When that is over, the
    /// claim is let go, and others find that its owner does not live.
    pub(super) fn start(
        self: Arc<Self>,
        registered: Arc<Registered>,
        lease: Lease,
        hold: Hold,
        permit: OwnedSemaphorePermit,
    ) {
        let Some(runtime) = lock(&self.running).clone() else { return };
        let claim = hold.claim.clone();
        let room = Room { inner: self.clone(), _hold: hold, permit: Some(permit) };
        let attempt = runtime.spawn(async move {
            attempt::run(&room.inner, &registered, &lease).await;
        });
        self.held.working(&claim, attempt.abort_handle());
    }
}

impl Registered {
    pub(super) fn schedule(&self, inner: &Inner) -> Option<super::lease::Schedule> {
        let every = self.kind.every?;
        Some(super::lease::Schedule { every, now: inner.now.clone() })
    }

    pub(super) fn is_seeded(&self) -> bool {
        self.kind.every.is_none() || self.seeded.load(Ordering::Relaxed)
    }
}

/// What an attempt takes up, given back however it ends.
struct Room {
    inner: Arc<Inner>,
    _hold: Hold,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.permit = None;
        self.inner.freed.notify_one();
    }
}

/// That a worker runs.
struct Running<'w>(&'w Inner);

impl<'w> Running<'w> {
    fn begin(inner: &'w Inner) -> Self {
        let before = lock(&inner.running).replace(Handle::current());
        assert!(before.is_none(), "a worker runs once");
        Self(inner)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *lock(&self.0.running) = None;
        self.0.rename();
    }
}

/// Readable, and no other's on any machine: the process, and chance.
fn name() -> Arc<str> {
    format!("{}-{:016x}", std::process::id(), fastrand::u64(..)).into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds one of these can panic halfway through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Worker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Worker").field("owner", &self.inner.owner()).finish_non_exhaustive()
    }
}
