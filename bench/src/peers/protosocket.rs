//! protosocket 2.0.2's connection. Its reactor makes the messages when there is room, as its version 2 wants it; its decoder
//! tells only lengths where nobody looks at the bytes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use protosocket::{
    Connection, Decoder, DeserializeError, MessageReactor, PooledEncoder, ReactorStatus, SendBudget, Serialize,
};

use super::payload;
use super::stream::Stream;
use crate::job::{Job, Load};
use crate::meter::{Meter, Pace, Tally, Until};
use crate::roles::Fault;

const BUFFER_MAX_BYTES: usize = 4 * 1024 * 1024;
const BUFFER_STEP_BYTES: usize = 1024 * 1024;
const IDLE_STEP_BYTES: usize = 4 * 1024;
const QUEUED_MAX: usize = 256;

/// Writes a length and a message.
struct Write;

impl Serialize for Write {
    type Message = Bytes;

    fn serialize_into_buffer(&mut self, message: Bytes, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&(message.len() as u32).to_be_bytes());
        buffer.extend_from_slice(&message);
    }
}

/// Reads messages, or only their lengths.
struct Read {
    content: bool,
}

impl Decoder for Read {
    type Message = Bytes;

    fn decode(&mut self, mut buffer: impl Buf) -> Result<(usize, Bytes), DeserializeError> {
        let here = buffer.remaining();
        if here < 4 {
            return Err(DeserializeError::IncompleteBuffer { next_message_size: 4 });
        }
        let length = buffer.get_u32() as usize;
        if here < 4 + length {
            return Err(DeserializeError::IncompleteBuffer { next_message_size: 4 + length });
        }
        Ok((4 + length, if self.content { buffer.copy_to_bytes(length) } else { Bytes::new() }))
    }
}

type Codec = (PooledEncoder<Write>, Read);

/// What is done with what comes, and what is to be sent.
enum Role {
    Count(Meter),
    Echo(Meter, VecDeque<Bytes>),
    Ask(Pace, Bytes, usize),
    Flood(Until, Bytes),
}

impl MessageReactor for Role {
    type Codec = Codec;
    type Inbound = Bytes;
    type Outbound = Bytes;
    type LogicalOutbound = Bytes;

    fn on_inbound_message(&mut self, message: Bytes) -> ReactorStatus {
        match self {
            Self::Count(meter) => meter.message(),
            Self::Echo(meter, replies) => {
                meter.message();
                replies.push_back(message);
            }
            Self::Ask(pace, _, requests) => {
                *requests += usize::from(pace.answer());
                if pace.is_over() {
                    return ReactorStatus::Disconnect;
                }
            }
            Self::Flood(..) => {}
        }
        ReactorStatus::Continue
    }

    fn on_outbound_message(&mut self, message: Bytes) -> Bytes {
        message
    }

    fn poll_outbound_many(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut SendBudget<'_, Codec>,
    ) -> Poll<Option<()>> {
        let mut sent = false;
        match &mut *self {
            Self::Count(_) => return Poll::Pending,
            Self::Echo(_, replies) => {
                while let Some(permit) = if replies.is_empty() { None } else { out.reserve() } {
                    permit.send(replies.pop_front().expect("it is not empty"));
                    sent = true;
                }
            }
            Self::Ask(_, message, requests) => {
                while let Some(permit) = if *requests == 0 { None } else { out.reserve() } {
                    permit.send(message.clone());
                    *requests -= 1;
                    sent = true;
                }
            }
            Self::Flood(until, message) => {
                while let Some(permit) = out.reserve() {
                    if !until.goes_on() {
                        return Poll::Ready(None);
                    }
                    permit.send(message.clone());
                    sent = true;
                }
            }
        }
        if sent { Poll::Ready(Some(())) } else { Poll::Pending }
    }
}

type Queue = spillway::Sender<Bytes>;

fn connection<S: Stream>(job: &Job, io: S, role: Role, content: bool) -> (Queue, Connection<S, Role>) {
    let (sender, queue) = spillway::channel();
    let step = if job.load == Load::Idle { IDLE_STEP_BYTES } else { BUFFER_STEP_BYTES };
    let codec = (PooledEncoder::new(Write), Read { content });
    (sender, Connection::new(io, codec, BUFFER_MAX_BYTES, step, QUEUED_MAX, queue, role))
}

pub fn serve(job: Job, io: impl Stream, meter: Meter) {
    // A connection ends when no sender is left and its reactor has no more; the reactors of a server always may have more.
    let (_, connection) = if job.load == Load::OneWay {
        connection(&job, io, Role::Count(meter), false)
    } else {
        connection(&job, io, Role::Echo(meter, VecDeque::new()), true)
    };
    tokio::spawn(connection);
}

pub async fn drive(job: Job, io: impl Stream, tally: &Arc<Tally>) -> Result<(), Fault> {
    let message = payload(&job);
    let (_, connection) = if let Load::RoundTrips { in_flight } = job.load {
        let mut pace = Pace::new(&job, tally);
        (0..in_flight).for_each(|_| pace.request());
        connection(&job, io, Role::Ask(pace, message, in_flight), false)
    } else {
        connection(&job, io, Role::Flood(Until::new(&job), message), false)
    };
    connection.await;
    Ok(())
}
