//! Connections over streams in memory: echoes, ends, bounds, policies.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::codec::{FrameError, LengthPrefixed};

/// Echoes, and ends at an empty message.
struct Echo;

impl Reactor<LengthPrefixed> for Echo {
    type Outbound = Bytes;

    fn message(&mut self, message: &[u8], replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        if message.is_empty() {
            return ControlFlow::Break(());
        }
        replies.push(Bytes::copy_from_slice(message));
        ControlFlow::Continue(())
    }
}

const CODEC: LengthPrefixed = LengthPrefixed::u32(1 << 20);

#[tokio::test]
async fn a_connection_echoes_every_size_and_ends_with_done() {
    let (mut near, far) = duplex(10_000);
    let (sender, connection) = Connection::new(far, CODEC, Echo, ConnectionConfig::default());
    let task = tokio::spawn(connection);
    sender.send(Bytes::from_static(b"hi")).await.unwrap();
    let mut first = [0; 6];
    near.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"\0\0\0\x02hi");
    let (mut reading, mut writing) = tokio::io::split(near);
    for size in [1usize, 2_047, 2_048, 65_536, 1 << 20] {
        let mut sent = (size as u32).to_be_bytes().to_vec();
        sent.resize(4 + size, 0x5a);
        let mut got = vec![0; sent.len()];
        let (wrote, read) = tokio::join!(writing.write_all(&sent), reading.read_exact(&mut got));
        wrote.unwrap();
        read.unwrap();
        assert!(sent == got, "{size} bytes");
    }
    writing.write_all(&[0; 4]).await.unwrap();
    assert!(task.await.unwrap().is_done());
    assert_eq!(reading.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_connection_ends_with_the_reason() {
    let run = async |bytes: &[u8]| {
        let (mut near, far) = duplex(10_000);
        let (_sender, connection) = Connection::new(far, CODEC, Echo, ConnectionConfig::default());
        near.write_all(bytes).await.unwrap();
        drop(near);
        connection.await
    };
    assert!(matches!(run(b"").await, ConnectionEnd::PeerClosed));
    assert!(matches!(run(b"\0\0\0\x09half").await, ConnectionEnd::Cut));
    assert!(matches!(run(&[0xff; 4]).await, ConnectionEnd::Invalid(FrameError::TooLong { .. })));
}

#[tokio::test]
async fn a_peer_that_never_reads_stops_the_reading_and_not_the_memory() {
    const STREAM_BYTES: usize = 64 * 1024;
    let (mut near, far) = duplex(STREAM_BYTES);
    let (sender, mut connection) = Connection::new(far, CODEC, Echo, ConnectionConfig::default());
    let message = [&[0, 0, 0x10, 0][..], &[1; 4096]].concat();
    let mut taken = 0;
    while taken < 10_000 && turn(&mut Box::pin(near.write_all(&message))).is_ready() {
        assert!(turn(&mut connection).is_pending());
        taken += 1;
    }
    // Both directions of the stream, what is encoded, what was read at once, and the message in the middle.
    let most = (2 * STREAM_BYTES + 2 * 64 * 1024) / message.len() + 2;
    assert!(taken <= most, "{taken} messages were taken of a peer that reads nothing, at most {most} are in order");
    let stats = sender.stats();
    assert!(stats.received * 4_100 <= (STREAM_BYTES + 64 * 1024) as u64 + 2 * 4_100, "{stats:?}");
}

#[tokio::test]
async fn a_place_that_was_promised_and_not_taken_goes_back() {
    let (near, sender, mut connection) = stalled(1);
    send_twenty(&sender, &mut connection);
    let mut reserve = Box::pin(sender.reserve(1));
    assert!(turn(&mut reserve).is_pending());
    let draining = tokio::spawn(numbers(near));
    while sender.stats().waiting > 0 {
        assert!(turn(&mut connection).is_pending());
        tokio::task::yield_now().await;
    }
    assert!(sender.try_send(numbered(50)).is_err(), "the place is promised");
    drop(reserve);
    sender.try_send(numbered(51)).expect("the place is back");
    drop(sender);
    assert!(connection.await.is_done());
    assert_eq!(draining.await.unwrap(), Vec::from_iter((1..=ENCODED + 1).chain([51])));
}

/// Takes what comes.
struct Deaf;

impl Reactor<LengthPrefixed> for Deaf {
    type Outbound = Bytes;

    fn message(&mut self, _message: &[u8], _replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// One poll, by hand.
fn turn<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A message of 32 KiB that begins with its number.
fn numbered(number: u64) -> Bytes {
    let mut message = number.to_be_bytes().to_vec();
    message.resize(32 * 1024, 0);
    message.into()
}

/// The numbers of all whole messages until the stream's end.
async fn numbers(mut stream: DuplexStream) -> Vec<u64> {
    let (mut bytes, mut numbers) = (Vec::new(), Vec::new());
    let _ = stream.read_to_end(&mut bytes).await;
    let mut rest = &bytes[..];
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let Some(message) = behind.get(..u32::from_be_bytes(*length) as usize) else { break };
        numbers.push(u64::from_be_bytes(message[..8].try_into().unwrap()));
        rest = &behind[message.len()..];
    }
    numbers
}

type Plain = Connection<DuplexStream, LengthPrefixed, Deaf>;

/// The stream's buffer holds one numbered message and a piece; the outbox is full after two or three more.
fn stalled(queue_messages: usize) -> (DuplexStream, Sender<Bytes>, Plain) {
    let (near, far) = duplex(40 * 1024);
    let config = ConnectionConfig { queue_messages, queue_bytes: 1 << 30, ..Default::default() };
    let (sender, mut connection) = Connection::new(far, CODEC, Deaf, config);
    assert!(turn(&mut connection).is_pending());
    (near, sender, connection)
}

/// Messages that a stalled connection has encoded before it stops: one in the stream's buffer, and so many that the outbox
/// holds 64 KiB or more of what did not fit there.
const ENCODED: u64 = 4;

/// Sends 1..=20 to a peer that does not read, with ten places to wait; returns which were taken.
fn send_twenty(sender: &Sender<Bytes>, connection: &mut Plain) -> Vec<u64> {
    let mut taken = Vec::new();
    for number in 1..=20 {
        if sender.try_send(numbered(number)).is_ok() {
            taken.push(number);
        }
        if turn(connection).is_ready() {
            break;
        }
    }
    taken
}

#[tokio::test]
async fn refuse_gives_back_what_finds_no_room() {
    let (near, sender, mut connection) = stalled(10);
    let refusing = sender.when_full(WhenFull::Refuse);
    assert_eq!(send_twenty(&refusing, &mut connection), Vec::from_iter(1..=ENCODED + 10));
    assert_eq!(refusing.try_send(numbered(21)).unwrap_err().into_message(), numbered(21));
    let stats = sender.stats();
    assert_eq!((stats.accepted, stats.refused, stats.waiting), (ENCODED + 10, 20 - ENCODED - 10 + 1, 10));
    drop((sender, refusing));
    let (end, got) = tokio::join!(connection, numbers(near));
    assert!(end.is_done());
    assert_eq!(got, Vec::from_iter(1..=ENCODED + 10));
}

#[tokio::test]
async fn drop_oldest_keeps_the_newest() {
    let (near, sender, mut connection) = stalled(10);
    let dropping = sender.when_full(WhenFull::DropOldest);
    assert_eq!(send_twenty(&dropping, &mut connection), Vec::from_iter(1..=20));
    assert_eq!(sender.stats().dropped_oldest, 20 - ENCODED - 10);
    drop((sender, dropping));
    let (end, got) = tokio::join!(connection, numbers(near));
    assert!(end.is_done());
    assert_eq!(got, Vec::from_iter((1..=ENCODED).chain(11..=20)));
}

#[tokio::test]
async fn drop_newest_keeps_the_oldest() {
    let (near, sender, mut connection) = stalled(10);
    let dropping = sender.when_full(WhenFull::DropNewest);
    assert_eq!(send_twenty(&dropping, &mut connection), Vec::from_iter(1..=20));
    assert_eq!(sender.stats().dropped_newest, 20 - ENCODED - 10);
    drop((sender, dropping));
    let (end, got) = tokio::join!(connection, numbers(near));
    assert!(end.is_done());
    assert_eq!(got, Vec::from_iter(1..=ENCODED + 10));
}

#[tokio::test]
async fn disconnect_ends_the_connection_by_name() {
    let (near, sender, mut connection) = stalled(10);
    let impatient = sender.when_full(WhenFull::Disconnect);
    assert_eq!(send_twenty(&impatient, &mut connection), Vec::from_iter(1..=ENCODED + 10));
    assert!(sender.try_send(numbered(21)).unwrap_err().is_gone());
    drop(connection);
    assert_eq!(sender.stats().unsent, 10);
    assert_eq!(numbers(near).await, [1], "what was in the stream's buffer");
}

#[tokio::test]
async fn a_full_queue_ends_it_as_too_slow_though_its_task_sleeps() {
    let (near, sender, connection) = stalled(1);
    let task = tokio::spawn(connection);
    let impatient = sender.when_full(WhenFull::Disconnect);
    while impatient.send(numbered(1)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(task.await.unwrap(), ConnectionEnd::TooSlow));
    drop(near);
}

#[tokio::test]
async fn who_waits_sends_everything_in_turn() {
    let (near, sender, connection) = stalled(2);
    let send = async {
        for number in 1..=50 {
            sender.send(numbered(number)).await.unwrap();
        }
        drop(sender);
    };
    let (end, got, ()) = tokio::join!(connection, numbers(near), send);
    assert!(end.is_done());
    assert_eq!(got, Vec::from_iter(1..=50));
}

#[tokio::test]
async fn drop_oldest_spares_the_messages_of_others() {
    let (near, sender, mut connection) = stalled(4);
    send_twenty(&sender.when_full(WhenFull::Refuse), &mut connection);
    let dropping = sender.when_full(WhenFull::DropOldest);
    dropping.try_send(numbered(100)).unwrap();
    assert_eq!(sender.stats().dropped_newest, 1, "nothing of its own waits, so the new one goes");
    drop((sender, dropping));
    let (_, got) = tokio::join!(connection, numbers(near));
    assert_eq!(got, Vec::from_iter(1..=ENCODED + 4));
}

#[tokio::test]
async fn urgent_messages_overtake_all_that_waits_and_have_room_of_their_own() {
    let (near, sender, mut connection) = stalled(3);
    send_twenty(&sender, &mut connection);
    for number in 101..=116 {
        sender.send_urgent(numbered(number)).unwrap();
    }
    assert!(matches!(sender.send_urgent(numbered(117)), Err(SendError::Full(_))));
    drop(sender);
    let (_, got) = tokio::join!(connection, numbers(near));
    assert_eq!(got, Vec::from_iter((1..=ENCODED).chain(101..=116).chain(ENCODED + 1..=ENCODED + 3)));
}

#[tokio::test]
async fn what_waits_is_bounded_in_bytes_and_one_message_alone_may_be_larger() {
    let (_near, far) = duplex(16);
    let config = ConnectionConfig { queue_bytes: 1_000, ..Default::default() };
    let (sender, connection) = Connection::new(far, CODEC, Deaf, config);
    sender.try_send(Bytes::from(vec![0; 5_000])).unwrap();
    assert!(matches!(sender.try_send(Bytes::new()), Err(SendError::Full(_))));
    drop(connection);
    let (_near, far) = duplex(16);
    let (sender, _connection) = Connection::new(far, CODEC, Deaf, config);
    // 4 + 246 bytes each: four fit to the byte.
    for _ in 0..4 {
        sender.try_send(Bytes::from(vec![0; 246])).unwrap();
    }
    assert_eq!(sender.stats().waiting_bytes, 1_000);
    assert!(sender.try_send(Bytes::new()).is_err());
}

#[tokio::test]
async fn places_are_given_in_the_order_of_waiting_and_given_up_ones_go_on() {
    let (mut near, sender, mut connection) = stalled(1);
    send_twenty(&sender, &mut connection);
    let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(sender.reserve(10))).collect();
    assert!(waiting.iter_mut().all(|place| turn(place).is_pending()));
    assert!(sender.try_send(numbered(0)).is_err(), "nobody overtakes who waits");
    drop(waiting.remove(1));
    let mut sink = vec![0; 32 * 1024];
    let mut granted = Vec::new();
    while granted.len() < 3 {
        near.read_exact(&mut sink).await.unwrap();
        let _ = turn(&mut connection);
        // Asked in reverse, so that the order is the line's and not ours.
        for at in (0..waiting.len()).rev() {
            if granted.contains(&at) {
                continue;
            }
            if let Poll::Ready(permit) = turn(&mut waiting[at]) {
                drop(permit.unwrap());
                granted.push(at);
            }
        }
    }
    assert_eq!(granted, [0, 1, 2], "the first when room came; its place, given back, went along the line");
}

#[tokio::test]
async fn a_send_that_is_given_up_has_sent_nothing_and_holds_no_place() {
    let (near, sender, mut connection) = stalled(2);
    send_twenty(&sender, &mut connection);
    for _ in 0..100 {
        let mut send = Box::pin(sender.send(numbered(99)));
        assert!(turn(&mut send).is_pending());
    }
    let permit = {
        let mut reserve = Box::pin(sender.reserve(1));
        assert!(turn(&mut reserve).is_pending());
        let draining = tokio::spawn(numbers(near));
        let permit = tokio::select! {
            permit = reserve => permit.unwrap(),
            _ = &mut connection => unreachable!("a sender is there"),
        };
        permit.send(numbered(7)).unwrap();
        drop(sender);
        assert!(connection.await.is_done());
        draining.await.unwrap()
    };
    assert_eq!(permit, Vec::from_iter((1..=ENCODED + 2).chain([7])));
}

#[tokio::test]
async fn many_at_once_go_in_as_there_is_room_and_what_did_not_go_stays() {
    let (near, sender, mut connection) = stalled(3);
    let mut many: VecDeque<Bytes> = (1..=20).map(numbered).collect();
    {
        let mut sending = Box::pin(sender.send_all(&mut many));
        for _ in 0..20 {
            assert!(turn(&mut sending).is_pending());
            assert!(turn(&mut connection).is_pending());
        }
    }
    assert_eq!(many.len() as u64, 20 - ENCODED - 3, "given up, it keeps the rest");
    let send = async {
        sender.send_all(&mut many).await.unwrap();
        drop(sender);
    };
    let (_, got, ()) = tokio::join!(connection, numbers(near), send);
    assert_eq!(got, Vec::from_iter(1..=20));
}

#[tokio::test]
async fn whoever_waits_hears_the_end() {
    let (_near, sender, mut connection) = stalled(1);
    send_twenty(&sender, &mut connection);
    let mut send = Box::pin(sender.send(numbered(99)));
    let mut reserve = Box::pin(sender.reserve(9));
    assert!(turn(&mut send).is_pending() && turn(&mut reserve).is_pending());
    drop(connection);
    assert!(send.await.unwrap_err().is_gone());
    assert!(reserve.await.is_err());
    assert!(sender.is_gone());
}

/// Makes numbers as long as it is asked, and answers nothing.
struct Fountain(u64);

impl Reactor<LengthPrefixed> for Fountain {
    type Outbound = Bytes;

    fn message(&mut self, _message: &[u8], _replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn poll_outbound(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.0 += 1;
        Poll::Ready(Some(numbered(self.0)))
    }
}

#[tokio::test]
async fn the_reactor_s_own_work_stops_when_the_peer_stops_reading() {
    let (mut near, far) = duplex(40 * 1024);
    let mut connection = Connection::answering(far, CODEC, Fountain(0), ConnectionConfig::default());
    for _ in 0..100 {
        assert!(turn(&mut connection).is_pending());
    }
    assert_eq!(connection.reactor().0, ENCODED);
    near.write_all(&[0; 4]).await.unwrap();
    let (end, got) = tokio::join!(connection, numbers(near));
    assert!(end.is_done(), "it still reads, and hears that this is the end");
    assert_eq!(got, [1, 2, 3, 4]);
}

#[tokio::test]
async fn two_sides_that_only_send_do_not_wait_for_each_other() {
    let (near, far) = duplex(1_000);
    let config = ConnectionConfig::default();
    let (to_far, near) = Connection::new(near, CODEC, Deaf, config);
    let (to_near, far) = Connection::new(far, CODEC, Deaf, config);
    let send = async |sender: &Sender<Bytes>| {
        for number in 0..100 {
            sender.send(numbered(number)).await.unwrap();
        }
    };
    let both = async {
        tokio::join!(send(&to_far), send(&to_near));
        while to_far.stats().received + to_near.stats().received < 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = async { tokio::join!(near, far) } => unreachable!("both have senders"),
        () = both => {}
    }
}

#[tokio::test]
async fn what_was_asked_before_the_peer_s_end_is_answered() {
    let (mut near, far) = duplex(10_000);
    let task = tokio::spawn(Connection::answering(far, CODEC, Echo, ConnectionConfig::default()));
    near.write_all(b"\0\0\0\x02hi\0\0\0\x02ho").await.unwrap();
    near.shutdown().await.unwrap();
    let mut got = Vec::new();
    near.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"\0\0\0\x02hi\0\0\0\x02ho");
    assert!(matches!(task.await.unwrap(), ConnectionEnd::PeerClosed));
}

#[tokio::test]
async fn a_million_small_messages_let_others_run() {
    let (mut near, far) = duplex(16 << 20);
    let flood = [0, 0, 0, 1, b'x'].repeat(1_000_000);
    near.write_all(&flood).await.unwrap();
    struct Count(u64);
    impl Reactor<LengthPrefixed> for Count {
        type Outbound = Bytes;
        fn message(&mut self, _message: &[u8], _replies: &mut Replies<Bytes>) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }
    }
    let mut connection = Connection::answering(far, CODEC, Count(0), ConnectionConfig::default());
    let (mut turns, mut before) = (0, 0);
    while connection.reactor().0 < 1_000_000 {
        assert!(turn(&mut connection).is_pending());
        let now = connection.reactor().0;
        assert!(now > before && now - before <= 4_096, "{} messages in one turn", now - before);
        before = now;
        turns += 1;
    }
    assert!(turns >= 1_000_000 / 4_096);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_gives_its_memory_back() {
    let (mut near, far) = duplex(1 << 20);
    let (sender, connection) = Connection::new(far, CODEC, Deaf, ConnectionConfig::default());
    let mut connection = Box::pin(connection);
    for _ in 0..1_000 {
        sender.try_send(Bytes::from_static(&[7; 32])).unwrap();
    }
    near.write_all(&[0, 0, 0x10, 0]).await.unwrap();
    near.write_all(&[1; 4_000]).await.unwrap();
    assert!(turn(&mut connection).is_pending());
    near.write_all(&[1; 96]).await.unwrap();
    assert!(turn(&mut connection).is_pending());
    assert!(connection.sight().spare, "the buffers of the burst are still there");
    tokio::select! {
        _ = &mut connection => unreachable!("nobody ended it"),
        () = tokio::time::sleep(Duration::from_millis(1_500)) => {}
    }
    assert!(!connection.sight().spare);
}

#[tokio::test(start_paused = true)]
async fn timeouts_end_it_by_name_and_not_before() {
    let limit = Some(Duration::from_secs(10));
    let base = ConnectionConfig::default();
    let run = async |config: ConnectionConfig, bytes: &'static [u8], gap: Duration| {
        let (mut near, far) = duplex(64);
        let feed = async {
            for byte in bytes {
                tokio::time::sleep(gap).await;
                near.write_all(&[*byte]).await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        let connection = Connection::answering(far, CODEC, Echo, config);
        let begun = Instant::now();
        tokio::select! {
            end = connection => (end, begun.elapsed().as_secs()),
            () = feed => unreachable!("it waits for ever"),
        }
    };
    let second = Duration::from_secs(1);
    let silence = ConnectionConfig { silence_timeout: limit, ..base };
    let (end, after) = run(silence, b"\0\0\0\x09abc", 9 * second).await;
    assert!(matches!(end, ConnectionEnd::Timeout(Timeout::Silence)), "{end:?}");
    assert_eq!(after, 7 * 9 + 10);
    let message = ConnectionConfig { message_timeout: limit, ..base };
    let (end, after) = run(message, b"\0\0\0\x01a\0\0\0\x09abcdefgh", second).await;
    assert!(matches!(end, ConnectionEnd::Timeout(Timeout::Message)), "{end:?}");
    assert_eq!(after, 6 + 10, "a byte a second does not help");
    let stall = ConnectionConfig { stall_timeout: limit, ..base };
    let large = [&[0, 0, 0, 200][..], &[1; 200]].concat().leak();
    let (end, after) = run(stall, large, second / 1_000).await;
    assert!(matches!(end, ConnectionEnd::Timeout(Timeout::Stall)), "{end:?}");
    assert_eq!(after, 10);
}

/// Says the same message for ever.
struct Talker(Bytes);

impl Reactor<LengthPrefixed> for Talker {
    type Outbound = Bytes;

    fn message(&mut self, _: &[u8], _: &mut Replies<Bytes>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn poll_outbound(&mut self, _: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Poll::Ready(Some(self.0.clone()))
    }
}

#[tokio::test]
async fn senders_and_reactor_take_turns_though_one_message_fills_the_room() {
    const LENGTH: usize = 64 * 1024;
    let (mut near, far) = duplex(16 * 1024);
    let talker = Talker(Bytes::from(vec![b'r'; LENGTH]));
    let (sender, connection) = Connection::new(far, CODEC, talker, ConnectionConfig::default());
    let task = tokio::spawn(connection);
    let by_sender = tokio::spawn(async move { while sender.send(Bytes::from(vec![b's'; LENGTH])).await.is_ok() {} });
    let (mut counts, mut message) = ([0, 0], vec![0; 4 + LENGTH]);
    for _ in 0..40 {
        near.read_exact(&mut message).await.unwrap();
        counts[usize::from(message[4] == b's')] += 1;
    }
    assert!(counts.iter().all(|count| *count >= 15), "reactor and sender: {counts:?}");
    drop(near);
    task.await.unwrap();
    by_sender.await.unwrap();
}
