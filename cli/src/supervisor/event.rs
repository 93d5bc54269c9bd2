//! What happens to the processes, for whoever reports it.

use std::{path::PathBuf, time::Duration};

/// Something happened to a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The process.
    pub name: String,
    /// What happened.
    pub what: What,
}

/// What may happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// It serves.
    Up {
        /// Where.
        address: String,
        /// How long that took.
        took: Duration,
    },
    /// It runs, but the registry has not heard of it for a lease.
    Silent,
    /// It ended by itself.
    Died {
        /// How: `exit status: 1`.
        exit: String,
        /// How long until it is started again.
        wait: Duration,
    },
    /// It ends because somebody asked for a restart.
    Restarting,
    /// It died again and again.
    KeepsDying {
        /// How often in a row.
        deaths: u32,
        /// How the last time.
        exit: String,
        /// Where its log is.
        log: PathBuf,
        /// The last lines of that.
        last: Vec<String>,
    },
    /// It did not end when asked and was killed.
    Killed {
        /// After this time.
        after: Duration,
    },
}
