//! The pump under a driver that owns its buffers and learns of completions, as one over io_uring would: it posts owned
//! buffers to be read into and to be written from, and each completion may be a part. Nothing above the pump knows.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;
use towline::codec::{Decoder, Encoder, LengthPrefixed, Verdict};
use towline::pump::{IOV_MAX, Inbound, Outbox, Pump, Traffic};

use crate::support::CODEC;

/// Echoes, as the pump's traffic.
struct Echo(LengthPrefixed);

impl Traffic for Echo {
    type Error = String;

    fn inbound(&mut self, input: &[u8], out: &mut Outbox) -> Result<Inbound, String> {
        Ok(match self.0.decode(input).map_err(|error| error.to_string())? {
            Verdict::Message(message, used) => {
                self.0.encode(Bytes::copy_from_slice(message), out).map_err(|error| error.to_string())?;
                Inbound::Used(used)
            }
            Verdict::Need(more) => Inbound::Need(more),
            Verdict::Skip(count) => Inbound::Skip(count),
        })
    }

    fn outbound(&mut self, _out: &mut Outbox) -> Result<(), String> {
        Ok(())
    }
}

/// Completions that a kernel would give: which buffer, and how many of its bytes.
enum Completion {
    Read(Box<[u8]>, usize),
    Wrote(Box<[u8]>, usize),
}

/// A driver with registered buffers of `size` bytes. Its "kernel" completes each operation with as many bytes as `parts`
/// says, in turn.
struct Driver {
    pump: Pump,
    free: Vec<Box<[u8]>>,
    completions: VecDeque<Completion>,
    /// What the peer sent and will receive.
    incoming: VecDeque<u8>,
    arrived: Vec<u8>,
    parts: Vec<usize>,
    step: usize,
}

impl Driver {
    fn new(size: usize, parts: &[usize]) -> Self {
        let free = (0..2).map(|_| vec![0; size].into_boxed_slice()).collect();
        let pump = Pump::new(1 << 20);
        let (completions, incoming) = (VecDeque::new(), VecDeque::new());
        Self { pump, free, completions, incoming, arrived: Vec::new(), parts: parts.to_vec(), step: 0 }
    }

    fn part(&mut self, at_most: usize) -> usize {
        self.step += 1;
        self.parts[self.step % self.parts.len()].min(at_most)
    }

    /// Posts a read; the kernel owns the buffer until it completes.
    fn post_read(&mut self) {
        let Some(mut buffer) = self.free.pop() else { return };
        let count = self.part(buffer.len()).min(self.incoming.len());
        for (slot, byte) in buffer.iter_mut().zip(self.incoming.drain(..count)) {
            *slot = byte;
        }
        self.completions.push_back(Completion::Read(buffer, count));
    }

    /// Copies the pump's slices into an owned buffer and posts it; only what completes is dropped from the pump.
    fn post_write(&mut self) {
        if self.pump.out().is_empty() {
            return;
        }
        let Some(mut buffer) = self.free.pop() else { return };
        let mut slices = [IoSlice::new(&[]); IOV_MAX];
        let count = self.pump.out().slices(&mut slices);
        let mut filled = 0;
        for slice in &slices[..count] {
            let room = (buffer.len() - filled).min(slice.len());
            buffer[filled..filled + room].copy_from_slice(&slice[..room]);
            filled += room;
        }
        let written = self.part(filled).max(1);
        self.completions.push_back(Completion::Wrote(buffer, written));
    }

    fn run(&mut self, traffic: &mut Echo) {
        loop {
            self.post_write();
            if self.completions.is_empty() && !self.incoming.is_empty() {
                self.post_read();
            }
            match self.completions.pop_front() {
                None => return,
                Some(Completion::Read(buffer, count)) => {
                    self.pump.received(&buffer[..count], traffic).unwrap();
                    self.free.push(buffer);
                }
                Some(Completion::Wrote(buffer, count)) => {
                    self.arrived.extend_from_slice(&buffer[..count]);
                    self.pump.out().advance(count);
                    self.free.push(buffer);
                }
            }
            self.pump.pull(traffic).unwrap();
        }
    }
}

#[test]
fn a_driver_with_buffers_of_its_own_runs_the_same_pump() {
    let mut sent = Outbox::default();
    let mut codec = CODEC;
    for size in [0, 1, 31, 2_047, 2_048, 5_000, 0, 70_000] {
        let message: Vec<u8> = (0..size).map(|i| (i % 253) as u8).collect();
        codec.encode(message.into(), &mut sent).unwrap();
    }
    let mut slices = [IoSlice::new(&[]); 64];
    let count = sent.slices(&mut slices);
    let bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
    for (size, parts) in [(1, &[1][..]), (7, &[3, 1, 7]), (4_096, &[4_096, 1, 100]), (65_536, &[65_536])] {
        let mut driver = Driver::new(size, parts);
        driver.incoming.extend(&bytes);
        driver.run(&mut Echo(CODEC));
        assert!(driver.arrived == bytes, "buffers of {size} bytes");
        assert!(!driver.pump.is_inside_message());
        assert_eq!(driver.free.len(), 2, "every buffer came back");
    }
}
