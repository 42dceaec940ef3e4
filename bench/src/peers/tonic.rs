//! tonic 0.14 with Protocol Buffers, without generated code: the same calls that its generator writes.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codegen::Service;
use tonic::server::{ClientStreamingService, NamedService, ServerStreamingService, StreamingService, UnaryService};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::{Held, all, payload};
use crate::job::{Job, Load, Peer};
use crate::meter::{Meter, Pace, Tally, Until};
use crate::roles::{Fault, Greeting};

#[derive(Clone, PartialEq, prost::Message)]
struct Payload {
    #[prost(bytes = "bytes", tag = "1")]
    body: bytes::Bytes,
}

const UNARY: &str = "/bench.Echo/Unary";
const STREAM: &str = "/bench.Echo/Stream";
const ONE_WAY: &str = "/bench.Echo/OneWay";
const ITEMS: &str = "/bench.Echo/Items";

/// Messages that may wait between a task and its stream.
const WAITING_MAX: usize = 256;

type Codec = ProstCodec<Payload, Payload>;
type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

#[derive(Clone)]
struct Echo(Job, Arc<Tally>);

impl NamedService for Echo {
    const NAME: &'static str = "bench.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Codec::default());
            Ok(match request.uri().path() {
                UNARY => grpc.unary(echo, request).await,
                STREAM => grpc.streaming(echo, request).await,
                ITEMS => grpc.server_streaming(echo, request).await,
                _ => grpc.client_streaming(echo, request).await,
            })
        })
    }
}

impl UnaryService<Payload> for Echo {
    type Response = Payload;
    type Future = std::future::Ready<Result<Response<Payload>, Status>>;

    fn call(&mut self, request: Request<Payload>) -> Self::Future {
        self.1.opened.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(Response::new(request.into_inner())))
    }
}

impl StreamingService<Payload> for Echo {
    type Response = Payload;
    type ResponseStream = Streaming<Payload>;
    type Future = std::future::Ready<Result<Response<Streaming<Payload>>, Status>>;

    fn call(&mut self, request: Request<Streaming<Payload>>) -> Self::Future {
        std::future::ready(Ok(Response::new(request.into_inner())))
    }
}

/// As many messages as the job wants.
fn every(job: Job) -> impl Iterator<Item = Payload> + Send + 'static {
    let (body, mut until) = (payload(&job), Until::new(&job));
    std::iter::from_fn(move || until.goes_on().then(|| Payload { body: body.clone() }))
}

impl ServerStreamingService<Payload> for Echo {
    type Response = Payload;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Payload, Status>> + Send>>;
    type Future = std::future::Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: Request<Payload>) -> Self::Future {
        std::future::ready(Ok(Response::new(Box::pin(tokio_stream::iter(every(self.0).map(Ok))))))
    }
}

impl ClientStreamingService<Payload> for Echo {
    type Response = Payload;
    type Future = Boxed<Result<Response<Payload>, Status>>;

    fn call(&mut self, request: Request<Streaming<Payload>>) -> Self::Future {
        let mut meter = Meter::new(&self.1);
        Box::pin(async move {
            let mut messages = request.into_inner();
            while messages.message().await?.is_some() {
                meter.message();
            }
            Ok(Response::new(Payload::default()))
        })
    }
}

pub async fn serve(job: Job, tally: &Arc<Tally>) -> Result<Greeting, Fault> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let incoming = TcpListenerStream::new(listener).map(|io| io.and_then(|io| io.set_nodelay(true).map(|()| io)));
    let server = tonic::transport::Server::builder().add_service(Echo(job, tally.clone()));
    tokio::spawn(server.serve_with_incoming(incoming));
    Ok(Greeting { address, trust: String::new() })
}

pub async fn drive(job: Job, greeting: &Greeting, tally: &Arc<Tally>) -> Result<Held, Fault> {
    let mut channels = Vec::new();
    for _ in 0..job.connections {
        let endpoint = Endpoint::from_shared(format!("http://{}", greeting.address))?.tcp_nodelay(true);
        channels.push(endpoint.connect().await?);
    }
    let mut tasks = JoinSet::new();
    for channel in &channels {
        match (job.load, job.peer) {
            (Load::RoundTrips { in_flight }, Peer::TonicUnary) => {
                for _ in 0..in_flight {
                    tasks.spawn(ask(job, channel.clone(), tally.clone()));
                }
            }
            (Load::RoundTrips { in_flight }, _) => {
                drop(tasks.spawn(converse(job, channel.clone(), in_flight, tally.clone())))
            }
            (Load::Items, _) => drop(tasks.spawn(items(job, channel.clone(), tally.clone()))),
            (Load::OneWay, _) => drop(tasks.spawn(flood(job, channel.clone()))),
            (Load::Idle, _) => drop(tasks.spawn(unary(channel.clone(), payload(&job)))),
        }
    }
    all(tasks).await?;
    Ok(Box::new(channels))
}

async fn unary(channel: Channel, body: bytes::Bytes) -> Result<(), Fault> {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await?;
    let path = PathAndQuery::from_static(UNARY);
    let answer: Response<Payload> = grpc.unary(Request::new(Payload { body }), path, Codec::default()).await?;
    std::hint::black_box(answer.into_inner());
    Ok(())
}

async fn ask(job: Job, channel: Channel, tally: Arc<Tally>) -> Result<(), Fault> {
    let (body, mut pace) = (payload(&job), Pace::new(&job, &tally));
    pace.request();
    while !pace.is_over() {
        unary(channel.clone(), body.clone()).await?;
        pace.answer();
    }
    Ok(())
}

async fn converse(job: Job, channel: Channel, in_flight: usize, tally: Arc<Tally>) -> Result<(), Fault> {
    let (body, mut pace) = (payload(&job), Pace::new(&job, &tally));
    let (sender, requests) = mpsc::channel(WAITING_MAX.max(in_flight));
    for _ in 0..in_flight {
        pace.request();
        sender.send(Payload { body: body.clone() }).await?;
    }
    let mut grpc = Grpc::new(channel);
    grpc.ready().await?;
    let path = PathAndQuery::from_static(STREAM);
    let answers = grpc.streaming(Request::new(ReceiverStream::new(requests)), path, Codec::default()).await?;
    let mut answers: Streaming<Payload> = answers.into_inner();
    while !pace.is_over() {
        answers.message().await?.ok_or("the server went away")?;
        if pace.answer() {
            sender.send(Payload { body: body.clone() }).await?;
        }
    }
    Ok(())
}

async fn items(job: Job, channel: Channel, tally: Arc<Tally>) -> Result<(), Fault> {
    let mut meter = Meter::new(&tally);
    let mut grpc = Grpc::new(channel);
    grpc.ready().await?;
    let path = PathAndQuery::from_static(ITEMS);
    let request = Request::new(Payload { body: payload(&job) });
    let mut items: Streaming<Payload> = grpc.server_streaming(request, path, Codec::default()).await?.into_inner();
    while items.message().await?.is_some() {
        meter.message();
    }
    Ok(())
}

async fn flood(job: Job, channel: Channel) -> Result<(), Fault> {
    let messages = tokio_stream::iter(every(job));
    let mut grpc = Grpc::new(channel);
    grpc.ready().await?;
    let path = PathAndQuery::from_static(ONE_WAY);
    let answer: Response<Payload> = grpc.client_streaming(Request::new(messages), path, Codec::default()).await?;
    std::hint::black_box(answer.into_inner());
    Ok(())
}
