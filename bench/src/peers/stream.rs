//! What those contenders share that take any byte stream: accepting, connecting, TLS.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Held, all, calls, codec, connection, hand, protosocket};
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
                    None => serve_one(job, io, Meter::new(&tally)),
                    Some(acceptor) => match acceptor.accept(io).await {
                        Ok(io) => serve_one(job, io, Meter::new(&tally)),
                        Err(error) => eprintln!("handshake: {error}"),
                    },
                }
            });
        }
    });
    Ok(Greeting { address, trust: trust.unwrap_or_default() })
}

/// Each in a task of its own, which is as large as that contender makes it and not as the largest of all.
pub fn serve_one(job: Job, io: impl Stream, meter: Meter) {
    match job.peer {
        Peer::Connection | Peer::ConnectionSender => connection::serve(job, io, meter),
        Peer::Calls => calls::serve(job, io, meter),
        Peer::Hand => drop(tokio::spawn(hand::serve(job, io, meter))),
        Peer::Protosocket => protosocket::serve(job, io, meter),
        _ => drop(tokio::spawn(codec::serve(job, io, meter))),
    }
}

pub async fn drive(job: Job, greeting: &Greeting, tally: &Arc<Tally>) -> Result<Held, Fault> {
    let connect = async || {
        let io = TcpStream::connect(greeting.address).await?;
        io.set_nodelay(true)?;
        Ok::<_, Fault>(io)
    };
    match (job.tls, job.peer.is_ours()) {
        (false, _) => drive_all(job, connect, tally).await,
        (true, true) => {
            let connector = connection::connector(&greeting.trust)?;
            drive_all(job, async || Ok(connector.connect(connect().await?).await?), tally).await
        }
        (true, false) => {
            let connector = tls::connector(&greeting.trust);
            drive_all(job, async || Ok(connector.connect(tls::name(), connect().await?).await?), tally).await
        }
    }
}

async fn drive_all<S: Stream>(
    job: Job,
    connect: impl AsyncFn() -> Result<S, Fault>,
    tally: &Arc<Tally>,
) -> Result<Held, Fault> {
    let mut streams = Vec::new();
    for _ in 0..job.connections {
        let io = connect().await?;
        // One after the other: more at once than a listener's backlog takes would wait for seconds.
        streams.push(if job.load == Load::Idle { greet(job, io).await? } else { io });
    }
    if job.load == Load::Idle {
        return Ok(Box::new(streams));
    }
    let mut tasks = JoinSet::new();
    for io in streams {
        tasks.spawn(drive_one(job, io, tally.clone()));
    }
    all(tasks).await?;
    Ok(Box::new(()))
}

async fn drive_one(job: Job, io: impl Stream, tally: Arc<Tally>) -> Result<(), Fault> {
    match job.peer {
        Peer::Connection | Peer::ConnectionSender => connection::drive(job, io, &tally).await,
        Peer::Calls => calls::drive(job, io, &tally).await,
        Peer::Hand => hand::drive(job, io, &tally).await,
        Peer::Protosocket => protosocket::drive(job, io, &tally).await,
        _ => codec::drive(job, io, &tally).await,
    }
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
