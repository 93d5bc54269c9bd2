//! What a test does to the ways between the processes of a simulated mesh.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use super::memory::Book;

/// The way from callers to one address. Changes apply at once, to connections
/// that exist too, and last until [`heal`](Self::heal).
///
/// # Examples
/// ```
/// # use std::time::Duration;
/// # use mesh::{Routes, testing::Mesh};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let mesh = Mesh::simulated(7).await;
/// let shop = mesh.serve("shop", mesh::DESCRIPTORS, Routes::new()).await;
/// mesh.link("web", shop.address).latency(Duration::from_millis(5)).bandwidth(1 << 20);
/// mesh.links(shop.address).refuse().cut();
/// mesh.links(shop.address).heal();
/// # }
/// ```
#[derive(Clone)]
pub struct Link {
    book: Arc<Book>,
    caller: Option<String>,
    to: SocketAddr,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("caller", &self.caller).field("to", &self.to).finish()
    }
}

impl Link {
    pub(super) fn new(book: Arc<Book>, caller: Option<&str>, to: SocketAddr) -> Self {
        Self { book, caller: caller.map(str::to_owned), to }
    }

    fn change(&self, change: impl FnOnce(&mut super::memory::Condition)) -> &Self {
        self.book.change(self.caller.as_deref(), self.to, change);
        self
    }

    /// Every byte takes this long, in either direction; opening a connection takes
    /// it twice. Timers of tokio are whole milliseconds.
    pub fn latency(&self, latency: Duration) -> &Self {
        self.change(|condition| condition.latency = latency)
    }

    /// On top of the latency, up to this long, drawn from the mesh's seed. Bytes
    /// stay in order.
    pub fn jitter(&self, jitter: Duration) -> &Self {
        self.change(|condition| condition.jitter = jitter)
    }

    /// No more bytes a second than this, in each direction of each connection.
    pub fn bandwidth(&self, bytes_per_second: u32) -> &Self {
        self.change(|condition| condition.bytes_per_second = Some(bytes_per_second))
    }

    /// New connections are refused.
    pub fn refuse(&self) -> &Self {
        self.change(|condition| condition.refuses = true)
    }

    /// Nothing arrives and nothing is refused, as when a cable is out. What was
    /// sent arrives when the link is healed, as TCP's repetition makes it.
    pub fn black_hole(&self) -> &Self {
        self.change(|condition| condition.swallows = true)
    }

    /// Ends the connections that exist: both ends see the end of the stream, or a
    /// broken pipe, at any byte.
    pub fn cut(&self) -> &Self {
        let concerned = |caller: &str| self.caller.as_deref().is_none_or(|name| name == caller);
        self.book.cut(|caller, to| to == self.to && concerned(caller));
        self
    }

    /// Forgets everything that was asked of this link, and of this link for single
    /// callers.
    pub fn heal(&self) -> &Self {
        self.book.heal(|caller, to| {
            to == self.to && (self.caller.is_none() || self.caller.as_deref() == caller)
        });
        self
    }
}
