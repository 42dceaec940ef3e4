use super::*;
use crate::datagram::crypto::checksum::{InitialSum, Mixer, TokenSum};
use crate::datagram::packet::{Draft, Header, reset_token};

const SECOND: Duration = Duration::from_secs(1);

/// An endpoint with small limits, and all that it is handed.
struct World {
    strangers: Strangers,
    now: Instant,
    from: SocketAddr,
    draws: u64,
    answer: Vec<u8>,
}

impl World {
    fn new(listens: bool) -> Self {
        let limits = Limits { free: 4, most: 8, free_per_source: 2, most_per_source: 3, token_life: 15 * SECOND };
        Self {
            strangers: Strangers::new(listens, limits, Arc::new(TokenSum(1)), Arc::new(InitialSum)),
            now: Instant::ZERO + 100 * SECOND,
            from: "192.0.2.7:4433".parse().unwrap(),
            draws: 0,
            answer: vec![],
        }
    }

    /// Every answer is a shorter datagram, and nothing is written but answers.
    fn give(&mut self, datagram: &[u8]) -> Verdict {
        self.answer.clear();
        let draws = &mut self.draws;
        let mut random = |out: &mut [u8]| {
            out.iter_mut().for_each(|byte| {
                *draws += 1;
                *byte = Mixer::new(7).word(*draws).sum() as u8;
            });
        };
        let verdict = self.strangers.handle_datagram(self.now, self.from, datagram, &mut random, &mut self.answer);
        assert_eq!(matches!(verdict, Verdict::Answer(_)), !self.answer.is_empty());
        assert!(self.answer.is_empty() || self.answer.len() < datagram.len());
        verdict
    }

    fn says(&mut self, datagram: &[u8]) -> String {
        match self.give(datagram) {
            Verdict::Accept(accepted) if accepted.is_validated => "accepted, address validated".into(),
            Verdict::Accept(_) => "accepted".into(),
            Verdict::Answer(outcome) => format!("answered: `{}`", outcome.word()),
            Verdict::Ignore(outcome) => format!("ignored: `{}`", outcome.word()),
        }
    }

    /// With as many half-open handshakes of one source as are free.
    fn busy() -> Self {
        let mut world = Self::new(true);
        (0..2).for_each(|n| assert_eq!(world.says(&initial(id(8, n), &[], 1_200)), "accepted"));
        world
    }

    /// The source id and the token of the retry that was just answered, to a client that chose `destination`.
    fn retried(&mut self, destination: ConnectionId) -> (ConnectionId, Vec<u8>) {
        match Datagram::new(&mut self.answer).next() {
            Some(Packet::Retry(retry)) => {
                assert!(retry.is_authentic(&destination, &InitialSum) && retry.destination() == id(3, 1));
                (retry.source(), retry.token().to_vec())
            }
            other => panic!("no retry: {other:?}"),
        }
    }
}

fn id(len: usize, fill: u8) -> ConnectionId {
    ConnectionId::new(&vec![fill; len]).unwrap()
}

fn sealed(header: &Header<'_>, keys_of: &ConnectionId, bytes: usize) -> Vec<u8> {
    let keys = InitialSum.initial_keys(Side::Client, keys_of).local;
    let mut out = vec![];
    let draft = Draft::begin(header, 1, &mut out);
    draft.seal(0, bytes, &*keys.header, &*keys.packet, &mut out);
    out
}

/// A client's first packet.
fn initial(destination: ConnectionId, token: &[u8], bytes: usize) -> Vec<u8> {
    sealed(&Header::Initial { destination, source: id(3, 1), token }, &destination, bytes)
}

fn short(bytes: usize) -> Vec<u8> {
    let mut datagram = vec![9; bytes];
    datagram[0] = 0x40;
    datagram
}

