//! Giving a body: from its file, or from the spool as it grows, on a `bulk` stream of its own.

use crate::bodies::Source;
use bytes::Bytes;
use tokio::sync::oneshot;
use towline::{Lane, SendHalf, Session};
use towline_proto::ids::MessageId;
use towline_proto::mail::message::BodyHeader;

/// The code with which a body's stream is reset when it is recalled or cannot be read.
const NO_MORE: u32 = 1;

/// Where a body's bytes come from.
pub(crate) enum Giving {
    /// A file.
    File(Source),
    /// The mailbox itself.
    Inline(Bytes),
}

/// Gives the body from `offset` on, until it is confirmed or `stop` is dropped.
pub(crate) async fn give(
    session: Session,
    id: MessageId,
    offset: u64,
    mut from: Giving,
    mut stop: oneshot::Receiver<()>,
) {
    let opened = tokio::select! {
        _ = &mut stop => return,
        opened = session.open(Lane::BULK) => opened,
    };
    let Ok(stream) = opened else { return };
    let mut stream = stream.split().0;
    let given = tokio::select! {
        _ = &mut stop => false,
        given = pump(&mut stream, id, offset, &mut from) => given,
    };
    if !given {
        stream.reset(NO_MORE);
    }
}

async fn pump(stream: &mut SendHalf, id: MessageId, offset: u64, from: &mut Giving) -> bool {
    if stream.send(BodyHeader { id, offset }.to_bytes()).await.is_err() {
        return false;
    }
    let mut at = offset;
    loop {
        let piece = match from.read(at).await {
            Ok(piece) => piece,
            Err(error) => {
                tracing::warn!(%id, %error, "a body cannot be given");
                return false;
            }
        };
        if piece.is_empty() {
            return stream.finish().await.is_ok();
        }
        if stream.write_all(&piece).await.is_err() {
            return false;
        }
        at += piece.len() as u64;
    }
}

impl Giving {
    async fn read(&mut self, at: u64) -> std::io::Result<Bytes> {
        match self {
            Self::File(source) => source.read(at).await,
            Self::Inline(bytes) => Ok(usize::try_from(at)
                .ok()
                .filter(|&at| at < bytes.len())
                .map_or_else(Bytes::new, |at| bytes.slice(at..))),
        }
    }
}
