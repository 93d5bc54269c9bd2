//! What a server bounds, as its settings say.

use std::time::Duration;

pub(crate) use super::outcome::AccessLog;
use crate::settings::Settings;

/// A client that has not sent its preface in this time is none.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Flow-control windows; see the client's.
pub(super) const STREAM_WINDOW: u32 = 1 << 20;
pub(super) const CONNECTION_WINDOW: u32 = 4 << 20;
/// Bytes of an answer that wait for a slow reader, per stream.
pub(super) const SEND_BUFFER: usize = 1 << 20;
/// Streams that a client may open and reset at once before it is cut off
/// (CVE-2023-44487). More than the 20 of h2: a client whose calls all run out of
/// time while this process is stopped for a moment resets them together.
pub(super) const MAX_PENDING_RESETS: usize = 256;
/// Frames that nobody has read cost memory beside their bytes, which h2 counts as
/// 256 bytes less their length and bounds by this, per connection. By default it
/// is half the connection's window, and a stream of small messages whose reader
/// pauses ends the connection; this is a full window of one stream in messages of
/// five bytes (5 + 5 on the wire), and a quarter more.
pub(super) const FRAMING_BUDGET: usize = 32 << 20;
/// For a peer to read why its connection ends.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);
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
    /// For the calls on such a connection to end.
    pub(crate) max_connection_age_grace: Duration,
    /// Pings that come more often, with nothing sent to their sender in between,
    /// end the connection: two are forgiven (gRFC A8). Clients ping every ten
    /// seconds at most, a mesh's own every thirty.
    pub(crate) min_ping_interval: Duration,
    /// Which calls have a line in the log.
    pub(crate) access_log: AccessLog,
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
            max_connection_age_grace: settings
                .get("max_connection_age_grace", Duration::from_secs(600)),
            min_ping_interval: settings.get("min_ping_interval", Duration::from_secs(9)),
            access_log: settings.get("access_log", AccessLog::Errors),
            lame_duck: settings.get("lame_duck", Duration::from_millis(200)),
            drain_timeout: settings.get("drain_timeout", Duration::from_secs(25)),
        }
    }
}
