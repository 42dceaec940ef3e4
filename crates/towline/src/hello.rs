//! The hello over a link on which TLS is up: reading until it is whole, answering, keeping what came behind it.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use towline_proto::limits::MAX_HELLO_BYTES;
use towline_proto::mail::keys::PublicKey;
use towline_proto::session::handshake::{Failure, Step};
use towline_proto::wire::close::{Close, CloseCode};

use crate::session::{FreshLink, LinkStream};
use crate::tls::{Proven, TlsError, TlsStream};
use crate::transport::{Carried, Carrier};

/// Bytes read at once during a hello. A session's first frames may stand behind it.
const READ_BYTES: usize = 4 * 1024;

/// A link before it belongs to a session.
pub(crate) struct Secured {
    stream: TlsStream<Box<dyn Carrier>>,
    peer: PublicKey,
    pub(crate) proven: Proven,
    input: Vec<u8>,
    remote: Option<std::net::SocketAddr>,
    transport: &'static str,
}

/// Why a hello did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HelloError {
    #[error("the link failed: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Secured {
    pub(crate) async fn connect(carried: Carried, config: &crate::tls::ClientTls) -> Result<Self, TlsError> {
        let Carried { io, remote, transport, .. } = carried;
        let (stream, proven) = TlsStream::connect(io, config).await?;
        let peer = proven.peer.ok_or(TlsError::NoKey)?;
        Ok(Self { stream, peer, proven, input: Vec::new(), remote, transport })
    }

    pub(crate) async fn accept(carried: Carried, config: &crate::tls::ServerTls) -> Result<Self, TlsError> {
        let Carried { io, remote, transport, .. } = carried;
        let (stream, proven) = TlsStream::accept(io, config).await?;
        let peer = proven.peer.ok_or(TlsError::NoKey)?;
        Ok(Self { stream, peer, proven, input: Vec::new(), remote, transport })
    }

    pub(crate) fn peer(&self) -> PublicKey {
        self.peer
    }

    pub(crate) fn remote(&self) -> Option<std::net::SocketAddr> {
        self.remote
    }

    pub(crate) async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Says the last words and closes in order.
    pub(crate) async fn say_and_close(mut self, bytes: &[u8]) {
        // Whether the peer hears it or not, nothing else can be done for it.
        let _ = self.say(bytes).await;
        let _ = self.stream.shutdown().await;
    }

    /// Reads until `handle` has what it waits for.
    pub(crate) async fn listen<S, T>(
        &mut self,
        mut state: S,
        mut handle: impl FnMut(S, &[u8]) -> Result<Step<S, T>, Failure>,
    ) -> Result<T, HelloError> {
        loop {
            match handle(state, &self.input)? {
                Step::NeedMore(same) => state = same,
                Step::Done { value, used } => {
                    self.input.drain(..used);
                    return Ok(value);
                }
            }
            if self.input.len() > MAX_HELLO_BYTES + READ_BYTES {
                let close = Close::new(CloseCode::HelloMalformed).with_text("hello without end");
                return Err(Failure::WeSay(close).into());
            }
            let mut buffer = [0; READ_BYTES];
            let count = self.stream.read(&mut buffer).await?;
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.input.extend_from_slice(&buffer[..count]);
        }
    }

    /// The link is admitted: what came behind the hello belongs to the session.
    pub(crate) fn into_link(self) -> FreshLink {
        let Self { stream, proven, input, remote, transport, .. } = self;
        let stream = LinkStream::Sealed(stream);
        FreshLink { stream, input, remote, transport, key_exchange: proven.key_exchange, pass: None }
    }
}
