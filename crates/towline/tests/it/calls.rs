//! Calls of every shape: replies, cancelling, deadlines, credit, faults of handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use towline::Lane;
use towline::call::{Caller, Calls, Code, Incoming, Request, Service, Status};

use crate::support::{over_memory, over_tcp, soon};

/// One method for each shape, and for each way to go wrong.
#[derive(Default)]
struct Shapes {
    /// Handlers of `hang` that are running now.
    hanging: Arc<AtomicUsize>,
    begun: Arc<AtomicUsize>,
    changed: Arc<Notify>,
    produced: Arc<AtomicUsize>,
}

/// Counts itself for as long as it lives.
struct Running(Arc<AtomicUsize>, Arc<Notify>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
        self.1.notify_waiters();
    }
}

impl Service for Shapes {
    async fn call(&self, call: &mut Incoming) -> Result<(), Status> {
        match call.info.method.as_str() {
            "echo" => {
                let item = call.requests.one().await?;
                call.replies.last(item).await
            }
            "count-down" => {
                let from = call.requests.one().await?[0];
                for number in (0..from).rev() {
                    call.replies.send([number]).await?;
                }
                Ok(())
            }
            "sum" => {
                let mut sum = 0u64;
                while let Some(item) = call.requests.recv().await? {
                    sum += u64::from(item[0]);
                }
                call.replies.last(sum.to_be_bytes()).await
            }
            "upper" => {
                while let Some(item) = call.requests.recv().await? {
                    call.replies.send(item.to_ascii_uppercase()).await?;
                }
                Ok(())
            }
            "metadata" => {
                let token = call.info.metadata.get("token").cloned().unwrap_or_default();
                call.replies.metadata.push("seen", token);
                call.replies.last("done").await
            }
            "refuse" => Err(Status::new(Code::FailedPrecondition, "not in this state").with_detail(vec![1, 2, 3])),
            "panic" => panic!("a handler's bug"),
            "hang" => {
                self.hanging.fetch_add(1, Ordering::SeqCst);
                self.begun.fetch_add(1, Ordering::SeqCst);
                let _running = Running(self.hanging.clone(), self.changed.clone());
                self.changed.notify_waiters();
                std::future::pending().await
            }
            "flood" => loop {
                call.replies.send([0; 1_000]).await?;
                self.produced.fetch_add(1, Ordering::SeqCst);
            },
            other => Err(Status::new(Code::Unimplemented, format!("there is no method {other}"))),
        }
    }
}

/// Waits until what the service counts is so.
async fn until(changed: &Notify, so: impl Fn() -> bool) {
    soon(async {
        loop {
            let told = changed.notified();
            if so() {
                return;
            }
            // What is counted may change between the look and the waiting; then the next turn sees it.
            tokio::select! { () = told => {}, () = tokio::task::yield_now() => {} }
        }
    })
    .await;
}

#[tokio::test]
async fn each_shape_of_call_brings_what_the_handler_said() {
    let (_server, session) = over_tcp(Calls::new(Shapes::default())).await;
    let caller = Caller::new(session);
    assert_eq!(soon(caller.unary(Request::new("echo", "hi"))).await.unwrap(), "hi");
    assert_eq!(soon(caller.unary(Request::new("echo", ""))).await.unwrap(), "");

    let mut down = caller.open(Request::new("count-down", vec![3])).await.unwrap();
    down.requests.end().unwrap();
    let mut got = Vec::new();
    while let Some(item) = soon(down.replies.recv()).await.unwrap() {
        got.push(item[0]);
    }
    assert_eq!(got, [2, 1, 0]);

    let mut sum = caller.open(Request::begin("sum")).await.unwrap();
    for number in 1..=10 {
        sum.requests.send([number]).await.unwrap();
    }
    sum.requests.end().unwrap();
    assert_eq!(soon(sum.replies.one()).await.unwrap()[..], 55u64.to_be_bytes());

    let mut talk = caller.open(Request::begin("upper")).await.unwrap();
    for word in ["one", "two", "three"] {
        talk.requests.send(word).await.unwrap();
        assert_eq!(soon(talk.replies.recv()).await.unwrap().unwrap(), word.to_uppercase());
    }
    talk.requests.end().unwrap();
    assert_eq!(soon(talk.replies.recv()).await, Ok(None));
}

#[tokio::test]
async fn status_detail_and_metadata_travel_and_a_panic_is_internal() {
    let (_server, session) = over_memory(Calls::new(Shapes::default())).await;
    let caller = Caller::new(session);
    let refused = soon(caller.unary(Request::new("refuse", ""))).await.unwrap_err();
    assert_eq!(refused, Status::new(Code::FailedPrecondition, "not in this state").with_detail(vec![1, 2, 3]));
    assert_eq!(soon(caller.unary(Request::new("panic", ""))).await.unwrap_err().code, Code::Internal);
    assert_eq!(soon(caller.unary(Request::new("nothing", ""))).await.unwrap_err().code, Code::Unimplemented);

    let mut call = caller.open(Request::new("metadata", "").with_metadata("token", "t-1")).await.unwrap();
    call.requests.end().unwrap();
    assert_eq!(soon(call.replies.one()).await.unwrap(), "done");
    assert_eq!(call.replies.metadata().get("seen").unwrap(), "t-1");

    let two = caller.open(Request::new("upper", "a")).await.unwrap();
    let mut two = two;
    two.requests.send("b").await.unwrap();
    two.requests.end().unwrap();
    assert_eq!(soon(two.replies.one()).await.unwrap_err().code, Code::Internal, "one was expected, two came");
    // After all this the session still serves.
    assert_eq!(soon(caller.unary(Request::new("echo", "hi"))).await.unwrap(), "hi");
}

