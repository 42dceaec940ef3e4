//! Sessions under random orders: what a hostile peer may send to one, and what two may do with each other.

use std::collections::VecDeque;
use towline_proto::ids::{Lane, SessionId};
use towline_proto::session::{Order, Session, Side};
use towline_proto::stream_link::{LinkConfig, StreamLink};
use towline_proto::time::{Duration, Instant};
use towline_proto::wire::hello::Params;

const ID: SessionId = SessionId([1; 16]);

/// A session that is sent these bytes as a link's input. It may end; it must not panic.
pub fn hostile_peer(bytes: &[u8]) {
    let now = Instant::ZERO;
    let mut session = Session::new(Side::Server, ID, Params::default(), Params::default());
    let mut link = StreamLink::new(session.add_link(now), LinkConfig::default(), now);
    let mut out = Vec::new();
    if link.handle_input(now, bytes, &mut session).is_err() {
        return;
    }
    link.poll_output(now, 8_192, &mut out, &mut session);
    while session.poll_event().is_some() {}
    while let Ok(Some(_)) = session.recv(session.lane(Lane::NORMAL)) {}
    let id = link.id();
    link.shut(now, &mut session);
    session.remove_link(now, id);
    let _ = session.receive_state();
}

/// One side: its session, its end of the link, and the bytes on their way to it.
struct End {
    session: Session,
    link: Option<StreamLink>,
    coming: VecDeque<u8>,
    pending: Vec<u8>,
    sent: u32,
    received: u32,
}

impl End {
    fn new(side: Side) -> Self {
        let session = Session::new(side, ID, Params::default(), Params::default());
        Self { session, link: None, coming: VecDeque::new(), pending: Vec::new(), sent: 0, received: 0 }
    }

    fn drop_link(&mut self, now: Instant) {
        self.coming.clear();
        self.pending.clear();
        if let Some(link) = self.link.take() {
            let id = link.id();
            link.shut(now, &mut self.session);
            self.session.remove_link(now, id);
        }
    }

    fn join(&mut self, now: Instant, peer: &Self) {
        self.session.resume(now, &peer.session.receive_state()).expect("the peer states the truth");
        self.link = Some(StreamLink::new(self.session.add_link(now), LinkConfig::default(), now));
    }

    fn send(&mut self, length: usize) {
        let message: Vec<u8> = self.sent.to_le_bytes().into_iter().chain(std::iter::repeat_n(7, length)).collect();
        if self.session.send(self.session.lane(Lane::NORMAL), &message).is_ok() {
            self.sent += 1;
        }
    }

    /// Takes every whole message: each must be the next one.
    fn take(&mut self) {
        while let Ok(Some(message)) = self.session.recv(self.session.lane(Lane::NORMAL)) {
            assert_eq!(message[..4], self.received.to_le_bytes(), "in order, once");
            self.received += 1;
        }
    }

    fn say(&mut self, now: Instant, room: usize, other: &mut Self) {
        if let Some(link) = &mut self.link {
            let mut out = Vec::new();
            link.poll_output(now, room, &mut out, &mut self.session);
            other.coming.extend(out);
        }
    }

    fn hear(&mut self, now: Instant, count: usize) {
        let count = count.min(self.coming.len());
        self.pending.extend(self.coming.drain(..count));
        if let Some(link) = &mut self.link {
            let used = link.handle_input(now, &self.pending, &mut self.session).expect("the peer keeps the rules");
            self.pending.drain(..used);
        }
    }
}

/// Two sessions do what the bytes say: send, carry some bytes, read, lose the link, resume. Afterwards everything arrives.
pub fn session_pair(bytes: &[u8]) {
    let mut now = Instant::ZERO;
    let (mut a, mut b) = (End::new(Side::Client), End::new(Side::Server));
    reconnect(now, &mut a, &mut b);
    for order in bytes.chunks_exact(2).take(2_000) {
        let (what, how) = (order[0], usize::from(order[1]));
        let (one, other) = if what & 0x80 == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
        match what & 0x7f {
            0..=31 => one.send(how * how),
            32..=63 => one.say(now, how * 64 + 1, other),
            64..=95 => one.hear(now, how * 16 + 1),
            96..=107 => one.take(),
            108..=115 => now += Duration::from_millis(how as u64),
            116..=119 => {
                let opened = one.session.open(Lane::BULK, Order::Sequence);
                if let Ok(stream) = opened {
                    let _ = one.session.write(stream, &vec![1; how]);
                    let _ = one.session.finish(stream);
                }
            }
            _ => reconnect(now, &mut a, &mut b),
        }
        for end in [&mut a, &mut b] {
            end.session.handle_timeout(now);
            while end.session.poll_event().is_some() {}
        }
    }
    settle(now, &mut a, &mut b);
    assert_eq!((a.received, b.received), (b.sent, a.sent), "nothing is lost");
}

fn reconnect(now: Instant, a: &mut End, b: &mut End) {
    a.drop_link(now);
    b.drop_link(now);
    a.join(now, b);
    b.join(now, a);
}

/// Carries everything both ways until nothing moves any more.
fn settle(mut now: Instant, a: &mut End, b: &mut End) {
    for _ in 0..2_000 {
        now += Duration::from_millis(20);
        a.say(now, 65_536, b);
        b.say(now, 65_536, a);
        let quiet = a.coming.is_empty() && b.coming.is_empty();
        a.hear(now, usize::MAX);
        b.hear(now, usize::MAX);
        a.take();
        b.take();
        if quiet && a.received == b.sent && b.received == a.sent {
            return;
        }
    }
}
