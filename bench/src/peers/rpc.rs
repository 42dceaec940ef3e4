//! protosocket-rpc 2.0.2 with Protocol Buffers, as its examples write it.

use std::convert::Infallible;
use std::future::Ready;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_core::Stream;
use protosocket::{PooledEncoder, StreamWithAddress, TcpSocketListener};
use protosocket_prost::{ProstDecoder, ProstSerializer};
use protosocket_rpc::client::{Configuration, RpcClient, TcpStreamConnector, connect};
use protosocket_rpc::server::{ConnectionService, RpcKind, SocketRpcServer, SocketService};
use protosocket_rpc::{Message, ProtosocketControlCode};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Held, all, payload};
use crate::job::{Job, Load};
use crate::meter::{Meter, Pace, Tally};
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

struct Service(Arc<Tally>);

impl SocketService for Service {
    type ConnectionService = Echo;
    type SocketListener = TcpSocketListener;

    fn codec(&mut self) -> Codec {
        Codec::default()
    }

    fn new_stream_service(&mut self, _: &StreamWithAddress<TcpStream>) -> Echo {
        Echo(Meter::new(&self.0))
    }
}

struct Echo(Meter);

/// No call streams here.
struct Never(Infallible);

impl Stream for Never {
    type Item = Call;

    fn poll_next(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<Call>> {
        match self.0 {}
    }
}

impl ConnectionService for Echo {
    type Codec = Codec;
    type Request = Call;
    type Response = Call;
    type UnaryFutureType = Ready<Call>;
    type StreamType = Never;

    fn new_rpc(&mut self, call: Call) -> RpcKind<Ready<Call>, Never> {
        self.0.message();
        RpcKind::Unary(std::future::ready(call))
    }
}

pub async fn serve(_: Job, tally: &Arc<Tally>) -> Result<Greeting, Fault> {
    // Its listener does not tell its port, so a free one is found first.
    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, free));
    let listener = TcpSocketListener::listen(address, 1_024, None)?;
    let server = SocketRpcServer::new(listener, Service(tally.clone()), 4 << 20, 1 << 20, 256)?;
    tokio::spawn(server);
    Ok(Greeting { address, trust: String::new() })
}

pub async fn drive(job: Job, greeting: &Greeting, tally: &Arc<Tally>) -> Result<Held, Fault> {
    let Load::RoundTrips { in_flight } = job.load else {
        return Err("protosocket-rpc is measured in round trips".into());
    };
    let mut clients = Vec::new();
    for _ in 0..job.connections {
        let (client, connection) =
            connect::<Codec, _>(greeting.address, &Configuration::new(TcpStreamConnector)).await?;
        tokio::spawn(connection);
        clients.push((client, Arc::new(AtomicU64::new(1))));
    }
    let mut tasks = JoinSet::new();
    for (client, ids) in &clients {
        for _ in 0..in_flight {
            tasks.spawn(ask(job, client.clone(), ids.clone(), tally.clone()));
        }
    }
    Ok(Box::new(all(tasks).await?))
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
