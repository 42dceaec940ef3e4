//! protosocket-rpc 2.0.2 with Protocol Buffers, as its examples write it.

use std::future::Ready;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt;
use protosocket::{PooledEncoder, StreamWithAddress, TcpSocketListener};
use protosocket_prost::{ProstDecoder, ProstSerializer};
use protosocket_rpc::client::{Configuration, RpcClient, TcpStreamConnector, connect};
use protosocket_rpc::server::{ConnectionService, RpcKind, SocketRpcServer, SocketService};
use protosocket_rpc::{Message, ProtosocketControlCode};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Held, all, payload};
use crate::job::{Job, Load};
use crate::meter::{Meter, Pace, Tally, Until};
use crate::roles::{Fault, Greeting};

/// A request or an answer.
#[derive(Clone, PartialEq, prost::Message)]
struct Call {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint32, tag = "2")]
    code: u32,
    #[prost(bytes = "bytes", tag = "3")]
    body: bytes::Bytes,
}

impl Message for Call {
    fn message_id(&self) -> u64 {
        self.id
    }

    fn control_code(&self) -> ProtosocketControlCode {
        ProtosocketControlCode::from_u8(self.code as u8)
    }

    fn set_message_id(&mut self, id: u64) {
        self.id = id;
    }

    fn cancelled(id: u64) -> Self {
        Self { id, code: u32::from(ProtosocketControlCode::Cancel.as_u8()), body: bytes::Bytes::new() }
    }

    fn ended(id: u64) -> Self {
        Self { id, code: u32::from(ProtosocketControlCode::End.as_u8()), body: bytes::Bytes::new() }
    }
}

type Codec = (PooledEncoder<ProstSerializer<Call>>, ProstDecoder<Call>);

struct Service(Job, Arc<Tally>);

impl SocketService for Service {
    type ConnectionService = Echo;
    type SocketListener = TcpSocketListener;

    fn codec(&mut self) -> Codec {
        Codec::default()
    }

    fn new_stream_service(&mut self, _: &StreamWithAddress<TcpStream>) -> Echo {
        Echo(self.0, Meter::new(&self.1))
    }
}

struct Echo(Job, Meter);

/// As many items as the job wants.
struct Items(Until, bytes::Bytes);

impl Stream for Items {
    type Item = Call;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Call>> {
        // Its connection puts the id in.
        Poll::Ready(self.0.goes_on().then(|| Call { id: 0, code: 0, body: self.1.clone() }))
    }
}

impl ConnectionService for Echo {
    type Codec = Codec;
    type Request = Call;
    type Response = Call;
    type UnaryFutureType = Ready<Call>;
    type StreamType = Items;

    fn new_rpc(&mut self, call: Call) -> RpcKind<Ready<Call>, Items> {
        let Self(job, meter) = self;
        if job.load == Load::Items {
            return RpcKind::Streaming(Items(Until::new(job), payload(job)));
        }
        meter.message();
        RpcKind::Unary(std::future::ready(call))
    }
}

pub async fn serve(job: Job, tally: &Arc<Tally>) -> Result<Greeting, Fault> {
    // Its listener does not tell its port, so a free one is found first.
    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, free));
    let listener = TcpSocketListener::listen(address, 1_024, None)?;
    let server = SocketRpcServer::new(listener, Service(job, tally.clone()), 4 << 20, 1 << 20, 256)?;
    tokio::spawn(server);
    Ok(Greeting { address, trust: String::new() })
}

pub async fn drive(job: Job, greeting: &Greeting, tally: &Arc<Tally>) -> Result<Held, Fault> {
    let mut clients = Vec::new();
    for _ in 0..job.connections {
        let (client, connection) =
            connect::<Codec, _>(greeting.address, &Configuration::new(TcpStreamConnector)).await?;
        tokio::spawn(connection);
        clients.push((client, Arc::new(AtomicU64::new(1))));
    }
    let mut tasks = JoinSet::new();
    for (client, ids) in &clients {
        match job.load {
            Load::RoundTrips { in_flight } => {
                (0..in_flight).for_each(|_| drop(tasks.spawn(ask(job, client.clone(), ids.clone(), tally.clone()))));
            }
            Load::Items => drop(tasks.spawn(items(job, client.clone(), tally.clone()))),
            Load::OneWay | Load::Idle => return Err("protosocket-rpc is measured in calls".into()),
        }
    }
    Ok(Box::new(all(tasks).await?))
}

async fn items(job: Job, client: RpcClient<Call, Call>, tally: Arc<Tally>) -> Result<(), Fault> {
    let mut meter = Meter::new(&tally);
    let mut items = client.send_streaming(Call { id: 1, code: 0, body: payload(&job) })?;
    while let Some(item) = items.next().await {
        match item {
            Ok(_) => meter.message(),
            // So its stream says that the server has ended it.
            Err(protosocket_rpc::Error::Finished) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn ask(job: Job, client: RpcClient<Call, Call>, ids: Arc<AtomicU64>, tally: Arc<Tally>) -> Result<(), Fault> {
    let (body, mut pace) = (payload(&job), Pace::new(&job, &tally));
    pace.request();
    while !pace.is_over() {
        let id = ids.fetch_add(1, Ordering::Relaxed);
        client.send_unary(Call { id, code: 0, body: body.clone() })?.await?;
        pace.answer();
    }
    Ok(())
}
