//! A network in memory: hosts with addresses of their own, and the book of who
//! listens where. Nothing of it touches a socket or the clock of the machine.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, Weak},
};

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, mpsc};

use super::wire::{self, Cable};
use crate::net::{Accept, Listener, Network, Stream};

/// Where given-out ports begin: those of servers that take any.
const FIRST_PORT: u16 = 1_024;
/// Connections that wait to be accepted, as many as over TCP; further ones are
/// refused.
const BACKLOG: usize = 1_024;

/// How a link treats what is sent over it; see [`Link`](super::Link).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Condition {
    pub(super) latency: std::time::Duration,
    pub(super) jitter: std::time::Duration,
    pub(super) bytes_per_second: Option<u32>,
    pub(super) refuses: bool,
    pub(super) swallows: bool,
}

/// The faults that a simulated network has carried out, for a test that must
/// know that its faults happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Connections that were refused where somebody listened.
    pub refused: u64,
    /// Connections that were cut.
    pub cut: u64,
    /// Connections and pieces of data that waited in a black hole.
    pub held: u64,
    /// Pieces of data that came later than they were sent.
    pub delayed: u64,
}

impl Faults {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.refused + self.cut + self.held + self.delayed
    }
}

/// What all hosts share.
#[derive(Debug)]
pub(super) struct Book {
    pages: Mutex<Pages>,
    /// A link has changed.
    pub(super) changed: Notify,
}

#[derive(Debug)]
pub(super) struct Pages {
    pub(super) random: fastrand::Rng,
    hosts: u8,
    last_port: u16,
    listeners: BTreeMap<SocketAddr, mpsc::Sender<(Stream, SocketAddr)>>,
    /// By caller and address; without a caller for everybody.
    conditions: BTreeMap<(Option<String>, SocketAddr), Condition>,
    cables: Vec<Weak<Cable>>,
    pub(super) faults: Faults,
}

impl Book {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        let pages = Pages {
            random: fastrand::Rng::with_seed(seed),
            hosts: 0,
            last_port: FIRST_PORT,
            listeners: BTreeMap::new(),
            conditions: BTreeMap::new(),
            cables: Vec::new(),
            faults: Faults::default(),
        };
        Arc::new(Self { pages: Mutex::new(pages), changed: Notify::new() })
    }

    pub(super) fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().expect("nothing panics while it is held")
    }

    /// A further host, for the process of this name.
    pub(super) fn host(self: &Arc<Self>, name: &str) -> Arc<Host> {
        let mut pages = self.pages();
        pages.hosts = pages.hosts.checked_add(1).expect("a test has fewer than 256 processes");
        let ip = Ipv4Addr::new(10, 0, 0, pages.hosts).into();
        Arc::new(Host { name: name.to_owned(), ip, book: self.clone() })
    }

    pub(super) fn listens(&self, address: SocketAddr) -> bool {
        self.pages().listeners.get(&address).is_some_and(|listener| !listener.is_closed())
    }

    pub(super) fn condition(&self, caller: &str, to: SocketAddr) -> Condition {
        self.pages().condition(caller, to)
    }

    pub(super) fn change(
        &self,
        caller: Option<&str>,
        to: SocketAddr,
        change: impl FnOnce(&mut Condition),
    ) {
        let mut pages = self.pages();
        let general = pages.conditions.get(&(None, to)).copied().unwrap_or_default();
        let key = (caller.map(str::to_owned), to);
        change(pages.conditions.entry(key).or_insert(general));
        drop(pages);
        self.changed.notify_waiters();
    }

    /// Forgets every condition of an address, or all of them.
    pub(super) fn heal(&self, of: impl Fn(Option<&str>, SocketAddr) -> bool) {
        self.pages().conditions.retain(|(caller, to), _| !of(caller.as_deref(), *to));
        self.changed.notify_waiters();
    }

    /// Cuts the connections for which `of` is true, given caller and address.
    pub(super) fn cut(&self, of: impl Fn(&str, SocketAddr) -> bool) {
        let mut pages = self.pages();
        let cables: Vec<_> = pages.cables.iter().filter_map(Weak::upgrade).collect();
        let mut cut = 0;
        for cable in cables.iter().filter(|cable| of(&cable.caller, cable.to)) {
            cut += u64::from(cable.cut());
        }
        pages.cables.retain(|cable| cable.strong_count() > 0);
        pages.faults.cut += cut;
    }
}

impl Pages {
    pub(super) fn condition(&self, caller: &str, to: SocketAddr) -> Condition {
        let own = self.conditions.get(&(Some(caller.to_owned()), to));
        own.or_else(|| self.conditions.get(&(None, to))).copied().unwrap_or_default()
    }
}

/// A process's place in the network.
#[derive(Clone, Debug)]
pub(super) struct Host {
    name: String,
    ip: IpAddr,
    book: Arc<Book>,
}

impl Network for Host {
    fn connect(&self, address: &str) -> BoxFuture<'static, io::Result<Stream>> {
        let (host, address) = (self.clone(), address.parse());
        Box::pin(async move {
            let to: SocketAddr = address.map_err(io::Error::other)?;
            wire::travel(&host.book, &host.name, to).await;
            host.join(to)
        })
    }

    fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        let mut pages = self.book.pages();
        let mut address = address;
        if address.ip().is_loopback() || address.ip().is_unspecified() {
            address.set_ip(self.ip);
        }
        if address.port() == 0 {
            pages.last_port += 1;
            address.set_port(pages.last_port);
        }
        let taken = pages.listeners.get(&address).is_some_and(|listener| !listener.is_closed());
        if taken {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (sender, incoming) = mpsc::channel(BACKLOG);
        pages.listeners.insert(address, sender);
        Ok(Listener::of(Incoming { address, incoming }))
    }
}

impl Host {
    fn join(&self, to: SocketAddr) -> io::Result<Stream> {
        let mut pages = self.book.pages();
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let Some(listener) = pages.listeners.get(&to).filter(|listener| !listener.is_closed())
        else {
            return Err(refused);
        };
        let listener = listener.clone();
        if pages.condition(&self.name, to).refuses {
            pages.faults.refused += 1;
            return Err(refused);
        }
        pages.last_port = pages.last_port.wrapping_add(1).max(FIRST_PORT);
        let from = SocketAddr::new(self.ip, pages.last_port);
        let cable = Cable::new(self.name.clone(), to);
        pages.cables.push(Arc::downgrade(&cable));
        drop(pages);
        let (near, far) = wire::lay(&self.book, &cable);
        listener.try_send((far, from)).map_err(|_| refused)?;
        Ok(near)
    }
}

/// Connections that come in at an address.
#[derive(Debug)]
struct Incoming {
    address: SocketAddr,
    incoming: mpsc::Receiver<(Stream, SocketAddr)>,
}

impl Accept for Incoming {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Stream, SocketAddr)>> {
        Box::pin(async move {
            match self.incoming.recv().await {
                Some(accepted) => Ok(accepted),
                // Another listener took the address over, which needs this one to
                // be closed.
                None => std::future::pending().await,
            }
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
