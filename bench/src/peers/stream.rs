//! What those contenders share that take any byte stream: accepting, connecting, TLS.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Held, all, codec, connection, hand, protosocket};
use crate::job::{Job, Load, Peer};
use crate::meter::{Meter, Tally};
use crate::roles::{Fault, Greeting};
use crate::tls;

/// A byte stream that a contender takes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

pub async fn serve(job: Job, tally: &Arc<Tally>) -> Result<Greeting, Fault> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    if job.tls && job.peer.is_ours() {
        return connection::serve_sealed(job, listener, tally);
    }
    let (acceptor, trust) = job.tls.then(tls::acceptor).unzip();
    let tally = tally.clone();
    tokio::spawn(async move {
        while let Ok((io, _)) = listener.accept().await {
            let (acceptor, tally) = (acceptor.clone(), tally.clone());
            let _ = io.set_nodelay(true);
            tokio::spawn(async move {
                match acceptor {
                    None => serve_one(job, io, Meter::new(&tally)).await,
                    Some(acceptor) => match acceptor.accept(io).await {
                        Ok(io) => serve_one(job, io, Meter::new(&tally)).await,
                        Err(error) => eprintln!("handshake: {error}"),
                    },
                }
            });
        }
    });
    Ok(Greeting { address, trust: trust.unwrap_or_default() })
}

async fn serve_one(job: Job, io: impl Stream, meter: Meter) {
    match job.peer {
        Peer::Connection | Peer::ConnectionSender => connection::serve(job, io, meter).await,
        Peer::Hand => hand::serve(job, io, meter).await,
        Peer::Protosocket => protosocket::serve(job, io, meter).await,
        _ => codec::serve(job, io, meter).await,
    }
}

pub async fn drive(job: Job, greeting: &Greeting, tally: &Arc<Tally>) -> Result<Held, Fault> {
    let mut plain = Vec::new();
    for _ in 0..job.connections {
        let io = TcpStream::connect(greeting.address).await?;
        io.set_nodelay(true)?;
        plain.push(io);
    }
    if !job.tls {
        return drive_all(job, plain, tally).await;
    }
    if job.peer.is_ours() {
        return drive_all(job, connection::seal(plain, &greeting.trust).await?, tally).await;
    }
    let connector = tls::connector(&greeting.trust);
    let mut sealed = Vec::new();
    for io in plain {
        sealed.push(connector.connect(tls::name(), io).await?);
    }
    drive_all(job, sealed, tally).await
}

async fn drive_all<S: Stream>(job: Job, streams: Vec<S>, tally: &Arc<Tally>) -> Result<Held, Fault> {
    let mut tasks = JoinSet::new();
    for io in streams {
        tasks.spawn(drive_one(job, io, tally.clone()));
    }
    Ok(Box::new(all(tasks).await?))
}

async fn drive_one<S: Stream>(job: Job, io: S, tally: Arc<Tally>) -> Result<Option<S>, Fault> {
    match (job.load, job.peer) {
        (Load::Idle, _) => return greet(job, io).await.map(Some),
        (_, Peer::Connection | Peer::ConnectionSender) => connection::drive(job, io, &tally).await?,
        (_, Peer::Hand) => hand::drive(job, io, &tally).await?,
        (_, Peer::Protosocket) => protosocket::drive(job, io, &tally).await?,
        _ => codec::drive(job, io, &tally).await?,
    }
    Ok(None)
}

/// One message there and back, as a connection that is idle was not always: all have the same framing.
async fn greet<S: Stream>(job: Job, mut io: S) -> Result<S, Fault> {
    let mut message = (job.bytes as u32).to_be_bytes().to_vec();
    message.resize(4 + job.bytes, 0x5a);
    io.write_all(&message).await?;
    io.flush().await?;
    io.read_exact(&mut message).await?;
    Ok(io)
}
