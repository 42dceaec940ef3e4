use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const SPACE: u64 = 48;

proptest! {
    #[test]
    fn the_set_holds_what_a_plain_set_holds(ops in proptest::collection::vec((0u8..4, 0..SPACE, 0..SPACE), 0..40)) {
        let (mut set, mut naive) = (RangeSet::new(), BTreeSet::new());
        for (kind, a, b) in ops {
            let (start, end) = (a.min(b), a.max(b));
            match kind {
                0 | 1 => {
                    let new = (start..end).filter(|&o| naive.insert(o)).count() as u64;
                    prop_assert_eq!(set.insert(start, end), new);
                }
                2 => {
                    naive.retain(|o| !(start..end).contains(o));
                    set.remove(start, end);
                }
                _ => {
                    naive.retain(|&o| o >= start);
                    set.remove_below(start);
                }
            }
            let flat: Vec<u64> = set.iter().flat_map(|(s, e)| s..e).collect();
            prop_assert!(flat.iter().eq(naive.iter()));
            prop_assert!(set.iter().zip(set.iter().skip(1)).all(|(x, y)| x.1 < y.0), "ranges touch");
            prop_assert_eq!(set.contains(start, end), (start..end).all(|o| naive.contains(&o)));
            let end_of = (start..).find(|o| !naive.contains(o)).filter(|&e| e > start);
            prop_assert_eq!(set.end_of(start), end_of);
            let gaps: Vec<u64> = set.gaps(start, end).flat_map(|(s, e)| s..e).collect();
            prop_assert_eq!(gaps, (start..end).filter(|o| !naive.contains(o)).collect::<Vec<_>>());
        }
    }
}
