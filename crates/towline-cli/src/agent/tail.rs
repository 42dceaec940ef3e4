//! The last bytes of a command's output, whatever it prints.

use towline_proto::mail::receipt::Receipt;

/// Keeps the last [`Receipt::MAX_OUTPUT_LEN`] bytes of what is pushed, in memory of at most twice that.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    /// Adds what was printed next.
    pub(crate) fn push(&mut self, printed: &[u8]) {
        let printed = &printed[printed.len().saturating_sub(Receipt::MAX_OUTPUT_LEN)..];
        self.bytes.extend_from_slice(printed);
        if self.bytes.len() > 2 * Receipt::MAX_OUTPUT_LEN {
            self.trim();
        }
    }

    /// The tail: at most [`Receipt::MAX_OUTPUT_LEN`] bytes.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.trim();
        self.bytes
    }

    fn trim(&mut self) {
        self.bytes.drain(..self.bytes.len().saturating_sub(Receipt::MAX_OUTPUT_LEN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_tail_is_the_end_of_everything(parts in prop::collection::vec(0usize..6_000, 0..20)) {
            let mut tail = Tail::default();
            let mut all = Vec::new();
            for (i, len) in parts.into_iter().enumerate() {
                let part = vec![i as u8; len];
                tail.push(&part);
                all.extend(part);
                prop_assert!(tail.bytes.len() <= 2 * Receipt::MAX_OUTPUT_LEN);
            }
            prop_assert_eq!(tail.into_bytes(), &all[all.len().saturating_sub(Receipt::MAX_OUTPUT_LEN)..]);
        }
    }
}
