//! Calls between `tower`'s layers: around callers and answering sides, over sessions and over bare connections.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::duplex;
use tower::balance::p2c::Balance;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequests};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};
use towline::call::direct::{Answer, DirectCaller, NoAnswer, PacketCodec, exchange};
use towline::call::{Caller, Calls, Code, Request, Status, TowerService};
use towline::codec::{LengthPrefixed, MessagePack};
use towline::connection::Connection;

use crate::support::{over_memory, soon};

/// A caller over a bare connection to a side that answers in this way; that side, for its count of calls; and its task.
fn direct(answer: impl Answer<String, String>) -> (Direct, Direct, tokio::task::AbortHandle) {
    let codec = || <PacketCodec<LengthPrefixed, MessagePack<String>>>::new(LengthPrefixed::u32(1_000));
    let (near, far) = duplex(4_096);
    let (other, calls) = exchange(false, Default::default(), answer);
    let task = tokio::spawn(Connection::answering(far, codec(), calls, Default::default())).abort_handle();
    let (caller, calls) = exchange(true, Default::default(), NoAnswer);
    let (_, connection) = Connection::new(near, codec(), calls, Default::default());
    tokio::spawn(connection);
    (caller, other, task)
}

type Direct = DirectCaller<String, String>;

/// What a session's service is asked, as text.
fn name_of(request: Request) -> String {
    String::from_utf8(request.item.unwrap().to_vec()).unwrap()
}

fn greet() -> Request {
    Request::new("greet", "kitchen")
}

/// Fails as often as it is told, then says hello.
#[derive(Clone, Default)]
struct Unsteady(Arc<AtomicUsize>);

impl Unsteady {
    async fn hello(self, name: String) -> Result<String, Status> {
        let failing = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if failing { Err(Code::Unavailable.into()) } else { Ok(format!("hello {name}")) }
    }
}

/// Tries again while the other side is unavailable, so many times at most.
#[derive(Clone)]
struct Times(usize);

impl<R: Clone, T> tower::retry::Policy<R, T, Status> for Times {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut R, result: &mut Result<T, Status>) -> Option<Self::Future> {
        let again = result.as_ref().is_err_and(|status| status.code == Code::Unavailable) && self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        again.then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &R) -> Option<R> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn towers_retry_and_limits_stand_around_both_sides() {
    let unsteady = Unsteady::default();
    let hello = unsteady.clone();
    let answering = service_fn(move |request: Request| {
        let hello = hello.clone().hello(name_of(request));
        async { hello.await.map(Bytes::from) }
    });
    let answering = ServiceBuilder::new().concurrency_limit(1).service(answering);
    let (_server, session) = over_memory(Calls::new(TowerService::new(answering))).await;
    retried(&unsteady, Caller::new(session), greet).await;
}

#[tokio::test]
async fn towers_retry_and_limits_stand_around_both_sides_of_direct_calls() {
    let unsteady = Unsteady::default();
    let hello = unsteady.clone();
    let answering = service_fn(move |name| hello.clone().hello(name));
    let answering = ServiceBuilder::new().concurrency_limit(1).service(answering);
    let (caller, ..) = direct(TowerService::new(answering));
    retried(&unsteady, caller, || "kitchen".to_owned()).await;
}

/// Three failures are hidden by three more tries; without the layer one failure is seen.
async fn retried<S, R>(unsteady: &Unsteady, caller: S, request: impl Fn() -> R)
where
    S: Service<R, Response: Into<Bytes> + Debug, Error = Status> + Clone,
    R: Clone,
{
    unsteady.0.store(3, Ordering::SeqCst);
    let calling = ServiceBuilder::new().concurrency_limit(1).retry(Times(3)).service(caller.clone());
    assert_eq!(soon(calling.oneshot(request())).await.unwrap().into(), "hello kitchen");
    unsteady.0.store(1, Ordering::SeqCst);
    let failed = soon(caller.oneshot(request())).await.unwrap_err();
    assert_eq!(failed.code, Code::Unavailable, "without the layer nothing tries again");
}

