use super::*;
use proptest::prelude::*;
use towline_sim::Rng;

fn id(byte: u8) -> ConnectionId {
    ConnectionId::from([byte; 8])
}

fn remote() -> RemoteIds {
    RemoteIds::new(id(0))
}

/// Announces the ids of some sequence numbers.
fn with(sequences: impl IntoIterator<Item = u8>) -> RemoteIds {
    let mut remote = remote();
    sequences.into_iter().for_each(|sequence| announce(&mut remote, sequence, 0).unwrap());
    remote
}

fn announce(remote: &mut RemoteIds, sequence: u8, retire_below: u64) -> Result<(), Violation> {
    remote.announced(sequence.into(), retire_below, id(sequence), [sequence; 16])
}

fn told(remote: &mut RemoteIds) -> Vec<u64> {
    let mut told: Vec<_> = core::iter::from_fn(|| remote.poll_retired()).collect();
    told.sort_unstable();
    told
}

fn reset(token: u8, bytes: usize) -> Vec<u8> {
    let mut datagram = vec![0x55; bytes.saturating_sub(16)];
    datagram.extend([token; 16]);
    datagram
}

#[test]
fn ours_are_issued_up_to_the_peers_limit_and_replaced_when_retired() {
    let mut local = LocalIds::new(id(0));
    assert!(!local.is_wanting(), "nothing is known of the peer");
    local.set_limit(3);
    assert!(local.is_wanting() && local.issue(id(1)) == 1);
    assert!(local.is_wanting() && local.issue(id(2)) == 2);
    assert!(!local.is_wanting(), "at the limit");
    assert_eq!(local.retired(1, &id(0)), Ok(Some(id(1))));
    assert_eq!(local.retired(1, &id(0)), Ok(None), "again");
    assert!(local.is_wanting() && local.issue(id(3)) == 3 && !local.is_wanting());
    assert_eq!(local.active().collect::<Vec<_>>(), [id(0), id(2), id(3)]);
}

#[test]
fn a_peer_that_would_take_thousands_gets_no_more_than_we_keep() {
    let mut local = LocalIds::new(id(0));
    local.set_limit(u64::MAX);
    let issued = (1..100).take_while(|&byte| local.is_wanting() && local.issue(id(byte)) > 0).count();
    assert_eq!(issued as u64, ACTIVE_IDS_MAX - 1);
}

#[test]
fn what_was_never_issued_or_is_being_used_cannot_be_retired() {
    let mut local = LocalIds::new(id(0));
    local.set_limit(2);
    local.issue(id(1));
    assert!(local.retired(2, &id(0)).is_err(), "never issued");
    assert!(local.retired(0, &id(0)).is_err(), "in the packet's own header");
    assert_eq!(local.retired(0, &id(1)), Ok(Some(id(0))));
}

#[test]
fn a_changed_path_gets_the_oldest_spare() {
    let mut remote = with([2, 1]);
    assert!(remote.switch());
    assert_eq!((remote.in_use(), told(&mut remote)), (id(1), vec![0]));
    assert!(remote.switch() && remote.in_use() == id(2));
    assert!(!remote.switch() && remote.in_use() == id(2), "no spare: it stays");
    assert_eq!(told(&mut remote), [1]);
}

#[test]
fn an_announcement_may_come_twice_but_not_differ() {
    let mut remote = with([1]);
    assert_eq!(announce(&mut remote, 1, 0), Ok(()));
    assert_eq!(remote.spares.len(), 1);
    for (sequence, id, token) in [(1, id(9), 1), (1, id(1), 9), (2, id(1), 1), (0, id(9), 9)] {
        let mut remote = with([1]);
        assert!(remote.announced(sequence, 0, id, [token; 16]).is_err(), "{sequence} {id:?} {token}");
    }
    assert!(remote.switch() && announce(&mut remote, 1, 0).is_ok(), "that of the one in use");
    assert!(remote.spares.is_empty());
}

#[test]
fn a_retired_id_that_is_announced_late_is_not_used() {
    let mut remote = with([1, 2]);
    assert!(remote.switch() && remote.switch());
    assert_eq!(announce(&mut remote, 1, 0), Ok(()));
    assert!(!remote.switch() && told(&mut remote) == [0, 1]);
}

#[test]
fn all_below_a_number_are_retired_and_the_next_is_used() {
    let mut remote = with([1, 2]);
    assert_eq!(announce(&mut remote, 5, 4), Ok(()));
    assert_eq!((remote.in_use(), told(&mut remote)), (id(5), vec![0, 1, 2, 3]), "3 too, though it never came");
    assert_eq!(announce(&mut remote, 3, 0), Ok(()));
    assert!(remote.spares.is_empty() && told(&mut remote).is_empty(), "it is retired already");
    assert_eq!(announce(&mut remote, 4, 2), Ok(()), "an older word changes nothing");
    assert!(remote.switch() && remote.in_use() == id(4));
}

#[test]
fn the_one_in_use_stays_if_it_is_not_below() {
    let mut remote = with([1, 2]);
    assert!(remote.switch() && announce(&mut remote, 3, 1).is_ok());
    assert_eq!((remote.in_use(), told(&mut remote)), (id(1), vec![0]));
}

