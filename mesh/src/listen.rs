//! Opens a port to serve at.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

use crate::server::ServeError;

/// Connections that wait to be accepted: more than a burst of reconnecting
/// callers after a restart.
const BACKLOG: u32 = 1024;

/// Listens at an address; port 0 takes a free one, and the bound address is told.
/// Must be called within a runtime.
///
/// # Errors
/// [`ServeError::Listen`] with the address, when the port cannot be had.
pub fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let listen = || {
        let listener = bind(address)?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    listen().map_err(|source| ServeError::Listen { address, source })
}

pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A restarted process must have its port back while old connections linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
