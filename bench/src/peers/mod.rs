//! The contenders. Each serves and drives the same loads over loopback TCP.

pub mod blocking;
mod calls;
mod codec;
mod connection;
mod hand;
mod protosocket;
mod rpc;
mod session;
mod session_calls;
mod stream;
mod tonic;

use std::any::Any;
use std::sync::Arc;

use crate::job::{Job, Peer};
use crate::meter::Tally;
use crate::roles::{Fault, Greeting};

/// Connections that stay open as long as this is not dropped.
pub type Held = Box<dyn Any + Send>;

/// Starts serving; returns how to reach the server.
pub async fn serve(job: Job, tally: &Arc<Tally>) -> Result<Greeting, Fault> {
    match job.peer {
        Peer::Session | Peer::SessionBatches => session::serve(job, tally).await,
        Peer::SessionCalls => session_calls::serve(job, tally).await,
        Peer::ProtosocketRpc => rpc::serve(job, tally).await,
        Peer::TonicUnary | Peer::TonicStream => tonic::serve(job, tally).await,
        _ => stream::serve(job, tally).await,
    }
}

/// Drives a server until the job is done; returns what must stay open.
pub async fn drive(job: Job, greeting: &Greeting, tally: &Arc<Tally>) -> Result<Held, Fault> {
    match job.peer {
        Peer::Session | Peer::SessionBatches => session::drive(job, greeting, tally).await,
        Peer::SessionCalls => session_calls::drive(job, greeting, tally).await,
        Peer::ProtosocketRpc => rpc::drive(job, greeting, tally).await,
        Peer::TonicUnary | Peer::TonicStream => tonic::drive(job, greeting, tally).await,
        _ => stream::drive(job, greeting, tally).await,
    }
}

/// A message of the job's length. It lies as long as the process lives, so that nobody's figures hold the counting of who
/// still uses it.
fn payload(job: &Job) -> bytes::Bytes {
    bytes::Bytes::from_static(vec![0x5a; job.bytes].leak())
}

/// Waits for all and passes the first failure on.
async fn all<T: 'static>(mut tasks: tokio::task::JoinSet<Result<T, Fault>>) -> Result<Vec<T>, Fault> {
    let mut results = Vec::new();
    while let Some(done) = tasks.join_next().await {
        results.push(done??);
    }
    Ok(results)
}
