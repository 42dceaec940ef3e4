use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Append(Vec<u8>),
    WriteAhead(u8, Vec<u8>),
    Advance(u16),
    Truncate(u16),
    Fit(u16),
}

fn op() -> impl Strategy<Value = Op> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..700);
    prop_oneof![
        bytes().prop_map(Op::Append),
        (any::<u8>(), bytes()).prop_map(|(gap, b)| Op::WriteAhead(gap, b)),
        any::<u16>().prop_map(Op::Advance),
        any::<u16>().prop_map(Op::Truncate),
        any::<u16>().prop_map(Op::Fit),
    ]
}

/// The model: every byte ever written, by offset; what was never written (a gap) is not compared.
#[derive(Default)]
struct Naive {
    bytes: std::collections::BTreeMap<u64, u8>,
    base: u64,
    end: u64,
}

impl Naive {
    fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.bytes.extend(bytes.iter().enumerate().map(|(i, &b)| (offset + i as u64, b)));
        if !bytes.is_empty() {
            self.end = self.end.max(offset + bytes.len() as u64);
        }
    }

    fn check(&self, ring: &Ring) {
        assert_eq!((ring.base(), ring.end()), (self.base, self.end));
        let mut held = Vec::new();
        ring.copy_to(self.base, self.end, &mut held);
        for (&offset, &byte) in self.bytes.range(self.base..self.end) {
            assert_eq!(held[(offset - self.base) as usize], byte, "at {offset}");
        }
    }
}

proptest! {
    #[test]
    fn the_ring_holds_what_a_plain_list_holds(ops in proptest::collection::vec(op(), 0..60)) {
        let (mut ring, mut naive) = (Ring::new(), Naive::default());
        for op in ops {
            let held = ring.len() as u64;
            match op {
                Op::Append(bytes) => {
                    naive.write(ring.end(), &bytes);
                    ring.append(&bytes);
                }
                Op::WriteAhead(gap, bytes) => {
                    let at = ring.end() + u64::from(gap);
                    naive.write(at, &bytes);
                    ring.write_at(at, &bytes);
                }
                Op::Advance(n) => {
                    let to = ring.base() + u64::from(n).min(held);
                    naive.base = to;
                    ring.advance(to);
                }
                Op::Truncate(n) => {
                    let to = ring.base() + u64::from(n).min(held);
                    naive.end = to;
                    naive.bytes.split_off(&to);
                    ring.truncate(to);
                }
                Op::Fit(keep) => {
                    ring.fit(usize::from(keep));
                    prop_assert!(ring.capacity() <= usize::from(keep).max(4 * ring.len()).max(256));
                }
            }
            naive.check(&ring);
        }
    }
}

#[test]
fn a_ring_keeps_its_memory_until_it_is_to_fit() {
    let mut ring = Ring::new();
    assert_eq!(ring.capacity(), 0);
    ring.append(&[1; 100_000]);
    assert!(ring.capacity() >= 100_000);
    ring.advance(99_000);
    ring.fit(200_000);
    assert_eq!(ring.capacity(), 1 << 17, "kept");
    ring.fit(4_096);
    assert_eq!(ring.capacity(), 2_048, "as much free as used");
    assert_eq!(ring.slices(99_000, 100_000).0.len() + ring.slices(99_000, 100_000).1.len(), 1_000);
    ring.advance(100_000);
    ring.fit(4_096);
    assert_eq!(ring.capacity(), 2_048, "kept");
    ring.fit(0);
    assert_eq!(ring.capacity(), 0);
    ring.append(b"x");
    assert_eq!(ring.slices(100_000, 100_001).0, b"x");
}

#[test]
fn a_number_is_read_over_the_border_and_not_past_the_end() {
    for start in 0..600u64 {
        let mut ring = Ring::new();
        ring.append(&vec![0; start as usize]);
        ring.advance(start);
        let mut wire = Vec::new();
        crate::wire::cursor::put_varint(&mut wire, 0x1234_5678);
        ring.append(&wire);
        assert_eq!(ring.varint_at(start, ring.end()), Some((0x1234_5678, 4)));
        assert_eq!(ring.varint_at(start, start + 3), None);
        assert_eq!(ring.varint_at(start + 4, start + 4), None);
    }
}
