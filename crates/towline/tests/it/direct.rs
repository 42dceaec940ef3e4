//! Calls over a bare connection: every shape, giving up, deadlines, credit, faults of handlers and of peers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use towline::call::direct::{
    Answer, Asked, CallId, CallItem, DirectCaller, DirectConfig, Fault, NoAnswer, Packet, PacketCodec, Part, each,
    exchange,
};
use towline::call::{Code, Status};
use towline::codec::{Content, Decoder, Encoder, Json, LengthPrefixed, MessagePack, Prost, Typed, Verdict};
use towline::connection::{Connection, EndOf, Reactor};
use towline::pump::Outbox;

use crate::support::soon;

/// Items that are plain bytes.
struct Plain;

impl Content for Plain {
    type In = Bytes;
    type Out = Bytes;
    type Error = std::convert::Infallible;

    fn read(bytes: &[u8]) -> Result<Bytes, Self::Error> {
        Ok(Bytes::copy_from_slice(bytes))
    }

    fn write(value: &Bytes, bytes: &mut Vec<u8>) -> Result<(), Self::Error> {
        bytes.extend_from_slice(value);
        Ok(())
    }
}

type Codec = PacketCodec<LengthPrefixed, Plain>;
type Caller = DirectCaller<Bytes, Bytes>;
type End = EndOf<Codec>;

const FRAMES: LengthPrefixed = LengthPrefixed::u32(1 << 20);

fn codec() -> Codec {
    Codec::new(FRAMES)
}

/// A connection that lasts as long as its callers.
fn calling<C, R>(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, codec: C, calls: R) -> JoinHandle<EndOf<C>>
where
    C: Decoder<Error: Send> + Encoder<Message = R::Outbound, Error: Send> + Send + 'static,
    R: Reactor<C, Outbound: Send> + Send + 'static,
{
    let (_, connection) = Connection::new(io, codec, calls, Default::default());
    tokio::spawn(connection)
}

/// A connection that lasts as long as its peer.
fn answering<C, R>(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, codec: C, calls: R) -> JoinHandle<EndOf<C>>
where
    C: Decoder<Error: Send> + Encoder<Message = R::Outbound, Error: Send> + Send + 'static,
    R: Reactor<C, Outbound: Send> + Send + 'static,
{
    tokio::spawn(Connection::answering(io, codec, calls, Default::default()))
}

/// The caller, and the answering side's, whose own calls nobody answers.
fn pair(answer: impl Answer<Bytes, Bytes>) -> (Caller, Caller) {
    pair_with(answer, DirectConfig::default())
}

fn pair_with(answer: impl Answer<Bytes, Bytes>, config: DirectConfig) -> (Caller, Caller) {
    let (near, far) = duplex(16 * 1024);
    let (caller, calls) = exchange(true, config, NoAnswer);
    calling(near, codec(), calls);
    let (other, calls) = exchange(false, config, answer);
    answering(far, codec(), calls);
    (caller, other)
}