#[test]
fn more_than_are_taken_end_the_link() {
    let mut remote = with([1, 2, 3]);
    assert!(announce(&mut remote, 4, 0).is_err(), "one past the limit");
    let mut remote = with([]);
    assert!(announce(&mut remote, 3, 0).is_ok(), "at the limit, counting those on their way");
    let mut remote = with([1, 2, 3]);
    assert!(announce(&mut remote, 4, 1).is_ok(), "one for one");
    assert!(announce(&mut remote, 3, 4).is_err(), "a number above its own");
    let ahead = |sequence| with([]).announced(sequence, sequence, id(9), [9; 16]).is_ok();
    assert!(ahead(SEQUENCES_AHEAD_MAX - 1) && !ahead(SEQUENCES_AHEAD_MAX) && !ahead(u64::MAX >> 2));
}

#[test]
fn nobody_can_be_left_without_an_id() {
    let mut remote = with([1]);
    assert!(remote.switch());
    remote.retired_above.push(2);
    remote.next_sequence = 3;
    assert!(announce(&mut remote, 2, 2).is_err(), "2 is retired already, and 1 is to be");
}

#[test]
fn who_uses_no_ids_announces_none() {
    let mut remote = RemoteIds::new(ConnectionId::default());
    assert!(announce(&mut remote, 1, 0).is_err());
}

#[test]
fn only_the_token_of_the_id_in_use_resets() {
    let mut remote = with([1]);
    assert!(!remote.is_reset(&reset(0, 40)), "no token is known");
    remote.set_first_token([7; 16]);
    assert!(remote.is_reset(&reset(7, 40)) && !remote.is_reset(&reset(1, 40)), "not that of a spare");
    assert!(remote.is_reset(&reset(7, 21)) && !remote.is_reset(&reset(7, 20)), "at the limit, and past it");
    assert!(!remote.is_reset(&[7; 3]));
    assert!(remote.switch() && remote.is_reset(&reset(1, 40)) && !remote.is_reset(&reset(7, 40)));
    remote.set_first_token([8; 16]);
    assert!(remote.is_reset(&reset(1, 40)), "the first is gone");
}

#[test]
fn every_byte_of_a_token_counts() {
    for at in 0..16 {
        let mut other = [7; 16];
        other[at] ^= 1;
        assert!(!is_same(&[7; 16], &other));
    }
    assert!(is_same(&[7; 16], &[7; 16]));
}

/// Two sides, words that overtake each other and come twice, paths that change: nobody is blamed, and in the end both
/// agree.
#[test]
fn ids_never_run_out_or_apart_whatever_overtakes_what() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let (mut local, mut remote) = (LocalIds::new(id(0)), remote());
        local.set_limit(ACTIVE_IDS_MAX);
        let (mut announcements, mut retirements, mut bytes) = (Vec::new(), Vec::new(), 1..=250u8);
        for step in 0..400 {
            while local.is_wanting() && bytes.clone().next().is_some() {
                let byte = bytes.next().unwrap();
                announcements.push((local.issue(id(byte)) as u8, byte));
            }
            if step < 300 && rng.chance(300) {
                remote.switch();
            }
            while let Some(sequence) = remote.poll_retired() {
                retirements.push((sequence, remote.in_use()));
            }
            let draw = |rng: &mut Rng, count: usize| (count > 0).then(|| rng.below(count as u64) as usize);
            if let Some(at) = draw(&mut rng, announcements.len()) {
                let (sequence, byte) = announcements[at];
                assert_eq!(sequence, byte);
                announce(&mut remote, sequence, 0).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
                if rng.chance(700) {
                    announcements.swap_remove(at);
                }
            }
            if let Some(at) = draw(&mut rng, retirements.len()) {
                let (sequence, written_to) = retirements[at];
                local.retired(sequence, &written_to).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
                if rng.chance(700) {
                    retirements.swap_remove(at);
                }
            }
            assert!(local.active().any(|active| active == remote.in_use()), "seed {seed}: written to a retired id");
            assert!(remote.retired_above.len() as u64 <= SEQUENCES_AHEAD_MAX);
        }
        assert_eq!((announcements.len(), retirements.len()), (0, 0), "seed {seed}");
        assert_eq!(local.active().count() as u64, ACTIVE_IDS_MAX, "seed {seed}");
        assert_eq!(remote.spares.len() as u64, ACTIVE_IDS_MAX - 1, "seed {seed}");
    }
}

proptest! {
    #[test]
    fn whatever_a_peer_announces_is_held_within_bounds(steps in prop::collection::vec((0u64..90, 0u64..90, any::<u8>(), 0u8..4), 1..100)) {
        let mut remote = remote();
        for (sequence, retire_below, byte, what) in steps {
            let fault = match what {
                0 => { remote.switch(); false }
                1 => remote.announced(sequence, retire_below, id(byte), [byte; 16]).is_err(),
                _ => announce(&mut remote, sequence as u8, retire_below.min(sequence)).is_err(),
            };
            prop_assert!(remote.spares.len() <= ACTIVE_IDS_MAX as usize || fault);
            prop_assert!(remote.retired_above.len() as u64 <= SEQUENCES_AHEAD_MAX);
            prop_assert!(remote.to_retire.len() as u64 <= 90);
            if fault {
                break;
            }
        }
    }
}