#[tokio::test]
async fn a_limit_around_the_answering_side_lets_so_many_direct_calls_run_at_once() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counters = (running.clone(), most.clone());
    let slow = service_fn(move |name: String| {
        let (running, most) = counters.clone();
        async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, Status>(name)
        }
    });
    let (caller, ..) = direct(TowerService::new(ServiceBuilder::new().concurrency_limit(2).service(slow)));
    let calls = (0..50).map(|_| caller.call("kitchen".to_owned()));
    let replies = soon(futures_util::future::join_all(calls)).await;
    assert!(replies.into_iter().all(|reply| reply.unwrap() == "kitchen"));
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn towers_timeout_cancels_the_call() {
    let never = service_fn(|_: Request| std::future::pending::<Result<Bytes, Status>>());
    let (_server, session) = over_memory(Calls::new(TowerService::new(never))).await;
    timed_out(Caller::new(session.clone()), greet()).await;
    soon(async {
        while session.stats().streams > towline::Lane::COUNT {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn towers_timeout_cancels_the_direct_call() {
    let never = service_fn(|_: String| std::future::pending::<Result<String, Status>>());
    let (caller, other, _) = direct(TowerService::new(never));
    timed_out(caller.clone(), "kitchen".to_owned()).await;
    soon(async {
        while caller.open_calls() + other.open_calls() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn timed_out<S: Service<R, Response: Debug, Error = Status>, R>(caller: S, request: R) {
    let late = tower::timeout::Timeout::new(caller, Duration::from_secs(1)).oneshot(request).await.unwrap_err();
    assert!(late.is::<tower::timeout::error::Elapsed>(), "{late}");
}

/// Refuses with a detail, or never answers.
async fn refuse_or_hang(name: String) -> Result<String, Status> {
    match name.as_str() {
        "refuse" => Err(Status::new(Code::NotFound, "no such room").with_detail(vec![7])),
        _ => std::future::pending().await,
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_passes_the_layers_of_the_answering_side_and_their_own_errors_are_told() {
    let second = Duration::from_secs(1);
    let of_direct = ServiceBuilder::new().timeout(second).service_fn(refuse_or_hang);
    let (caller, ..) = direct(TowerService::new(of_direct));
    let of_sessions = ServiceBuilder::new()
        .timeout(second)
        .service_fn(|request| async { refuse_or_hang(name_of(request)).await.map(Bytes::from) });
    let (_server, session) = over_memory(Calls::new(TowerService::new(of_sessions))).await;
    let over_session = Caller::new(session);
    for (name, expected) in [
        ("refuse", Status::new(Code::NotFound, "no such room").with_detail(vec![7])),
        ("hang", Status::new(Code::Unknown, "request timed out")),
    ] {
        assert_eq!(soon(caller.call(name.to_owned())).await.unwrap_err(), expected);
        assert_eq!(soon(over_session.unary(Request::new("greet", name))).await.unwrap_err(), expected);
    }
}

/// Says which of several servers answers; asked to hang, it does.
async fn number(number: usize, name: String) -> Result<String, Status> {
    if name == "hang" { std::future::pending().await } else { Ok(number.to_string()) }
}

const SERVERS: usize = 3;

#[tokio::test]
async fn towers_balance_spreads_direct_calls_and_lets_go_of_a_connection_that_is_over() {
    let (mut callers, mut tasks) = (Vec::new(), Vec::new());
    for server in 0..SERVERS {
        let (caller, _, task) = direct(TowerService::new(service_fn(move |name| number(server, name))));
        callers.push(caller);
        tasks.push(task);
    }
    let watched = callers.clone();
    let end_first = async {
        tasks[0].abort();
        while watched[0].closed().is_none() {
            tokio::task::yield_now().await;
        }
    };
    balanced(callers, str::to_owned, end_first).await;
}

#[tokio::test]
async fn towers_balance_spreads_calls_and_lets_go_of_a_session_that_is_over() {
    let (mut callers, mut servers) = (Vec::new(), Vec::new());
    for server in 0..SERVERS {
        let answer = move |request| async move { number(server, name_of(request)).await.map(Bytes::from) };
        let (running, session) = over_memory(Calls::new(TowerService::new(service_fn(answer)))).await;
        servers.push(running);
        callers.push(Caller::new(session));
    }
    let watched = callers.clone();
    let end_first = async {
        watched[0].session().close(towline::Close::new(towline::CloseCode::Done));
        watched[0].session().closed().await;
    };
    balanced(callers, |name| Request::new("number", name.to_owned()), end_first).await;
    drop(servers);
}

/// Every server is asked; one that has not answered yet is asked no more while others have nothing to do; one that is
/// over is asked never again, and no call fails for it.
async fn balanced<S, R>(callers: Vec<S>, request: impl Fn(&str) -> R, end_first: impl Future<Output = ()>)
where
    S: Service<R, Response: Into<Bytes> + Debug + Send + 'static, Error = Status, Future: Send + 'static>,
{
    let loads = callers.into_iter().map(|caller| PendingRequests::new(caller, CompleteOnResponse::default()));
    let mut balance = Balance::new(ServiceList::new::<R>(loads));

    let answered = ask(&mut balance, &request, 300).await;
    assert!(answered.iter().all(|&calls| calls > 0), "{answered:?}");

    let hanging = tokio::spawn(soon(balance.ready()).await.unwrap().call(request("hang")));
    let answered = ask(&mut balance, &request, 300).await;
    assert_eq!(answered.iter().filter(|&&calls| calls == 0).count(), 1, "{answered:?}");
    hanging.abort();
    assert!(hanging.await.unwrap_err().is_cancelled());

    end_first.await;
    let answered = ask(&mut balance, &request, 300).await;
    assert!(answered[0] == 0 && answered[1] > 0 && answered[2] > 0, "{answered:?}");
}

/// Asks so many times, and says how many each server answered.
async fn ask<S, R>(balance: &mut S, request: impl Fn(&str) -> R, times: usize) -> [usize; SERVERS]
where
    S: Service<R, Response: Into<Bytes>, Error = BoxError>,
{
    let mut answered = [0; SERVERS];
    for _ in 0..times {
        let call = soon(balance.ready()).await.unwrap().call(request("kitchen"));
        let number: Bytes = soon(call).await.unwrap().into();
        answered[std::str::from_utf8(&number).unwrap().parse::<usize>().unwrap()] += 1;
    }
    answered
}
