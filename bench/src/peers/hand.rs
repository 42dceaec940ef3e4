//! Hand-written framing on tokio, without anything in between: small messages gathered in one buffer, large ones written
//! in place. What a good engineer writes in a week for one protocol, and so the yardstick.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::payload;
use super::stream::Stream;
use crate::job::{Job, Load};
use crate::meter::{Meter, Pace, Tally, Until};
use crate::roles::Fault;

/// So much is gathered before it is written.
const GATHER_BYTES: usize = 64 * 1024;

/// Messages of this length and more are not copied.
const IN_PLACE_BYTES: usize = 4 * 1024;

/// The buffer that is read into.
const READ_BYTES: usize = 256 * 1024;

/// What has come and is not used.
struct Input {
    buffer: Vec<u8>,
    from: usize,
    to: usize,
}

impl Input {
    fn new(job: &Job) -> Self {
        // An idle connection must not pay for what only a busy one needs.
        let size = if job.load == Load::Idle { 2 * 1024 } else { READ_BYTES.max(2 * job.bytes) };
        Self { buffer: vec![0; size], from: 0, to: 0 }
    }

    /// Reads once; false at the end of the stream.
    async fn read(&mut self, io: &mut impl Stream) -> std::io::Result<bool> {
        if self.from > 0 {
            self.buffer.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
        let count = io.read(&mut self.buffer[self.to..]).await?;
        self.to += count;
        Ok(count > 0)
    }

    #[inline]
    fn next(&mut self) -> Option<&[u8]> {
        let here = &self.buffer[self.from..self.to];
        let (length, rest) = here.split_first_chunk::<4>()?;
        let message = rest.get(..u32::from_be_bytes(*length) as usize)?;
        self.from += 4 + message.len();
        Some(message)
    }
}

#[inline]
fn put(message: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(message.len() as u32).to_be_bytes());
    out.extend_from_slice(message);
}

pub async fn serve(job: Job, mut io: impl Stream, mut meter: Meter) {
    let mut input = Input::new(&job);
    let mut out = Vec::new();
    while input.read(&mut io).await.is_ok_and(|more| more) {
        while let Some(message) = input.next() {
            meter.message();
            if job.load != Load::OneWay {
                put(message, &mut out);
            }
            std::hint::black_box(message);
        }
        if !out.is_empty() {
            if io.write_all(&out).await.is_err() || io.flush().await.is_err() {
                return;
            }
            out.clear();
        }
    }
}

pub async fn drive(job: Job, io: impl Stream, tally: &Arc<Tally>) -> Result<(), Fault> {
    match job.load {
        Load::RoundTrips { in_flight } => round_trips(job, io, in_flight, tally).await,
        _ => one_way(job, io).await,
    }
}

async fn one_way(job: Job, mut io: impl Stream) -> Result<(), Fault> {
    let (message, mut until, mut out) =
        (payload(&job), Until::new(&job), Vec::with_capacity(GATHER_BYTES + job.bytes + 4));
    while until.goes_on() {
        if message.len() >= IN_PLACE_BYTES {
            let head = Bytes::copy_from_slice(&(message.len() as u32).to_be_bytes());
            io.write_all_buf(&mut head.chain(message.clone())).await?;
            continue;
        }
        put(&message, &mut out);
        if out.len() >= GATHER_BYTES {
            io.write_all(&out).await?;
            out.clear();
        }
    }
    io.write_all(&out).await?;
    Ok(io.shutdown().await?)
}

async fn round_trips(job: Job, mut io: impl Stream, in_flight: usize, tally: &Arc<Tally>) -> Result<(), Fault> {
    let (message, mut pace, mut input, mut out) = (payload(&job), Pace::new(&job, tally), Input::new(&job), Vec::new());
    for _ in 0..in_flight {
        pace.request();
        put(&message, &mut out);
    }
    while !pace.is_over() {
        io.write_all(&out).await?;
        io.flush().await?;
        out.clear();
        if !input.read(&mut io).await? {
            return Err("the server went away".into());
        }
        while input.next().is_some() {
            if pace.answer() {
                put(&message, &mut out);
            }
        }
    }
    Ok(io.shutdown().await?)
}
