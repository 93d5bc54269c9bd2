//! Where the instances of an application are. A resolver hands out a view that
//! changes; callers keep the last good one, so that a mesh whose registry is
//! down goes on as it was.

pub(crate) mod fixed;
pub(crate) mod registry;

use tokio::sync::watch;

/// The instances of one application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Whether the resolver has answered at all.
    pub(crate) known: bool,
    pub(crate) targets: Vec<Target>,
}

/// One instance. A restarted process is another target, even at the same
/// address: what was learned about the old one does not hold for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    /// `127.0.0.1:41234`, or a host name with a port.
    pub(crate) address: String,
    /// Unique to one start of the process; empty when nobody tells.
    pub(crate) instance: String,
}

/// Finds the instances of applications.
pub(crate) trait Resolver: Send + Sync {
    /// Follows the instances of an application. The receiver holds the last good
    /// view; it never closes while the resolver lives.
    fn watch(&self, app: &str) -> watch::Receiver<View>;
}
