//! Services from a list of methods, in each format; and calls between `tower`'s layers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tower::{Service as _, ServiceExt};
use towline::call::{CallInfo, Caller, Calls, Code, Request, Status, TowerService, TypedReplies, TypedRequests};
use towline::codec::{Json, MessagePack, Prost};

use crate::support::{over_memory, soon};

towline::service! {
    /// Numbers in Protocol Buffers.
    mod protobuf in Prost {
        /// One there, one back; `u64` is Google's `UInt64Value`.
        fn double(u64) -> u64;
    }
}

towline::service! {
    mod numbers in MessagePack {
        fn double(u64) -> u64;
        fn up_to(u64) -> stream u64;
        fn sum(stream u64) -> u64;
        fn doubles(stream u64) -> stream u64;
        fn caller(()) -> String;
    }
}

towline::service! {
    mod lines in Json {
        fn length(String) -> usize;
    }
}

struct Able;

impl protobuf::Handler for Able {
    async fn double(&self, number: u64, _: &CallInfo) -> Result<u64, Status> {
        Ok(2 * number)
    }
}

impl lines::Handler for Able {
    async fn length(&self, line: String, _: &CallInfo) -> Result<usize, Status> {
        Ok(line.len())
    }
}

impl numbers::Handler for Able {
    async fn double(&self, number: u64, _: &CallInfo) -> Result<u64, Status> {
        number.checked_mul(2).ok_or_else(|| Status::new(Code::OutOfRange, "too large to double"))
    }

    async fn up_to(
        &self,
        end: u64,
        mut replies: TypedReplies<'_, MessagePack<u64, u64>>,
        _: &CallInfo,
    ) -> Result<(), Status> {
        for number in 0..end {
            replies.send(&number).await?;
        }
        Ok(())
    }

    async fn sum(&self, mut requests: TypedRequests<'_, MessagePack<u64, u64>>, _: &CallInfo) -> Result<u64, Status> {
        let mut sum = 0;
        while let Some(number) = requests.recv().await? {
            sum += number;
        }
        Ok(sum)
    }

    async fn doubles(
        &self,
        mut requests: TypedRequests<'_, MessagePack<u64, u64>>,
        mut replies: TypedReplies<'_, MessagePack<u64, u64>>,
        _: &CallInfo,
    ) -> Result<(), Status> {
        while let Some(number) = requests.recv().await? {
            replies.send(&(2 * number)).await?;
        }
        Ok(())
    }

    async fn caller(&self, (): (), info: &CallInfo) -> Result<String, Status> {
        let token = info.metadata.get("token").map(|token| String::from_utf8_lossy(token).into_owned());
        Ok(format!("{} {}", info.method, token.unwrap_or_default()))
    }
}

#[tokio::test]
async fn a_typed_service_answers_every_shape() {
    let (_server, session) = over_memory(numbers::plugin(Able)).await;
    let caller = Caller::new(session).with_timeout(Duration::from_secs(60)).with_metadata("token", "t-1");
    let numbers = numbers::Client::new(caller.clone());
    assert_eq!(soon(numbers.double(&21)).await, Ok(42));
    assert_eq!(soon(numbers.double(&u64::MAX)).await.unwrap_err().code, Code::OutOfRange);
    assert_eq!(soon(numbers.caller(&())).await.unwrap(), "numbers/caller t-1");

    let mut up = soon(numbers.up_to(&3)).await.unwrap();
    let mut got = Vec::new();
    while let Some(number) = soon(up.recv()).await.unwrap() {
        got.push(number);
    }
    assert_eq!(got, [0, 1, 2]);

    let mut sum = soon(numbers.sum()).await.unwrap();
    for number in [1, 2, 3] {
        sum.send(&number).await.unwrap();
    }
    assert_eq!(soon(sum.finish()).await, Ok(6));

    let mut doubles = soon(numbers.doubles()).await.unwrap();
    for number in [5, 6] {
        doubles.send(&number).await.unwrap();
        assert_eq!(soon(doubles.recv()).await, Ok(Some(2 * number)));
    }
    doubles.end().unwrap();
    assert_eq!(soon(doubles.recv()).await, Ok(None));

    let wrong = soon(caller.unary(Request::new("numbers/double", "no number"))).await.unwrap_err();
    assert_eq!(wrong.code, Code::InvalidArgument, "{wrong}");
    let missing = soon(caller.unary(Request::new("numbers/halve", ""))).await.unwrap_err();
    assert_eq!(missing.code, Code::Unimplemented, "{missing}");
}

#[tokio::test]
async fn services_speak_protocol_buffers_and_json_too() {
    let (_server, session) = over_memory(protobuf::plugin(Able)).await;
    assert_eq!(soon(protobuf::Client::new(Caller::new(session)).double(&4)).await, Ok(8));
    let (_server, session) = over_memory(lines::plugin(Able)).await;
    assert_eq!(soon(lines::Client::new(Caller::new(session)).length(&"four".into())).await, Ok(4));
}

/// Fails as often as it is told, then says hello.
#[derive(Clone)]
struct Unsteady(Arc<AtomicUsize>);

impl tower::Service<Request> for Unsteady {
    type Response = Bytes;
    type Error = Status;
    type Future = std::future::Ready<Result<Bytes, Status>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Status>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let failing = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        let reply = [b"hello ", &request.item.unwrap()[..]].concat();
        std::future::ready(if failing { Err(Code::Unavailable.into()) } else { Ok(reply.into()) })
    }
}

/// Tries again while the other side is unavailable, three times at most.
#[derive(Clone)]
struct ThreeTimes(usize);

impl tower::retry::Policy<Request, Bytes, Status> for ThreeTimes {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut Request, result: &mut Result<Bytes, Status>) -> Option<Self::Future> {
        let again = result.as_ref().is_err_and(|status| status.code == Code::Unavailable) && self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        again.then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request) -> Option<Request> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn towers_retry_and_limits_stand_around_both_sides() {
    let failures = Arc::new(AtomicUsize::new(3));
    let answering = tower::ServiceBuilder::new().concurrency_limit(1).service(Unsteady(failures.clone()));
    let (_server, session) = over_memory(Calls::new(TowerService::new(answering))).await;
    let mut calling = tower::ServiceBuilder::new().retry(ThreeTimes(3)).service(Caller::new(session.clone()));
    let reply = soon(async { calling.ready().await?.call(Request::new("greet", "kitchen")).await });
    assert_eq!(reply.await.unwrap(), "hello kitchen");
    failures.store(1, Ordering::SeqCst);
    let failed = soon(Caller::new(session).oneshot(Request::new("greet", "kitchen"))).await.unwrap_err();
    assert_eq!(failed.code, Code::Unavailable, "without the layer nothing tries again");
}

#[tokio::test(start_paused = true)]
async fn towers_timeout_cancels_the_call() {
    struct Never;
    impl towline::call::Service for Never {
        async fn call(&self, _: &mut towline::call::Incoming) -> Result<(), Status> {
            std::future::pending().await
        }
    }
    let (_server, session) = over_memory(Calls::new(Never)).await;
    let calling = tower::timeout::Timeout::new(Caller::new(session.clone()), Duration::from_secs(1));
    let late = calling.oneshot(Request::new("greet", "")).await.unwrap_err();
    assert!(late.is::<tower::timeout::error::Elapsed>(), "{late}");
    soon(async {
        while session.stats().streams > towline::Lane::COUNT {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
