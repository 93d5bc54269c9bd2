//! What a server bounds, as its settings say.

use std::time::Duration;

use crate::settings::Settings;

/// Most bytes of trailers: gRPC's implementations accept 8 KiB of headers at
/// least, and reset the stream over theirs.
pub(super) const MAX_TRAILER_BYTES: usize = 8 << 10;

/// What a server bounds, and when it lets go.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Largest message, unpacked; gRPC's own default.
    pub(crate) max_message_bytes: usize,
    /// Answers of at least so many bytes are packed when their caller unpacks.
    pub(crate) compress_from: Option<usize>,
    /// Largest header block.
    pub(crate) max_header_bytes: u32,
    /// Calls at once on one connection.
    pub(crate) max_streams: u32,
    /// Connections at once.
    pub(crate) max_connections: usize,
    /// A connection older than this is asked to come again, so that load spreads
    /// to new instances.
    pub(crate) max_connection_age: Duration,
    /// Between leaving the registry and refusing new calls.
    pub(crate) lame_duck: Duration,
    /// For calls to end.
    pub(crate) drain_timeout: Duration,
}

impl Limits {
    pub(crate) fn read(settings: &mut Settings) -> Self {
        Self {
            max_message_bytes: settings.get("max_message_bytes", 4 << 20),
            compress_from: settings.optional("compress_from"),
            max_header_bytes: settings.get("max_header_bytes", 16 << 10),
            max_streams: settings.get("max_streams", 1_000),
            max_connections: settings.get("max_connections", 10_000),
            max_connection_age: settings.get("max_connection_age", Duration::from_secs(3_600)),
            lame_duck: settings.get("lame_duck", Duration::from_millis(200)),
            drain_timeout: settings.get("drain_timeout", Duration::from_secs(25)),
        }
    }
}
