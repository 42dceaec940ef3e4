//! The connecting side.

use super::{Failure, Mac, Offer, SessionSecret, Step, join_proof_input, unreadable};
use crate::ids::SessionId;
use crate::wire::close::{Close, CloseCode};
use crate::wire::hello::{ClientHello, Feature, Intent, Params, ServerHello, Verdict};
use crate::wire::receive_state::ReceiveState;
use core::ops::RangeInclusive;

/// The hello is on its way; the server's is awaited.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a handshake that is dropped leaves the link unused"]
pub struct AwaitServerHello {
    versions: RangeInclusive<u64>,
    joins: Option<SessionId>,
}

/// What the server made of the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is the first link of a new session.
    New {
        /// The version spoken from here on.
        version: u64,
        /// The session's name.
        session: SessionId,
        /// The server's limits and first grants.
        params: Params,
        /// What the server can do besides.
        features: Vec<Feature>,
    },
    /// It belongs to the session.
    Joined {
        /// The version spoken from here on.
        version: u64,
        /// What the server has received.
        received: ReceiveState,
        /// What the server can do besides.
        features: Vec<Feature>,
    },
    /// The server no longer knows the session: it is over (`peer lost state`).
    Gone,
}

/// Begins a session: writes the hello to `out`.
pub fn begin(offer: Offer, out: &mut Vec<u8>) -> AwaitServerHello {
    say(offer, Intent::New, None, out)
}

/// Joins a session with one more link: writes the hello with the proof to `out`. `exporter` is this link's.
pub fn begin_join(
    offer: Offer,
    session: SessionId,
    received: ReceiveState,
    secret: &SessionSecret,
    exporter: &[u8; 32],
    mac: &impl Mac,
    out: &mut Vec<u8>,
) -> AwaitServerHello {
    let proof = mac.sign(&secret.0, &join_proof_input(exporter, session));
    say(offer, Intent::Join { session, proof, received }, Some(session), out)
}

fn say(offer: Offer, intent: Intent, joins: Option<SessionId>, out: &mut Vec<u8>) -> AwaitServerHello {
    let hello = ClientHello { versions: offer.versions, intent, params: offer.params, features: offer.features };
    hello.encode(out);
    AwaitServerHello { versions: hello.versions, joins }
}

impl AwaitServerHello {
    /// Takes the server's hello out of `input`.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn handle(self, input: &[u8]) -> Result<Step<Self, Admission>, Failure> {
        match ServerHello::decode(input) {
            Err(error) => Err(Failure::WeSay(unreadable(error))),
            Ok(None) => Ok(Step::NeedMore(self)),
            Ok(Some((hello, used))) => self.judge(hello).map(|value| Step::Done { value, used }),
        }
    }

    fn judge(self, hello: ServerHello) -> Result<Admission, Failure> {
        let ServerHello { version, verdict, features } = hello;
        if let Verdict::Refused(close) = verdict {
            return Err(Failure::TheySaid(close));
        }
        if !self.versions.contains(&version) {
            let text = format!("the server chose version {version}");
            return Err(Failure::WeSay(Close::new(CloseCode::Version).with_text(text)));
        }
        match (verdict, self.joins) {
            (Verdict::New { session, params }, None) => Ok(Admission::New { version, session, params, features }),
            (Verdict::Joined { received }, Some(_)) => Ok(Admission::Joined { version, received, features }),
            (Verdict::Gone, Some(_)) => Ok(Admission::Gone),
            _ => Err(Failure::WeSay(Close::new(CloseCode::Protocol).with_text("an answer to another question"))),
        }
    }
}