/// What the page says of each row, and the datagrams of that row with what became of them.
type Row = (&'static str, fn() -> Vec<String>);

const ROWS: &[Row] = &[
    ("ignored: `malformed`", || {
        [vec![], vec![0], vec![0; 1_300], vec![0x80, 1, 2]].map(|d| World::new(true).says(&d)).into()
    }),
    ("answered: `reset`", || [22, 23, 43, 1_500].map(|len| World::new(true).says(&short(len))).into()),
    ("ignored: `malformed`", || [1, 8, 9, 21].map(|len| World::new(true).says(&short(len))).into()),
    ("ignored: `unexpected`", || {
        let mut negotiation = vec![];
        put_versions(&id(8, 1), &id(8, 2), [0; 4], &mut negotiation);
        negotiation.resize(1_200, 0);
        let handshake = Header::Handshake { destination: id(8, 1), source: id(8, 2) };
        let mut retry = vec![];
        put_retry(&id(8, 1), &id(8, 2), &[1; 1_200], &id(8, 3), &InitialSum, &mut retry);
        [negotiation, sealed(&handshake, &id(8, 1), 1_200), retry].map(|d| World::new(true).says(&d)).into()
    }),
    ("ignored: `unexpected`", || vec![World::new(false).says(&initial(id(8, 1), &[], 1_200))]),
    ("ignored: `small`", || {
        let mut other = initial(id(8, 1), &[], 1_199);
        other[1] = 0;
        [initial(id(8, 1), &[], 1_199), other].map(|d| World::new(true).says(&d)).into()
    }),
    ("answered: `versions`", || {
        let mut other = initial(id(8, 1), &[], 1_200);
        other[1] = 0;
        let mut long_ids = other.clone();
        long_ids[5] = 255;
        [other, long_ids].map(|d| World::new(true).says(&d)).into()
    }),
    ("ignored: `malformed`", || {
        let cut = initial(id(8, 1), &[], 1_300);
        [initial(id(7, 1), &[], 1_200), cut[..1_250].to_vec()].map(|d| World::new(true).says(&d)).into()
    }),
    ("accepted", || [8, 20].map(|len| World::new(true).says(&initial(id(len, 1), &[], 1_200))).into()),
    ("answered: `retry`", || {
        let mut world = World::busy();
        (0..100).map(|n| world.says(&initial(id(8, n), &[], 1_200))).collect()
    }),
    ("accepted, address validated", || {
        let (mut world, first) = (World::busy(), id(18, 5));
        world.give(&initial(first, &[], 1_200));
        let (source, token) = world.retried(first);
        world.now += 15 * SECOND;
        vec![world.says(&initial(source, &token, 1_200))]
    }),
    ("ignored: `token`", || {
        let (mut world, first) = (World::busy(), id(18, 5));
        world.give(&initial(first, &[], 1_200));
        let (source, token) = world.retried(first);
        let good = initial(source, &token, 1_200);
        let (now, from) = (world.now, world.from);
        let mut said = vec![world.says(&initial(first, &token, 1_200)), world.says(&initial(source, &[1; 84], 1_200))];
        for bit in 0..token.len() * 8 {
            let mut flipped = token.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            said.push(world.says(&initial(source, &flipped, 1_200)));
        }
        for from in ["192.0.2.7:4434", "192.0.2.8:4433", "[2001:db8::1]:4433"] {
            world.from = from.parse().unwrap();
            said.push(world.says(&good));
        }
        world.from = from;
        for now in [now + 15 * SECOND + Duration::from_nanos(1), Instant::ZERO] {
            world.now = now;
            said.push(world.says(&good));
        }
        world.now = now;
        assert_eq!(world.says(&good), "accepted, address validated", "nothing else was wrong with it");
        said
    }),
    ("ignored: `full`", || {
        // Of its source, then in all.
        let (mut world, first) = (World::busy(), id(18, 5));
        world.give(&initial(first, &[], 1_200));
        let (source, token) = world.retried(first);
        let good = initial(source, &token, 1_200);
        assert_eq!(world.says(&good), "accepted, address validated");
        let mut said = vec![world.says(&initial(id(8, 9), &[], 1_200)), world.says(&good)];
        for (n, from) in (0..6).zip(["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1", "10.0.0.5:1"].repeat(2)) {
            world.from = from.parse().unwrap();
            let mut verdict = world.give(&initial(id(8, n), &[], 1_200));
            if verdict == Verdict::Answer(Outcome::Retry) {
                let (source, token) = world.retried(id(8, n));
                verdict = world.give(&initial(source, &token, 1_200));
            }
            assert!(matches!(verdict, Verdict::Accept(_)) == (n < 5), "{verdict:?} of {n}");
        }
        world.from = "10.0.0.9:1".parse().unwrap();
        said.push(world.says(&initial(id(8, 9), &[], 1_200)));
        said
    }),
    ("ignored: `forged`", || {
        let mut flipped = initial(id(8, 1), &[], 1_200);
        flipped[600] ^= 1;
        let header = Header::Initial { destination: id(8, 1), source: id(3, 1), token: &[] };
        [flipped, sealed(&header, &id(8, 2), 1_200)].map(|d| World::new(true).says(&d)).into()
    }),
    ("ignored: `limited`", || {
        let mut world = World::new(true);
        let mut other = initial(id(8, 1), &[], 1_200);
        other[1] = 0;
        for _ in 0..UNASKED_PER_SECOND / 2 {
            assert_eq!(world.says(&other), "answered: `versions`");
            assert_eq!(world.says(&short(30)), "answered: `reset`");
        }
        world.now += SECOND - Duration::from_nanos(1);
        let said = vec![world.says(&short(30)), world.says(&other)];
        world.now += Duration::from_nanos(1);
        assert_eq!(world.says(&short(30)), "answered: `reset`", "the next second");
        said
    }),
];

#[test]
fn p22_every_row_of_the_page_is_what_happens() {
    let page = include_str!("../strangers.rs").lines().filter_map(|line| line.strip_prefix("//! | "));
    let verdicts = page.skip(1).map(|row| row.trim_end_matches(" |").rsplit(" | ").next().unwrap());
    let ours = ROWS.iter().map(|(verdict, _)| *verdict);
    assert_eq!(verdicts.collect::<Vec<_>>(), ours.collect::<Vec<_>>());
    for (at, (verdict, happens)) in ROWS.iter().enumerate() {
        for (nth, said) in happens().into_iter().enumerate() {
            assert_eq!(said, *verdict, "row {}, datagram {nth}", at + 1);
        }
    }
}

#[test]
fn an_accepted_stranger_brings_all_that_a_link_needs() {
    let mut world = World::busy();
    world.from = "192.0.2.8:1".parse().unwrap();
    let Verdict::Accept(free) = world.give(&initial(id(18, 5), &[], 1_200)) else { panic!() };
    assert_eq!((free.from, free.remote_id, free.is_validated), (world.from, id(3, 1), false));
    assert_eq!((free.first_destination, free.original_destination, free.retry_source), (id(18, 5), id(18, 5), None));
    assert_eq!(free.reset_token, TokenSum(1).reset_token(&free.local_id));
    world.from = "192.0.2.7:1".parse().unwrap();
    world.give(&initial(id(18, 6), &[], 1_200));
    let (source, token) = world.retried(id(18, 6));
    let Verdict::Accept(shown) = world.give(&initial(source, &token, 1_200)) else { panic!() };
    assert_eq!((shown.first_destination, shown.original_destination), (source, id(18, 6)));
    assert_eq!((shown.retry_source, shown.is_validated), (Some(source), true));
    assert!(shown.local_id != source && shown.local_id != free.local_id && shown.local_id.len() == LOCAL_ID_BYTES);
}

#[test]
fn a_reset_tells_a_link_that_its_peer_knows_nothing_of_it() {
    let mut world = World::new(true);
    world.give(&short(100));
    assert_eq!(reset_token(&world.answer), Some(TokenSum(1).reset_token(&id(8, 9))));
}

#[test]
fn two_endpoints_do_not_answer_each_other_without_end() {
    let (mut one, mut other) = (World::new(true), World::new(true));
    let mut datagram = short(1_500);
    let mut answers = 0;
    while one.give(&datagram) == Verdict::Answer(Outcome::Reset) {
        datagram.clone_from(&one.answer);
        core::mem::swap(&mut one, &mut other);
        answers += 1;
    }
    assert_eq!(answers, RESET_BYTES_MAX - RESET_BYTES_MIN + 1);
    // A version negotiation and a retry are answers that nobody answers.
    let mut unknown = initial(id(8, 1), &[], 1_200);
    unknown[1] = 0;
    one.give(&unknown);
    assert_eq!(other.says(&one.answer), "ignored: `unexpected`");
    let mut busy = World::busy();
    busy.give(&initial(id(8, 1), &[], 1_200));
    assert_eq!(other.says(&busy.answer), "ignored: `small`");
}

#[test]
fn a_place_that_was_left_is_free_again() {
    let mut world = World::busy();
    assert_eq!(world.strangers.half_open(), 2);
    world.strangers.leave("192.0.2.9:1".parse().unwrap());
    assert_eq!(world.strangers.half_open(), 2, "nobody from there has a place");
    world.strangers.leave("192.0.2.7:9".parse().unwrap());
    assert_eq!(world.says(&initial(id(8, 3), &[], 1_200)), "accepted");
    (0..3).for_each(|_| world.strangers.leave(world.from));
    assert_eq!((world.strangers.half_open(), world.strangers.sources.len()), (0, 0));
}

#[test]
fn a_source_is_an_address_or_a_network_of_ipv6() {
    let source = |text: &str| Source::of(format!("{text}:1").parse().unwrap());
    assert!(source("192.0.2.7") == source("[::ffff:192.0.2.7]") && source("192.0.2.7") != source("192.0.2.8"));
    assert!(source("[2001:db8:0:1::1]") == source("[2001:db8:0:1:ffff::2]"));
    assert!(source("[2001:db8:0:1::1]") != source("[2001:db8:0:2::1]"));
    let mut world = World::busy();
    world.give(&initial(id(8, 5), &[], 1_200));
    let (source, token) = world.retried(id(8, 5));
    world.from = "[::ffff:192.0.2.7]:4433".parse().unwrap();
    assert_eq!(world.says(&initial(source, &token, 1_200)), "accepted, address validated");
}

#[test]
fn p22_a_flood_of_half_open_handshakes_is_bounded_and_who_shows_a_token_gets_in() {
    let limits = Limits::default();
    let mut world = World::new(true);
    world.strangers.limits = limits;
    let hello = initial(id(8, 1), &[], 1_200);
    let mut answered = 0;
    for n in 0..10_000u32 {
        world.from = SocketAddr::new(IpAddr::from(n.to_be_bytes()), 1);
        world.give(&hello);
        answered += world.answer.len();
    }
    let share = answered as f64 / (10_000 * hello.len()) as f64;
    println!("p22: reached 10,000 strangers' hellos answered with {share:.2} of their bytes, in the core");
    assert!(share < 0.2);
    assert_eq!((world.strangers.half_open(), world.strangers.sources.len()), (limits.free, limits.free));
    assert_eq!(world.strangers.count(Outcome::Retry), 10_000 - limits.free as u64);
    world.from = "192.0.2.7:4433".parse().unwrap();
    world.give(&hello);
    let (source, token) = world.retried(id(8, 1));
    assert_eq!(world.says(&initial(source, &token, 1_200)), "accepted, address validated");
    let counted: u64 = Outcome::ALL.iter().map(|outcome| world.strangers.count(*outcome)).sum();
    assert_eq!(counted, 10_002);
    assert!(Outcome::ALL.iter().enumerate().all(|(at, outcome)| *outcome as usize == at));
}
