//! The byte stream under a link's frames: TLS.
//!
//! With the feature `plain-test-links`, which nothing but measurements of what TLS costs may use, there is another kind.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tls::TlsStream;
use crate::transport::Carrier;

/// What a link's frames go over.
#[cfg_attr(
    feature = "plain-test-links",
    expect(clippy::large_enum_variant, reason = "a product has one variant, and no box around it")
)]
pub(crate) enum LinkStream {
    Sealed(TlsStream<Box<dyn Carrier>>),
    #[cfg(feature = "plain-test-links")]
    Plain(Box<dyn Carrier>),
}

impl LinkStream {
    fn below(self: Pin<&mut Self>) -> Pin<&mut dyn Carrier> {
        match self.get_mut() {
            Self::Sealed(stream) => Pin::new(stream),
            #[cfg(feature = "plain-test-links")]
            Self::Plain(stream) => Pin::new(stream),
        }
    }
}

impl AsyncRead for LinkStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.below().poll_read(cx, buf)
    }
}

impl AsyncWrite for LinkStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.below().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.below().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.below().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.below().poll_shutdown(cx)
    }
}
