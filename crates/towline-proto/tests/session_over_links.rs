//! Two sessions joined by links in memory that are cut at chosen places.

mod sessions;

use sessions::{Pair, take_all};
use towline_proto::ids::Lane;
use towline_proto::session::{Event, Order, RecvError};
use towline_proto::wire::hello::Params;

/// Small messages and large ones, so that runs, chunks and their borders are all among the bytes that are cut.
fn conversation() -> Vec<Vec<u8>> {
    [3, 0, 70, 500, 1_024, 1_025, 2_100, 9].iter().zip(1u8..).map(|(&size, fill)| vec![fill; size]).collect()
}

/// Says it all on a wire that is cut after `cut` bytes, next to others; returns how many bytes it took, and whether it was cut.
fn talk(others: usize, cut: usize) -> (usize, bool) {
    let messages = conversation();
    let mut pair = Pair::new(Params::default(), others);
    pair.join(cut);
    for side in &mut pair.sides {
        let lane = side.lane(Lane::NORMAL);
        messages.iter().for_each(|message| _ = side.send(lane, message).unwrap());
    }
    let mut got = [Vec::new(), Vec::new()];
    let (mut quiet, mut was_cut) = (0, false);
    while quiet < 12 {
        let before = pair.carried;
        if pair.step(700) {
            was_cut = true;
            pair.join(usize::MAX);
        }
        quiet = if pair.carried == before { quiet + 1 } else { 0 };
        for (side, got) in pair.sides.iter_mut().zip(&mut got) {
            take_all(side, Lane::NORMAL, got);
        }
    }
    for (side, got) in pair.sides.iter().zip(&got) {
        assert!(*got == messages, "beside {others}, cut at {cut}: {} of {}", got.len(), messages.len());
        assert_eq!(side.stats().unconfirmed_bytes, 0, "beside {others}, cut at {cut}");
    }
    (pair.carried, was_cut)
}

#[test]
fn p04_a_cut_at_every_byte_of_a_conversation_loses_doubles_and_reorders_nothing() {
    let mut cuts = 0;
    for others in [0, 1] {
        let (whole, _) = talk(others, usize::MAX);
        assert!(whole > 2 * 4_700, "{whole}");
        for cut in 1..=whole {
            cuts += usize::from(talk(others, cut).1);
        }
    }
    println!("p04: reached 0 inversions, losses or doubles in {cuts} cuts, one at each byte, of one link and of two");
}

#[test]
fn a_body_of_raw_bytes_arrives_whole_and_both_ends_forget_its_stream() {
    let mut pair = Pair::new(Params::default(), 2);
    let key = pair.sides[0].open(Lane::BULK, Order::Sequence).unwrap();
    pair.sides[0].send(key, b"head").unwrap();
    let body: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    let (mut at, mut got, mut there, mut over) = (0, Vec::new(), None, false);
    // The writer tries again only when it is told to: a word forgotten would hang it.
    let mut may_write = true;
    for _ in 0..4_000 {
        if may_write && at < body.len() {
            at += pair.sides[0].write(key, &body[at..]).unwrap_or(0);
            may_write = at == body.len();
            if at == body.len() {
                pair.sides[0].finish(key).unwrap();
            }
        }
        pair.step(20_000);
        may_write |= pair.events(0).contains(&Event::Writable(key));
        while let Some(event) = pair.sides[1].poll_event() {
            if let Event::Opened(stream, lane) = event {
                assert_eq!(lane, Lane::BULK);
                assert_eq!(pair.sides[1].recv(stream).unwrap().as_deref(), Some(&b"head"[..]));
                pair.sides[1].finish(stream).unwrap();
                there = Some(stream);
            }
        }
        let Some(stream) = there else { continue };
        loop {
            match pair.sides[1].read(stream) {
                Ok(Some((offset, bytes))) => {
                    assert_eq!(offset, 5 + got.len() as u64);
                    got.extend_from_slice(&bytes);
                }
                Ok(None) => break,
                Err(RecvError::Ended | RecvError::Closed) => {
                    over = true;
                    break;
                }
                Err(other) => panic!("{other}"),
            }
        }
        let _ = pair.sides[0].read(key);
    }
    assert!(over && got == body, "{} of {}", got.len(), body.len());
    assert_eq!((pair.sides[0].stats().streams, pair.sides[1].stats().streams), (Lane::COUNT, Lane::COUNT));
}

#[test]
fn an_unread_stream_blocks_no_other() {
    let mut pair = Pair::new(Params::default(), 1);
    let [normal, urgent] = [Lane::NORMAL, Lane::URGENT].map(|lane| pair.sides[0].lane(lane));
    let mut sent = 0;
    for _ in 0..200 {
        while pair.sides[0].send(normal, &[7; 5_000]).is_ok() {
            sent += 1;
        }
        pair.step(50_000);
    }
    assert!(sent > 10 && pair.sides[1].stats().unread_bytes <= 2 * 256 * 1024);
    let mut got = Vec::new();
    for i in 0..500u32 {
        pair.sides[0].send(urgent, &i.to_be_bytes()).unwrap();
        pair.step(50_000);
        take_all(&mut pair.sides[1], Lane::URGENT, &mut got);
    }
    assert!(got.len() >= 499);
}