/// Waits until it is so, as other tasks go on.
async fn until(so: impl Fn() -> bool) {
    soon(async {
        while !so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Lets all tasks come to rest.
async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

fn first(number: u8) -> Bytes {
    Bytes::from(vec![number])
}

/// What the first item asks for.
async fn shapes(mut call: Asked<Bytes, Bytes>) -> Result<Option<Bytes>, Status> {
    match &call.item[..] {
        b"count down" => {
            for number in (0..3).rev() {
                call.replies.send(first(number)).await?;
            }
            Ok(None)
        }
        b"sum" => {
            let mut sum = 0;
            while let Some(item) = call.requests.recv().await? {
                sum += item[0];
            }
            Ok(Some(first(sum)))
        }
        b"upper" => {
            while let Some(item) = call.requests.recv().await? {
                call.replies.send(item.to_ascii_uppercase().into()).await?;
            }
            Ok(None)
        }
        b"refuse" => Err(Status::new(Code::FailedPrecondition, "not in this state").with_detail(vec![1, 2, 3])),
        b"panic" => panic!("a handler's bug"),
        b"panic later" => {
            tokio::task::yield_now().await;
            panic!("a handler's bug")
        }
        b"hang" => std::future::pending().await,
        b"large" => Ok(Some(vec![7; 100_000].into())),
        _ => Ok(Some(call.item)),
    }
}

#[tokio::test]
async fn each_shape_of_call_over_a_connection_brings_what_the_handler_said() {
    let (caller, other) = pair(shapes);
    assert_eq!(soon(caller.call("hi".into())).await.unwrap(), "hi");
    assert_eq!(soon(caller.call("".into())).await.unwrap(), "");
    assert_eq!(soon(caller.call("large".into())).await.unwrap().len(), 100_000);

    let mut down = caller.open("count down".into()).await.unwrap();
    down.requests.end().unwrap();
    for number in [2, 1, 0] {
        assert_eq!(soon(down.replies.recv()).await.unwrap(), Some(first(number)));
    }
    assert_eq!(soon(down.replies.recv()).await.unwrap(), None);

    let mut sum = caller.open("sum".into()).await.unwrap();
    for number in 1..=10 {
        sum.requests.send(first(number)).await.unwrap();
    }
    sum.requests.end().unwrap();
    assert_eq!(soon(sum.replies.one()).await.unwrap(), first(55));

    let mut talk = caller.open("upper".into()).await.unwrap();
    for word in ["a", "b"] {
        talk.requests.send(word.into()).await.unwrap();
        assert_eq!(soon(talk.replies.recv()).await.unwrap(), Some(word.to_uppercase().into()));
    }
    talk.requests.end().unwrap();
    assert_eq!(soon(talk.replies.recv()).await.unwrap(), None);
    drop((down, sum, talk));
    assert_eq!((caller.open_calls(), other.open_calls()), (0, 0));
}

#[tokio::test]
async fn a_status_travels_with_its_detail_and_a_panic_is_internal() {
    let (caller, _other) = pair(shapes);
    let refused = soon(caller.call("refuse".into())).await.unwrap_err();
    assert_eq!(refused, Status::new(Code::FailedPrecondition, "not in this state").with_detail(vec![1, 2, 3]));
    for word in ["panic", "panic later"] {
        assert_eq!(soon(caller.call(word.into())).await.unwrap_err().code, Code::Internal);
    }
    assert_eq!(soon(caller.call("still here".into())).await.unwrap(), "still here");
    // A unary caller that is answered with more or less than one item.
    for word in ["count down", "upper"] {
        assert_eq!(soon(caller.call(word.into())).await.unwrap_err().code, Code::Internal);
    }
}

/// Counts itself for as long as it lives.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(counter.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Hangs, and counts how many do.
fn hanging(counter: &Arc<AtomicUsize>) -> impl Answer<Bytes, Bytes> + use<> {
    let counter = counter.clone();
    move |_: Asked<Bytes, Bytes>| {
        let running = Running::new(&counter);
        async move {
            let _running = running;
            std::future::pending().await
        }
    }
}

#[tokio::test]
async fn of_ten_thousand_direct_calls_half_are_dropped_and_nothing_runs_on() {
    let (running, echoed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counter = running.clone();
    let (caller, other) = pair(move |call: Asked<Bytes, Bytes>| {
        let running = Running::new(&counter);
        async move {
            let _running = running;
            if call.item == "hang" { std::future::pending().await } else { Ok(Some(call.item)) }
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..10_000 {
        let (caller, echoed, running) = (caller.clone(), echoed.clone(), running.clone());
        tasks.spawn(async move {
            if number % 2 == 0 {
                assert_eq!(caller.call("echo".into()).await.unwrap(), "echo");
                echoed.fetch_add(1, Ordering::SeqCst);
                return;
            }
            // Dropped at every stage: in line, before the packet has left, while its handler runs.
            let mut call = Box::pin(caller.call("hang".into()));
            for _ in 0..number % 7 {
                tokio::select! { biased; end = &mut call => panic!("{end:?}"), () = tokio::task::yield_now() => {} }
            }
            if number % 3 == 0 {
                let some_run = async { until(|| running.load(Ordering::SeqCst) > 0).await };
                tokio::select! { biased; end = &mut call => panic!("{end:?}"), () = some_run => {} }
            }
        });
    }
    soon(async { while tasks.join_next().await.transpose().unwrap().is_some() {} }).await;
    assert_eq!(echoed.load(Ordering::SeqCst), 5_000);
    until(|| caller.open_calls() + other.open_calls() + running.load(Ordering::SeqCst) == 0).await;
    assert_eq!(soon(caller.call("echo".into())).await.unwrap(), "echo");
}

#[tokio::test(start_paused = true)]
async fn a_direct_calls_deadline_is_held_by_the_caller_and_by_the_answering_side() {
    let running = Arc::new(AtomicUsize::new(0));
    let (caller, other) = pair(hanging(&running));
    let before = tokio::time::Instant::now();
    let late = caller.call_within("x".into(), Duration::from_secs(3)).await.unwrap_err();
    assert_eq!((late.code, before.elapsed().as_secs()), (Code::DeadlineExceeded, 3));
    let mut call = caller.open_within("x".into(), Duration::from_secs(3)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(call.replies.recv().await.unwrap_err().code, Code::DeadlineExceeded);
    }
    drop(call);
    settle().await;
    assert_eq!(running.load(Ordering::SeqCst) + caller.open_calls() + other.open_calls(), 0);

    // A caller that never gives up: a peer by hand that says two seconds and waits for the answer.
    let (mut near, far) = duplex(1 << 16);
    let (_other, calls) = exchange(false, DirectConfig::default(), hanging(&running));
    answering(far, codec(), calls);
    let item = Bytes::from_static(b"x");
    send(&mut near, 0, Part::Begin { item, ends: true, time_left: Some(Duration::from_secs(2)) }).await;
    let before = tokio::time::Instant::now();
    let Part::Status(status) = soon(receive(&mut near)).await.part else { panic!("no status") };
    assert_eq!((status.code, before.elapsed().as_secs()), (Code::DeadlineExceeded, 2));
    assert_eq!(running.load(Ordering::SeqCst), 0);
}

/// Writes a packet by hand.
async fn send(stream: &mut DuplexStream, call: u64, part: Part<Bytes>) {
    let mut packet = Vec::new();
    let written = Packet { call: CallId(call), part }.encode(&mut packet, Plain::write);
    written.unwrap();
    let length = (packet.len() as u32).to_be_bytes();
    stream.write_all(&[&length[..], &packet].concat()).await.unwrap();
}

/// Reads a packet by hand.
async fn receive(stream: &mut DuplexStream) -> Packet<Bytes> {
    use tokio::io::AsyncReadExt;
    let mut bytes = vec![0; stream.read_u32().await.unwrap() as usize];
    stream.read_exact(&mut bytes).await.unwrap();
    let packet = Packet::decode(&bytes).unwrap();
    Packet { call: packet.call, part: packet.part.try_map(Plain::read).unwrap() }
}

const ITEM_BYTES: usize = 1_000;

#[tokio::test]
async fn p10_a_slow_reader_of_a_direct_call_slows_its_producer_and_nothing_else() {
    let produced = Arc::new(AtomicUsize::new(0));
    let counter = produced.clone();
    let (caller, _other) = pair(move |mut call: Asked<Bytes, Bytes>| {
        let produced = counter.clone();
        async move {
            while call.item == "flood" {
                call.replies.send(vec![0; ITEM_BYTES].into()).await?;
                produced.fetch_add(1, Ordering::SeqCst);
            }
            Ok(Some(call.item))
        }
    });
    let mut slow = caller.open("flood".into()).await.unwrap();
    until(|| produced.load(Ordering::SeqCst) > 60).await;
    for _ in 0..1_000 {
        assert_eq!(soon(caller.call("quick".into())).await.unwrap(), "quick");
    }
    let window = DirectConfig::default().window_bytes as usize;
    assert_eq!(produced.load(Ordering::SeqCst), window.div_ceil(ITEM_BYTES + 32), "the window, and not an item more");
    for _ in 0..500 {
        assert_eq!(soon(slow.replies.recv()).await.unwrap().unwrap().len(), ITEM_BYTES);
    }
    until(|| produced.load(Ordering::SeqCst) >= 500 + 30).await;
    settle().await;
    assert!(produced.load(Ordering::SeqCst) <= 500 + window.div_ceil(ITEM_BYTES + 32));
}

#[tokio::test]
async fn p10_a_peer_that_stops_reading_stops_the_handlers_it_asked_for() {
    let polls = Arc::new(AtomicUsize::new(0));
    let counter = polls.clone();
    let (mut near, far) = duplex(1_000);
    let config = DirectConfig::default();
    let (other, calls) = exchange(false, config, move |_: Asked<Bytes, Bytes>| {
        counter.fetch_add(1, Ordering::SeqCst);
        async { Ok(Some(Bytes::from(vec![0; 8 * 1024]))) }
    });
    answering(far, codec(), calls);
    // As many calls as are agreed, each answered with 8 KiB that nobody reads.
    for number in 0..config.max_calls as u64 {
        send(&mut near, 2 * number, Part::Begin { item: "x".into(), ends: true, time_left: None }).await;
    }
    settle().await;
    let begun = polls.load(Ordering::SeqCst);
    assert!((1..100).contains(&begun), "{begun} handlers ran for a peer that reads nothing");
    // What waited goes on as soon as it reads.
    for _ in 0..config.max_calls {
        assert!(matches!(soon(receive(&mut near)).await.part, Part::Last(item) if item.len() == 8 * 1024));
    }
    assert_eq!((polls.load(Ordering::SeqCst), other.open_calls()), (config.max_calls, 0));
}

#[tokio::test]
async fn callers_wait_in_line_for_a_place_and_a_place_given_up_goes_to_the_next() {
    let running = Arc::new(AtomicUsize::new(0));
    let (caller, _other) = pair_with(hanging(&running), {
        let mut config = DirectConfig::default();
        config.max_calls = 2;
        config
    });
    let call = || {
        let caller = caller.clone();
        tokio::spawn(async move { caller.call("x".into()).await })
    };
    let mut calls: Vec<_> = (0..6).map(|_| call()).collect();
    for _ in 0..4 {
        settle().await;
        assert_eq!((running.load(Ordering::SeqCst), caller.open_calls()), (2, 2));
        calls.remove(0).abort();
    }
    // One in line that leaves it, and all that are left.
    let in_line = call();
    settle().await;
    for call in [in_line].into_iter().chain(calls) {
        call.abort();
    }
    until(|| running.load(Ordering::SeqCst) == 0).await;
    assert_eq!(caller.open_calls(), 0);
}

#[tokio::test]
async fn calls_go_both_ways_over_one_connection() {
    let (near, far) = duplex(4_096);
    let (one, calls) = exchange(true, Default::default(), each(|item: Bytes| async move { Ok(item.slice(1..)) }));
    calling(near, codec(), calls);
    let (other, calls) = exchange(false, Default::default(), each(|item: Bytes| async move { Ok(item.slice(2..)) }));
    answering(far, codec(), calls);
    for _ in 0..100 {
        let (there, back) = tokio::join!(soon(one.call("abc".into())), soon(other.call("abc".into())));
        assert_eq!((there.unwrap(), back.unwrap()), (Bytes::from("c"), Bytes::from("bc")));
    }
}

#[tokio::test]
async fn after_the_connections_end_everything_says_unavailable() {
    let (near, far) = duplex(4_096);
    let (caller, calls) = exchange::<Bytes, Bytes, _>(true, Default::default(), NoAnswer);
    let task = calling(near, codec(), calls);
    let mut open = caller.open("x".into()).await.unwrap();
    let waiting = tokio::spawn({
        let caller = caller.clone();
        async move { caller.call("x".into()).await }
    });
    settle().await;
    drop(far);
    soon(task).await.unwrap();
    assert_eq!(soon(waiting).await.unwrap().unwrap_err().code, Code::Unavailable);
    assert_eq!(soon(open.replies.recv()).await.unwrap_err().code, Code::Unavailable);
    assert_eq!(open.requests.send("x".into()).await.unwrap_err().code, Code::Unavailable);
    assert_eq!(caller.call("x".into()).await.unwrap_err().code, Code::Unavailable);
    assert_eq!((caller.open_calls(), caller.closed().unwrap().code), (0, Code::Unavailable));
}

#[tokio::test]
async fn a_connection_ends_with_its_last_caller_and_call() {
    let (near, far) = duplex(4_096);
    let (caller, calls) = exchange(true, Default::default(), NoAnswer);
    let calling = calling(near, codec(), calls);
    let (other, calls) = exchange(false, Default::default(), shapes);
    let answering = answering(far, codec(), calls);
    let mut call = caller.open("sum".into()).await.unwrap();
    drop(caller);
    call.requests.send(first(7)).await.unwrap();
    call.requests.end().unwrap();
    assert_eq!(soon(call.replies.one()).await.unwrap(), first(7));
    assert!(soon(calling).await.unwrap().is_done());
    assert!(matches!(soon(answering).await.unwrap(), End::PeerClosed));
    assert_eq!(other.open_calls(), 0);
}

/// A call's number and what is said of it.
type Said = (u64, Part<Bytes>);

#[tokio::test]
async fn p18_hostile_packets_end_the_connection_by_name() {
    let begin = |ends| Part::Begin { item: Bytes::from("hang"), ends, time_left: None };
    let flood = || (0..3).map(|_| (0, Part::Item(Bytes::from(vec![0; 40_000]))));
    let cases: Vec<(Vec<Said>, Fault)> = vec![
        (vec![(1, begin(true))], Fault::BadId(1)),
        (vec![(4, begin(true)), (2, begin(true))], Fault::BadId(2)),
        (vec![(0, begin(true)), (0, Part::Item("x".into()))], Fault::BadStep(0)),
        (vec![(0, begin(false)), (0, Part::End), (0, Part::End)], Fault::BadStep(0)),
        (vec![(0, begin(true)), (0, Part::Last("x".into()))], Fault::BadStep(0)),
        (vec![(6, Part::Credit(1))], Fault::BadStep(6)),
        ([(0, begin(false))].into_iter().chain(flood()).collect(), Fault::NoCredit(0)),
        // Items without a byte count, too.
        (
            [(0, begin(false))].into_iter().chain((0..3_000).map(|_| (0, Part::Item(Bytes::new())))).collect(),
            Fault::NoCredit(0),
        ),
    ];
    for (packets, fault) in cases {
        let (mut near, far) = duplex(1 << 20);
        let (other, calls) = exchange(false, Default::default(), shapes);
        let mut connection = Connection::answering(far, codec(), calls, Default::default());
        let waiting = other.call("x".into());
        for (call, part) in packets {
            send(&mut near, call, part).await;
        }
        near.shutdown().await.unwrap();
        let (end, waited) = tokio::join!(soon(&mut connection), soon(waiting));
        assert!(end.is_done(), "{fault}: {end}");
        assert_eq!(connection.reactor().fault(), Some(fault));
        let status = waited.unwrap_err();
        assert_eq!(status.code, Code::Unavailable);
        assert!(status.text.contains(&fault.to_string()), "{status}");
        assert_eq!(other.open_calls(), 0);
    }
    // Bytes that are no packet.
    let (mut near, far) = duplex(1 << 10);
    let (_other, calls) = exchange(false, Default::default(), shapes);
    near.write_all(b"\0\0\0\x01\x09").await.unwrap();
    let end = soon(Connection::answering(far, codec(), calls, Default::default())).await;
    assert!(end.to_string().contains("not a packet"), "{end}");
}

#[tokio::test]
async fn p18_calls_that_are_begun_and_given_up_at_once_leave_nothing_with_a_side_that_cannot_write() {
    let polls = Arc::new(AtomicUsize::new(0));
    let (mut near, far) = duplex(256);
    let (other, calls) = exchange(false, Default::default(), hanging(&polls));
    answering(far, codec(), calls);
    for number in 0..20_000 {
        send(&mut near, 2 * number, Part::Begin { item: "x".into(), ends: true, time_left: None }).await;
        send(&mut near, 2 * number, Part::GiveUp(Code::Cancelled)).await;
    }
    until(|| other.open_calls() + polls.load(Ordering::SeqCst) == 0).await;
    // One call more than agreed is refused, and the others go on.
    let most = DirectConfig::default().max_calls as u64;
    for number in 20_000..20_001 + most {
        send(&mut near, 2 * number, Part::Begin { item: "x".into(), ends: true, time_left: None }).await;
    }
    let refused = soon(receive(&mut near)).await;
    assert_eq!(refused.call, CallId(2 * (20_000 + most)));
    assert!(matches!(refused.part, Part::Status(status) if status.code == Code::ResourceExhausted));
    assert_eq!(other.open_calls(), most as usize);
}

#[tokio::test]
async fn direct_calls_carry_every_content() {
    async fn check<C: Content<In = String, Out = String, Error: Send> + 'static>() {
        let codec = || <PacketCodec<LengthPrefixed, C>>::new(FRAMES);
        let (near, far) = duplex(4_096);
        let (caller, calls) = exchange(true, Default::default(), NoAnswer);
        calling(near, codec(), calls);
        let hello = each(|name: String| async move { Ok(format!("hello {name}")) });
        let (_other, calls) = exchange(false, Default::default(), hello);
        answering(far, codec(), calls);
        assert_eq!(soon(caller.call("kitchen".to_owned())).await.unwrap(), "hello kitchen");
    }
    check::<MessagePack<String>>().await;
    check::<Prost<String>>().await;
    check::<Json<String>>().await;
}

/// An item of one's own.
#[derive(Clone, Debug, Default, PartialEq)]
struct Word(String);

impl CallItem for Word {
    fn weight_bytes(&self) -> usize {
        self.0.len()
    }
}

/// A wire format of one's own: messages that carry their call's id and a control code themselves, as those of other
/// calls over one connection do: id, control, word, number, text.
type Own = (u64, u32, String, u64, String);

struct OwnCodec(Typed<LengthPrefixed, MessagePack<Own>>);

impl Decoder for OwnCodec {
    type Message<'a> = Packet<Word>;
    type Error = String;

    fn decode(&mut self, bytes: &[u8]) -> Result<Verdict<Packet<Word>>, String> {
        let ((id, control, word, number, text), used) = match self.0.decode(bytes).map_err(|error| error.to_string())? {
            Verdict::Message(own, used) => (own, used),
            Verdict::Need(more) => return Ok(Verdict::Need(more)),
            Verdict::Skip(count) => return Ok(Verdict::Skip(count)),
        };
        let item = Word(word);
        let part = match control {
            0 => Part::Begin { item, ends: true, time_left: (number > 0).then(|| Duration::from_millis(number)) },
            1 => Part::Begin { item, ends: false, time_left: None },
            2 => Part::Item(item),
            3 => Part::End,
            4 => Part::Last(item),
            5 => Part::Status(Status::new(Code::from_number(number), text)),
            6 => Part::GiveUp(Code::from_number(number)),
            7 => Part::Credit(number),
            other => return Err(format!("no control {other}")),
        };
        Ok(Verdict::Message(Packet { call: CallId(id), part }, used))
    }
}

impl Encoder for OwnCodec {
    type Message = Packet<Word>;
    type Error = String;

    fn encode(&mut self, packet: Packet<Word>, out: &mut Outbox) -> Result<(), String> {
        let none = String::new;
        let (control, word, number, text) = match packet.part {
            Part::Begin { item, ends: true, time_left } => {
                (0, item.0, time_left.map_or(0, |left| left.as_millis() as u64), none())
            }
            Part::Begin { item, .. } => (1, item.0, 0, none()),
            Part::Item(item) => (2, item.0, 0, none()),
            Part::End => (3, none(), 0, none()),
            Part::Last(item) => (4, item.0, 0, none()),
            Part::Status(status) => (5, none(), status.code.number().into(), status.text),
            Part::GiveUp(code) => (6, none(), code.number().into(), none()),
            Part::Credit(limit) => (7, none(), limit, none()),
        };
        self.0.encode((packet.call.0, control, word, number, text), out).map_err(|error| error.to_string())
    }
}

/// Puts the words that come together, and says each time what there is.
async fn collect(mut call: Asked<Word, Word>) -> Result<Option<Word>, Status> {
    let mut text = call.item.0;
    while let Some(more) = call.requests.recv().await? {
        text += &more.0;
        call.replies.send(Word(text.clone())).await?;
    }
    if text.is_empty() { Err(Status::new(Code::NotFound, "no word")) } else { Ok(Some(Word(text))) }
}

#[tokio::test]
async fn calls_speak_a_wire_format_of_ones_own() {
    let codec = || OwnCodec(<MessagePack<Own>>::codec(1 << 16));
    let (near, far) = duplex(4_096);
    let (caller, calls) = exchange(true, Default::default(), NoAnswer);
    calling(near, codec(), calls);
    let (_other, calls) = exchange(false, Default::default(), collect);
    answering(far, codec(), calls);
    let word = |text: &str| Word(text.to_owned());
    let within = Duration::from_secs(600);
    assert_eq!(soon(caller.call_within(word("one"), within)).await.unwrap(), word("one"));
    assert_eq!(soon(caller.call(word(""))).await.unwrap_err(), Status::new(Code::NotFound, "no word"));
    let mut call = caller.open(word("a")).await.unwrap();
    call.requests.send(word("b")).await.unwrap();
    assert_eq!(soon(call.replies.recv()).await.unwrap(), Some(word("ab")));
    call.requests.end().unwrap();
    assert_eq!(soon(call.replies.recv()).await.unwrap(), Some(word("ab")));
    assert_eq!(soon(call.replies.recv()).await.unwrap(), None);
}
