//! Every row of the page's table, and paths of every size.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Searches a path that passes packets up to `path` until the search is over; how many probes that took.
fn search(mtu: &mut Mtu, path: usize, now: Instant) -> u32 {
    let mut probes = 0;
    while let Some(size) = mtu.wanted() {
        assert!(size > mtu.size() && size <= mtu.bound, "{size}");
        let number = u64::from(probes);
        mtu.probe_sent(number);
        assert_eq!(mtu.wanted(), None, "one at a time");
        let grew = if size <= path { mtu.delivered(now, number, size) } else { mtu.lost(now, number, size) };
        assert_eq!(grew, size <= path);
        probes += 1;
    }
    probes
}

#[test]
fn a_path_of_any_size_is_found_to_a_few_bytes_and_never_overestimated() {
    for path in BASE_BYTES..1_600 {
        let mut mtu = Mtu::new(1_472, Instant::ZERO);
        let probes = search(&mut mtu, path, Instant::ZERO);
        assert!(mtu.size() <= path, "{path}: {}", mtu.size());
        assert!(mtu.size() + WORTH_BYTES > path.min(1_472), "{path}: {}", mtu.size());
        assert!(probes <= 8 * TRIES, "{path}: {probes} probes");
    }
}

#[test]
fn usual_paths_are_found_exactly() {
    for path in [1_232, 1_392, 1_452, 1_464, 1_472, 8_952] {
        let mut mtu = Mtu::new(8_972, Instant::ZERO);
        search(&mut mtu, path, Instant::ZERO);
        assert_eq!(mtu.size(), path);
    }
    let mut mtu = Mtu::new(1_472, Instant::ZERO);
    assert_eq!(search(&mut mtu, 1_472, Instant::ZERO), 1, "Ethernet takes one probe");
    assert_eq!(mtu.poll_timeout(), None, "nothing larger will ever be tried");
}

#[test]
fn nothing_is_searched_where_nothing_larger_is_allowed() {
    for bound in [0, BASE_BYTES - 1, BASE_BYTES] {
        let mtu = Mtu::new(bound, Instant::ZERO);
        assert_eq!((mtu.size(), mtu.wanted(), mtu.poll_timeout()), (BASE_BYTES, None, None));
    }
}

#[test]
fn a_size_is_given_up_after_three_losses_and_not_before() {
    let mut mtu = Mtu::new(1_472, Instant::ZERO);
    for number in 0..2 {
        mtu.probe_sent(number);
        assert!(!mtu.lost(Instant::ZERO, number, 1_472));
        assert_eq!(mtu.wanted(), Some(1_472));
    }
    mtu.probe_sent(2);
    mtu.lost(Instant::ZERO, 2, 1_472);
    assert!(mtu.wanted() < Some(1_472), "{mtu:?}");
}

#[test]
fn other_packets_are_not_taken_for_the_probe() {
    let mut mtu = Mtu::new(1_472, Instant::ZERO);
    mtu.probe_sent(7);
    assert!(!mtu.delivered(Instant::ZERO, 6, 1_200));
    assert!(!mtu.lost(Instant::ZERO, 8, 1_200));
    assert_eq!(mtu.size(), BASE_BYTES);
    assert!(mtu.delivered(Instant::ZERO, 7, 1_472));
}

#[test]
fn after_ten_minutes_more_is_tried_and_not_a_moment_before() {
    let mut mtu = Mtu::new(1_472, Instant::ZERO);
    search(&mut mtu, 1_300, Instant::ZERO);
    let at = mtu.poll_timeout().unwrap();
    assert_eq!(at, Instant::ZERO + BELIEVED);
    mtu.handle_timeout(Instant::from_nanos(at.as_nanos() - 1));
    assert_eq!(mtu.wanted(), None);
    mtu.handle_timeout(at);
    assert_eq!(mtu.wanted(), Some(1_472));
    search(&mut mtu, 1_472, at);
    assert_eq!(mtu.size(), 1_472);
}

#[test]
fn a_path_that_shrinks_is_noticed_when_small_packets_pass_and_large_ones_do_not() {
    let mut mtu = Mtu::new(1_472, Instant::ZERO);
    search(&mut mtu, 1_472, Instant::ZERO);
    let now = Instant::ZERO + SECOND;
    for number in 10..10 + u64::from(BLACK_HOLE_PACKETS) - 1 {
        assert!(!mtu.lost(now, number, 1_472));
    }
    assert!(!mtu.delivered(now, 30, 1_200));
    assert!(mtu.lost(now, 31, 1_472));
    assert_eq!(mtu.size(), BASE_BYTES);
    search(&mut mtu, 1_392, now);
    assert_eq!(mtu.size(), 1_392);
}

#[test]
fn losses_of_all_sizes_and_of_small_packets_are_no_black_hole() {
    let mut mtu = Mtu::new(1_472, Instant::ZERO);
    search(&mut mtu, 1_472, Instant::ZERO);
    for number in 0..1_000 {
        assert!(!mtu.lost(Instant::ZERO, number, 1_472), "nothing passes: an outage");
        assert!(!mtu.lost(Instant::ZERO, number, 1_200));
    }
    mtu.delivered(Instant::ZERO, 2_000, 1_472);
    for number in 0..u64::from(BLACK_HOLE_PACKETS) - 1 {
        mtu.delivered(Instant::ZERO, 3_000 + number, 100);
        assert!(!mtu.lost(Instant::ZERO, 4_000 + number, 1_472));
    }
    mtu.delivered(Instant::ZERO, 5_000, 1_472);
    assert!(!mtu.lost(Instant::ZERO, 5_001, 1_472), "a large one passed");
}

#[test]
fn a_lower_bound_holds_at_once_in_every_state() {
    let now = Instant::ZERO;
    let mut searching = Mtu::new(8_972, now);
    assert!(!searching.lower_bound(now, 1_472));
    assert_eq!(searching.wanted(), Some(1_472));

    let mut probing = Mtu::new(8_972, now);
    probing.probe_sent(0);
    assert!(!probing.lower_bound(now, 1_472));
    assert!(!probing.delivered(now, 0, 8_972), "what is allowed no more is not used, though it passes");
    assert_eq!(probing.wanted(), Some(1_472));

    let mut found = Mtu::new(1_472, now);
    search(&mut found, 1_472, now);
    assert!(found.lower_bound(now, 1_300));
    assert_eq!((found.size(), found.wanted(), found.poll_timeout()), (1_300, None, None));
    assert!(!found.lower_bound(now, 1_400), "it is never raised");
}

#[test]
fn another_path_is_searched_from_the_base() {
    let mut mtu = Mtu::new(1_472, Instant::ZERO);
    search(&mut mtu, 1_472, Instant::ZERO);
    mtu.begin_again(Instant::ZERO);
    assert_eq!((mtu.size(), mtu.wanted()), (BASE_BYTES, Some(1_472)));
}
