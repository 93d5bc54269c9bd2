//! Where the instances of an application are. A resolver hands out a view that
//! changes; callers keep the last good one, so that a mesh whose registry is
//! down goes on as it was.

pub(crate) mod fixed;
pub(crate) mod registry;

use tokio::sync::watch;

/// The weight of an instance that states none: one ordinary share.
pub(crate) const DEFAULT_WEIGHT: u32 = 100;
/// The largest weight: ten ordinary shares, which is more than machines of one
/// application differ.
pub(crate) const MAX_WEIGHT: u32 = 1_000;

/// The instances of one application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Whether the resolver has answered at all.
    pub(crate) known: bool,
    pub(crate) instances: Vec<Listed>,
}

/// An instance with what it says of itself. That may change while it runs, and
/// makes no other instance of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) target: Target,
    /// Where it runs; empty when nobody tells.
    pub(crate) zone: String,
    /// Its share of the calls, in hundredths of an ordinary one.
    pub(crate) weight: u32,
}

impl Listed {
    /// An instance of which nothing but the address is known.
    pub(crate) fn at(address: String) -> Self {
        let target = Target { address, instance: String::new() };
        Self { target, zone: String::new(), weight: DEFAULT_WEIGHT }
    }
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
