//! Where connections come from. A process connects and listens by its
//! [`Network`]: TCP, unless another one was given to [`App::over`], as a
//! simulation does. What is carried over a [`Stream`] does not know which it is.
//!
//! [`App::over`]: crate::App::over

use std::{
    fmt,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

use crate::listen;

/// How a process reaches addresses and is reached. Implementations must be cheap
/// to ask from many tasks at once.
///
/// # Examples
/// ```
/// # use std::{io, net::SocketAddr};
/// # use futures_util::future::BoxFuture;
/// use mesh::net::{Listener, Network, Stream, Tcp};
///
/// /// TCP to one address, whichever was asked for.
/// #[derive(Debug)]
/// struct Tunnel(String);
///
/// impl Network for Tunnel {
///     fn connect(&self, _: &str) -> BoxFuture<'static, io::Result<Stream>> {
///         Tcp.connect(&self.0)
///     }
///     fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
///         Tcp.listen(address)
///     }
/// }
/// ```
pub trait Network: fmt::Debug + Send + Sync + 'static {
    /// Opens a connection to `host:port`. The caller bounds how long it waits, and
    /// drops the future when it has waited enough.
    fn connect(&self, address: &str) -> BoxFuture<'static, io::Result<Stream>>;

    /// Listens at an address; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be had.
    fn listen(&self, address: SocketAddr) -> io::Result<Listener>;
}

/// The kernel's TCP, without Nagle's delay: calls are a few small frames, and
/// waiting to fill a packet only adds 40 ms.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Network for Tcp {
    fn connect(&self, address: &str) -> BoxFuture<'static, io::Result<Stream>> {
        let address = address.to_owned();
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Stream::from(stream))
        })
    }

    fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        listen::bind(address).map(Listener::from)
    }
}

/// Accepts connections.
#[derive(Debug)]
pub struct Listener(Accepts);

#[derive(Debug)]
enum Accepts {
    Tcp(TcpListener),
    Other(Box<dyn Accept>),
}

/// What [`Listener::of`] takes: anything at which connections come in.
pub trait Accept: fmt::Debug + Send + 'static {
    /// The next connection and its peer's address. Must lose no connection when
    /// it is dropped while it waits.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Stream, SocketAddr)>>;

    /// The bound address.
    ///
    /// # Errors
    /// When the listener has been closed from outside.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

impl Listener {
    /// A listener of another kind than TCP.
    pub fn of(listener: impl Accept) -> Self {
        Self(Accepts::Other(Box::new(listener)))
    }

    /// The next connection and its peer's address. Loses no connection when it is
    /// dropped while it waits.
    ///
    /// # Errors
    /// Those of the operating system: no file descriptor is left, or the peer is
    /// gone already. The listener goes on.
    pub async fn accept(&mut self) -> io::Result<(Stream, SocketAddr)> {
        match &mut self.0 {
            Accepts::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Stream::from(stream), peer))
            }
            Accepts::Other(listener) => listener.accept().await,
        }
    }

    /// The bound address.
    ///
    /// # Errors
    /// When the listener has been closed from outside.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            Accepts::Tcp(listener) => listener.local_addr(),
            Accepts::Other(listener) => listener.local_addr(),
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self(Accepts::Tcp(listener))
    }
}

/// A connection's bytes. TCP is called directly, anything else through a box, so
/// that the usual case pays for no other.
#[derive(Debug)]
pub struct Stream(Bytes);

enum Bytes {
    Tcp(TcpStream),
    Other(Pin<Box<dyn Duplex>>),
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp(_) => "Tcp",
            Self::Other(_) => "Other",
        })
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

impl Stream {
    /// A stream of another kind than TCP.
    pub fn of(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self(Bytes::Other(Box::pin(stream)))
    }
}

/// A stream without an I/O driver.
#[derive(Debug)]
pub(crate) struct Detached(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(std::net::TcpStream),
    Other(Stream),
}

impl Stream {
    /// Leaves the I/O driver of its runtime, so that it can be attached to
    /// another's. A stream of another kind than TCP is used from anywhere.
    pub(crate) fn detach(self) -> io::Result<Detached> {
        Ok(Detached(match self.0 {
            Bytes::Tcp(stream) => Kind::Tcp(stream.into_std()?),
            other => Kind::Other(Self(other)),
        }))
    }
}

impl Detached {
    /// A stream of the runtime within which this is called.
    pub(crate) fn attach(self) -> io::Result<Stream> {
        match self.0 {
            Kind::Tcp(stream) => Ok(Stream::from(TcpStream::from_std(stream)?)),
            Kind::Other(stream) => Ok(stream),
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self(Bytes::Tcp(stream))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Bytes::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Bytes::Other(stream) => stream.as_mut().poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Bytes::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Bytes::Other(stream) => stream.as_mut().poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Bytes::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Bytes::Other(stream) => stream.as_mut().poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Bytes::Tcp(stream) => stream.is_write_vectored(),
            Bytes::Other(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Bytes::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Bytes::Other(stream) => stream.as_mut().poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Bytes::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Bytes::Other(stream) => stream.as_mut().poll_shutdown(cx),
        }
    }
}
