//! Ours: calls over a whole session, each a stream of it.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use towline::call::{self, Caller, Incoming, Request, Service, Status};
use towline::session::over_plain_link;
use towline::{Client, ClientConfig, Close, CloseCode, Identity, Plugin, Server, Session};

use super::{Held, all, payload};
use crate::job::{Job, Load};
use crate::meter::{Meter, Pace, Tally, Until};
use crate::roles::{Fault, Greeting};

const ECHO: &str = "echo";
const ITEMS: &str = "items";

struct Answers(Job);

impl Service for Answers {
    async fn call(&self, call: &mut Incoming) -> Result<(), Status> {
        if call.info.method == ECHO {
            let item = call.requests.one().await?;
            return call.replies.last(item).await;
        }
        let (message, mut until) = (payload(&self.0), Until::new(&self.0));
        while until.goes_on() {
            call.replies.send(&message).await?;
        }
        Ok(())
    }
}

struct Served(Arc<Answers>, Arc<Tally>);

impl Plugin for Served {
    async fn session(&self, session: Session) {
        let _meter = Meter::new(&self.1);
        call::serve(session, self.0.clone()).await;
    }
}

pub async fn serve(job: Job, tally: &Arc<Tally>) -> Result<Greeting, Fault> {
    if !job.tls {
        return serve_plain(job, tally).await;
    }
    let identity = Arc::new(Identity::generate());
    let mut limits = towline::Limits::default();
    // All come from one address here.
    limits.connections_per_address = limits.connections;
    let server = Server::builder(identity.clone()).listen("127.0.0.1:0").limits(limits);
    let server = server.serve(Served(Arc::new(Answers(job)), tally.clone())).await?;
    let address = server.local_addrs()[0];
    // It serves as long as the process lives.
    std::mem::forget(server);
    Ok(Greeting { address, trust: identity.key_hash().to_string() })
}

/// The same over links without TLS, which the library has for this only.
async fn serve_plain(job: Job, tally: &Arc<Tally>) -> Result<Greeting, Fault> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let served = Arc::new(Served(Arc::new(Answers(job)), tally.clone()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let served = served.clone();
            match over_plain_link(stream, false) {
                Ok(session) => drop(tokio::spawn(async move { served.session(session).await })),
                Err(error) => eprintln!("a plain link: {error}"),
            }
        }
    });
    Ok(Greeting { address, trust: String::new() })
}

async fn connect(job: Job, greeting: &Greeting) -> Result<Session, Fault> {
    if !job.tls {
        return Ok(over_plain_link(TcpStream::connect(greeting.address).await?, true)?);
    }
    let own = Arc::new(Identity::generate());
    let key = greeting.trust.parse().map_err(|_| "the greeting names no key")?;
    let client = Client::new(own, key, vec![greeting.address.to_string()], ClientConfig::default());
    Ok(client.connect().await?)
}

pub async fn drive(job: Job, greeting: &Greeting, tally: &Arc<Tally>) -> Result<Held, Fault> {
    let mut sessions = Vec::new();
    for _ in 0..job.connections {
        sessions.push(connect(job, greeting).await?);
    }
    let mut tasks = JoinSet::new();
    for session in &sessions {
        let caller = Caller::new(session.clone());
        match job.load {
            Load::RoundTrips { in_flight } => {
                (0..in_flight).for_each(|_| drop(tasks.spawn(ask(job, caller.clone(), tally.clone()))));
            }
            Load::Items => drop(tasks.spawn(take(job, caller, tally.clone()))),
            Load::OneWay | Load::Idle => return Err("calls are measured in round trips and items".into()),
        }
    }
    all(tasks).await?;
    for session in &sessions {
        session.close(Close::new(CloseCode::Done));
        session.closed().await;
    }
    Ok(Box::new(sessions))
}

async fn ask(job: Job, caller: Caller, tally: Arc<Tally>) -> Result<(), Fault> {
    let (message, mut pace) = (payload(&job), Pace::new(&job, &tally));
    pace.request();
    while !pace.is_over() {
        caller.unary(Request::new(ECHO, message.clone())).await?;
        pace.answer();
    }
    Ok(())
}

async fn take(job: Job, caller: Caller, tally: Arc<Tally>) -> Result<(), Fault> {
    let mut meter = Meter::new(&tally);
    let mut call = caller.open(Request::new(ITEMS, payload(&job))).await?;
    call.requests.end()?;
    while call.replies.recv().await?.is_some() {
        meter.message();
    }
    Ok(())
}