#[tokio::test]
async fn ten_thousand_calls_of_which_half_are_dropped_leave_nothing_running() {
    let shapes = Shapes::default();
    let (hanging, begun, changed) = (shapes.hanging.clone(), shapes.begun.clone(), shapes.changed.clone());
    let (_server, session) = over_tcp(Calls::new(shapes)).await;
    let caller = Caller::new(session);
    // Half of what the other side lets us have open.
    const AT_ONCE: usize = 100;
    for round in 1..=50 {
        let mut held = Vec::new();
        let mut answered = tokio::task::JoinSet::new();
        for number in 0..AT_ONCE {
            held.push(soon(caller.open(Request::new("hang", ""))).await.unwrap());
            let caller = caller.clone();
            answered.spawn(async move {
                let item = number.to_be_bytes().to_vec();
                assert_eq!(caller.unary(Request::new("echo", item.clone())).await.unwrap(), item);
            });
        }
        soon(answered.join_all()).await;
        until(&changed, || begun.load(Ordering::SeqCst) == round * AT_ONCE).await;
        drop(held);
        until(&changed, || hanging.load(Ordering::SeqCst) == 0).await;
    }
    assert_eq!(soon(caller.unary(Request::new("echo", "hi"))).await.unwrap(), "hi");
}

#[tokio::test(start_paused = true)]
async fn the_time_for_a_call_is_held_by_both_sides() {
    let shapes = Shapes::default();
    let (hanging, begun, changed) = (shapes.hanging.clone(), shapes.begun.clone(), shapes.changed.clone());
    let (_server, session) = over_memory(Calls::new(shapes)).await;
    let caller = Caller::new(session);
    let before = tokio::time::Instant::now();
    let late = caller.unary(Request::new("hang", "").with_timeout(Duration::from_millis(700))).await.unwrap_err();
    assert_eq!(late.code, Code::DeadlineExceeded);
    assert_eq!(before.elapsed(), Duration::from_millis(700));
    until(&changed, || hanging.load(Ordering::SeqCst) == 0).await;
    assert_eq!(begun.load(Ordering::SeqCst), 1);

    // A caller that does not look at the clock hears it from the other side.
    let mut held = caller.open(Request::new("hang", "").with_timeout(Duration::from_secs(2))).await.unwrap();
    held.requests.end().unwrap();
    until(&changed, || hanging.load(Ordering::SeqCst) == 1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    until(&changed, || hanging.load(Ordering::SeqCst) == 0).await;
    assert_eq!(held.replies.recv().await.unwrap_err().code, Code::DeadlineExceeded);
}

#[tokio::test]
async fn p10_a_slow_consumer_slows_its_own_producer_and_nothing_else() {
    let shapes = Shapes::default();
    let produced = shapes.produced.clone();
    let (_server, session) = over_memory(Calls::new(shapes)).await;
    let caller = Caller::new(session.clone());
    let mut flood = caller.open(Request::new("flood", "")).await.unwrap();
    soon(flood.replies.recv()).await.unwrap();
    // Others are answered while nobody reads the flood, until it stands still.
    let mut last = usize::MAX;
    while last != produced.load(Ordering::SeqCst) {
        last = produced.load(Ordering::SeqCst);
        for _ in 0..200 {
            assert_eq!(soon(caller.unary(Request::new("echo", "hi"))).await.unwrap(), "hi");
        }
    }
    let bound = 2 * towline_proto::limits::DEFAULT_STREAM_CREDIT_BYTES as usize / 1_000;
    assert!(last <= bound, "{last} items of 1,000 bytes were made for a reader that reads none");
    for _ in 0..last {
        soon(flood.replies.recv()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_end_of_the_session_ends_its_calls_by_name() {
    let (server, session) = over_tcp(Calls::new(Shapes::default())).await;
    let caller = Caller::new(session);
    let mut hanging = caller.open(Request::new("hang", "")).await.unwrap();
    let mut flood = caller.open(Request::new("flood", "")).await.unwrap();
    soon(flood.replies.recv()).await.unwrap();
    server.shutdown(Duration::ZERO).await;
    let ended = soon(async {
        let status = hanging.replies.recv().await.unwrap_err();
        while flood.replies.recv().await.is_ok() {}
        status
    })
    .await;
    assert_eq!(ended.code, Code::Unavailable, "{ended}");
    assert_eq!(soon(caller.unary(Request::new("echo", ""))).await.unwrap_err().code, Code::Unavailable);
}

#[tokio::test]
async fn p18_a_stream_that_is_no_call_is_given_up_by_name_and_others_go_on() {
    let (_server, session) = over_memory(Calls::new(Shapes::default())).await;
    for senseless in [&b"\xff"[..], b"", b"\x02item before any beginning", b"\x01\x41\x01method cut short"] {
        let (mut send, mut recv) = session.open(Lane::NORMAL).await.unwrap().split();
        send.send(senseless.to_vec()).await.unwrap();
        let told = soon(recv.recv()).await.unwrap_err();
        assert_eq!(told, towline::RecvError::Reset(Code::Internal.number()), "{senseless:?}");
    }
    let long = "m".repeat(257);
    let refused = Caller::new(session.clone()).unary(Request::new(long, "")).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidArgument, "{refused}");
    let large = vec![0; 300 * 1024];
    let refused = soon(Caller::new(session.clone()).unary(Request::new("echo", large))).await.unwrap_err();
    assert_eq!(refused.code, Code::ResourceExhausted, "{refused}");
    assert_eq!(soon(Caller::new(session).unary(Request::new("echo", "hi"))).await.unwrap(), "hi");
}
