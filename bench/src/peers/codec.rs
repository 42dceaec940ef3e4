//! What most write today: `tokio_util`'s `Framed` with its `LengthDelimitedCodec`.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::payload;
use super::stream::Stream;
use crate::job::{Job, Load};
use crate::meter::{Meter, Pace, Tally, Until};
use crate::roles::Fault;

pub async fn serve(job: Job, io: impl Stream, mut meter: Meter) {
    let mut framed = Framed::new(io, LengthDelimitedCodec::new());
    while let Some(Ok(message)) = framed.next().await {
        meter.message();
        if job.load != Load::OneWay && framed.send(message.freeze()).await.is_err() {
            return;
        }
    }
}

pub async fn drive(job: Job, io: impl Stream, tally: &Arc<Tally>) -> Result<(), Fault> {
    let (message, mut framed) = (payload(&job), Framed::new(io, LengthDelimitedCodec::new()));
    if let Load::RoundTrips { in_flight } = job.load {
        let mut pace = Pace::new(&job, tally);
        for _ in 0..in_flight {
            pace.request();
            framed.feed(message.clone()).await?;
        }
        SinkExt::<Bytes>::flush(&mut framed).await?;
        while !pace.is_over() {
            framed.next().await.ok_or("the server went away")??;
            if pace.answer() {
                framed.send(message.clone()).await?;
            }
        }
    } else {
        let mut until = Until::new(&job);
        while until.goes_on() {
            framed.feed(message.clone()).await?;
        }
    }
    Ok(SinkExt::<Bytes>::close(&mut framed).await?)
}
