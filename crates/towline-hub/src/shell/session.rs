//! One session's tasks: what the device says goes to the core, its streams into the spool.

use super::event::{Event, Events, Seat};
use super::upload;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use towline::{Close, CloseCode, Ended, Lane, LinkState, Plugin, Session};
use towline_proto::limits::HANDSHAKE_TIMEOUT;
use towline_proto::mail::hub::io::{Input, SessionKey};
use towline_proto::mail::message::ToHub;
use towline_proto::wire::close::Retry;

/// How often the round trip is told anew, for people's eyes.
const RTT_PERIOD: Duration = Duration::from_secs(15);
/// How long a session may say nothing at first. Every key is let in, since a new device has only its ticket, so a
/// stranger holds a session for no longer than a handshake may take.
const FIRST_WORD_TIME: Duration = HANDSHAKE_TIMEOUT;
/// When a device should come again if the hub cannot take sessions.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// The hub, as the server sees it.
pub(crate) struct HubPlugin {
    pub(crate) events: Events,
}

impl Plugin for HubPlugin {
    async fn session(&self, session: Session) {
        let (seat, given) = oneshot::channel();
        let opened = Event::Opened { session: session.clone(), seat };
        let seat = match self.events.send(opened).await {
            Ok(()) => given.await.ok(),
            Err(_) => None,
        };
        let Some(seat) = seat.map(Arc::new) else {
            let close = Close::new(CloseCode::Draining).with_text("the hub cannot take sessions now");
            return session.close(close.with_retry(Retry::After(COME_AGAIN)));
        };
        let ended = attend(&session, &seat, &self.events).await;
        tracing::info!(session = %session.id(), reason = %ended, "session over");
        let _ = self.events.send(Event::Input(Input::Closed { session: seat.key })).await;
    }
}

/// Serves the session until it is over.
async fn attend(session: &Session, seat: &Arc<Seat>, events: &Events) -> Ended {
    tokio::select! {
        ended = session.closed() => ended,
        ended = listen(session, seat, events) => ended,
        ended = take_streams(session, seat, events) => ended,
        ended = watch_links(session, seat.key, events) => ended,
    }
}

async fn listen(session: &Session, seat: &Seat, events: &Events) -> Ended {
    // The first word says who comes and for what; the core cuts whoever says another one.
    let mut first = true;
    loop {
        seat.backlog.wait_for_room().await;
        let time = if first { FIRST_WORD_TIME } else { Duration::MAX };
        let bytes = match tokio::time::timeout(time, session.recv_any()).await {
            Ok(Ok((_, bytes))) => bytes,
            Ok(Err(ended)) => return ended,
            Err(_) => {
                session.close(Close::new(CloseCode::HandshakeTimeout).with_text("neither attached nor joined"));
                return session.closed().await;
            }
        };
        first = false;
        let Ok(message) = ToHub::from_bytes(&bytes) else {
            session.close(Close::new(CloseCode::Protocol).with_text("not a mail message"));
            return session.closed().await;
        };
        let said = Event::Input(Input::Said { session: seat.key, message });
        if events.send(said).await.is_err() {
            return session.closed().await;
        }
    }
}

async fn take_streams(session: &Session, seat: &Arc<Seat>, events: &Events) -> Ended {
    loop {
        match session.accept().await {
            Ok((Lane::BULK, stream)) => {
                let (_, receiving) = stream.split();
                tokio::spawn(upload::take(seat.clone(), events.clone(), receiving));
            }
            Ok((_, stream)) => stream.split().1.stop(CloseCode::Protocol.number().into()),
            Err(ended) => return ended,
        }
    }
}

async fn watch_links(session: &Session, key: SessionKey, events: &Events) -> Ended {
    let mut state = session.link_state();
    let mut losses = 0;
    loop {
        let connected = *state.borrow_and_update() == LinkState::Connected;
        // A loss may have been made good since the last look: the core hears of it all the same. (What is lost after
        // this line changes the state anew.)
        let losses_before = losses;
        losses = session.link_losses();
        if losses > losses_before
            && events.send(Event::Input(links_changed(key, Vec::new(), Duration::ZERO))).await.is_err()
        {
            return session.closed().await;
        }
        let links = session.links();
        let rtt = links.iter().filter_map(|link| link.rtt).min().unwrap_or_default();
        let shown = if connected { links.iter().map(link_text).collect() } else { Vec::new() };
        if events.send(Event::Input(links_changed(key, shown, rtt))).await.is_err() {
            return session.closed().await;
        }
        let next = tokio::time::timeout(RTT_PERIOD, state.changed()).await;
        if matches!(next, Ok(Err(_))) {
            return session.closed().await;
        }
    }
}

fn links_changed(session: SessionKey, links: Vec<String>, rtt: Duration) -> Input {
    Input::LinkChanged { session, links, rtt_us: u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX) }
}

/// A link as `tcp 192.0.2.7:50312`, with its key exchange behind it where that is not the usual one.
pub(crate) fn link_text(link: &towline::LinkInfo) -> String {
    let mut text = link.transport.to_owned();
    if let Some(remote) = link.remote {
        text.push_str(&format!(" {remote}"));
    }
    if !link.key_exchange.is_post_quantum() {
        text.push_str(&format!(" {}", link.key_exchange));
    }
    text
}
