//! Ours: a whole session, which has TLS with keys of both sides, lanes, credit and confirmations.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;
use towline::{Client, ClientConfig, Close, CloseCode, Identity, Lane, Plugin, Server, Session};

use super::{Held, all, payload};
use crate::job::{Job, Load, Peer};
use crate::meter::{Meter, Pace, Tally, Until};
use crate::roles::{Fault, Greeting};

struct Served(Job, Arc<Tally>);

impl Plugin for Served {
    async fn session(&self, session: Session) {
        let mut meter = Meter::new(&self.1);
        if self.0.peer == Peer::SessionBatches {
            return count_batches(&session, &mut meter).await;
        }
        while let Ok(message) = session.recv(Lane::NORMAL).await {
            meter.message();
            if self.0.load != Load::OneWay && session.send(Lane::NORMAL, message).await.is_err() {
                return;
            }
        }
    }
}

/// The most messages at a time.
const BATCH: usize = 256;

async fn count_batches(session: &Session, meter: &mut Meter) {
    let mut messages = Vec::with_capacity(BATCH);
    while session.recv_many(Lane::NORMAL, &mut messages, BATCH).await.is_ok() {
        messages.drain(..).for_each(|message| {
            std::hint::black_box(message);
            meter.message();
        });
    }
}

/// Sends until time is up, as many messages at a time as fit what is sent at once.
async fn send_batches(session: &Session, message: &Bytes, until: &mut Until) -> Result<(), Fault> {
    let mut messages = VecDeque::with_capacity(BATCH);
    while until.goes_on() {
        messages.push_back(message.clone());
        if messages.len() == BATCH {
            session.send_all(Lane::NORMAL, &mut messages).await?;
        }
    }
    Ok(session.send_all(Lane::NORMAL, &mut messages).await?)
}

pub async fn serve(job: Job, tally: &Arc<Tally>) -> Result<Greeting, Fault> {
    let identity = Arc::new(Identity::generate());
    let mut limits = towline::Limits::default();
    // All come from one address here.
    limits.connections_per_address = limits.connections;
    let server = Server::builder(identity.clone()).listen("127.0.0.1:0").limits(limits);
    let server = server.serve(Served(job, tally.clone())).await?;
    let address = server.local_addrs()[0];
    // It serves as long as the process lives.
    std::mem::forget(server);
    Ok(Greeting { address, trust: identity.key_hash().to_string() })
}

pub async fn drive(job: Job, greeting: &Greeting, tally: &Arc<Tally>) -> Result<Held, Fault> {
    let own = Arc::new(Identity::generate());
    let key = greeting.trust.parse().map_err(|_| "the greeting names no key")?;
    let mut sessions = Vec::new();
    for _ in 0..job.connections {
        let client = Client::new(own.clone(), key, vec![greeting.address.to_string()], ClientConfig::default());
        sessions.push(client.connect().await?);
    }
    let mut tasks = JoinSet::new();
    for session in sessions {
        tasks.spawn(drive_one(job, session, tally.clone()));
    }
    Ok(Box::new(all(tasks).await?))
}

async fn drive_one(job: Job, session: Session, tally: Arc<Tally>) -> Result<Session, Fault> {
    let message = payload(&job);
    match job.load {
        Load::OneWay => {
            let mut until = Until::new(&job);
            if job.peer == Peer::SessionBatches {
                send_batches(&session, &message, &mut until).await?;
            }
            while job.peer == Peer::Session && until.goes_on() {
                session.send(Lane::NORMAL, message.clone()).await?;
            }
            // Only what the peer has counts.
            session.send_confirmed(Lane::NORMAL, message).await?;
        }
        Load::RoundTrips { in_flight } => {
            let mut pace = Pace::new(&job, &tally);
            for _ in 0..in_flight {
                pace.request();
                session.send(Lane::NORMAL, message.clone()).await?;
            }
            while !pace.is_over() {
                session.recv(Lane::NORMAL).await?;
                if pace.answer() {
                    session.send(Lane::NORMAL, message.clone()).await?;
                }
            }
        }
        Load::Items => return Err("only calls are answered with items".into()),
        Load::Idle => {
            session.send(Lane::NORMAL, message).await?;
            session.recv(Lane::NORMAL).await?;
        }
    }
    if job.load != Load::Idle {
        session.close(Close::new(CloseCode::Done));
        session.closed().await;
    }
    Ok(session)
}
