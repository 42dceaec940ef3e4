//! The accepting side.

use super::{Failure, Mac, Offer, SessionSecret, Step, common_version, join_proof_input, unreadable};
use crate::ids::SessionId;
use crate::wire::close::{Close, CloseCode};
use crate::wire::hello::{ClientHello, Feature, Intent, Params, ServerHello, Verdict};
use crate::wire::receive_state::ReceiveState;

/// A link whose client has not said hello yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a handshake that is dropped leaves the client waiting"]
pub struct AwaitClientHello {
    offer: Offer,
}

/// What the client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A session of its own.
    New(Newcomer),
    /// To join one.
    Join(Claimant),
}

/// A client that wants a session, and has not been answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "admit or refuse it"]
pub struct Newcomer {
    answer: Answer,
    own: Params,
    params: Params,
    features: Vec<Feature>,
}

/// A client that says it belongs to a session, and has not proved it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "let it prove, or answer that the session is gone"]
pub struct Claimant {
    answer: Answer,
    session: SessionId,
    proof: [u8; 32],
    received: ReceiveState,
    features: Vec<Feature>,
}

/// A client that proved that it belongs to its session, and has not been answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "admit or refuse it"]
pub struct Joiner {
    answer: Answer,
    session: SessionId,
    received: ReceiveState,
    features: Vec<Feature>,
}

/// What stands in every answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    version: u64,
    features: Vec<Feature>,
}

impl Answer {
    fn say(self, verdict: Verdict, out: &mut Vec<u8>) {
        ServerHello { version: self.version, verdict, features: self.features }.encode(out);
    }
}

impl AwaitClientHello {
    /// A link on which TLS is up and nothing was said.
    pub const fn new(offer: Offer) -> Self {
        Self { offer }
    }

    /// Takes the client's hello out of `input`.
    ///
    /// # Errors
    /// [`Failure::WeSay`]; the answer stands in `out`, to be sent before the link is dropped.
    pub fn handle(self, input: &[u8], out: &mut Vec<u8>) -> Result<Step<Self, Asked>, Failure> {
        match ClientHello::decode(input) {
            Err(error) => Err(self.refuse(unreadable(error), out)),
            Ok(None) => Ok(Step::NeedMore(self)),
            Ok(Some((hello, used))) => self.sort(hello, out).map(|value| Step::Done { value, used }),
        }
    }

    /// Refuses before the hello came: too many connections, an unknown key, a peer too slow.
    pub fn refuse(self, close: Close, out: &mut Vec<u8>) -> Failure {
        Answer { version: *self.offer.versions.end(), features: Vec::new() }.say(Verdict::Refused(close.clone()), out);
        Failure::WeSay(close)
    }

    fn sort(self, hello: ClientHello, out: &mut Vec<u8>) -> Result<Asked, Failure> {
        let ClientHello { versions, intent, params, features } = hello;
        let Some(version) = common_version(&self.offer.versions, &versions) else {
            let (low, high) = (self.offer.versions.start(), self.offer.versions.end());
            let text = format!("{low} to {high} here, {} to {} there", versions.start(), versions.end());
            return Err(self.refuse(Close::new(CloseCode::Version).with_text(text), out));
        };
        let answer = Answer { version, features: self.offer.features };
        Ok(match intent {
            Intent::New => Asked::New(Newcomer { answer, own: self.offer.params, params, features }),
            Intent::Join { session, proof, received } => {
                Asked::Join(Claimant { answer, session, proof, received, features })
            }
        })
    }
}

impl Newcomer {
    /// The version to be spoken.
    pub const fn version(&self) -> u64 {
        self.answer.version
    }

    /// The client's limits and first grants.
    pub const fn params(&self) -> Params {
        self.params
    }

    /// What the client can do besides.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The session begins under this name. `own` replaces the offer's params where a server near its bounds grants less.
    pub fn admit(self, session: SessionId, own: Option<Params>, out: &mut Vec<u8>) {
        self.answer.say(Verdict::New { session, params: own.unwrap_or(self.own) }, out);
    }

    /// No session.
    pub fn refuse(self, close: Close, out: &mut Vec<u8>) {
        self.answer.say(Verdict::Refused(close), out);
    }
}

impl Claimant {
    /// The session it names.
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// The session is not known here, or belongs to another key, which must look the same.
    pub fn gone(self, out: &mut Vec<u8>) {
        self.answer.say(Verdict::Gone, out);
    }

    /// Checks the proof against the session's secret and this link's exporter. The caller has checked that the link's
    /// peer key is the session's.
    ///
    /// # Errors
    /// [`Failure::WeSay`] with `bad-join-proof`; the answer stands in `out`.
    pub fn prove(
        self,
        secret: &SessionSecret,
        exporter: &[u8; 32],
        mac: &impl Mac,
        out: &mut Vec<u8>,
    ) -> Result<Joiner, Failure> {
        let Self { answer, session, proof, received, features } = self;
        if mac.verify(&secret.0, &join_proof_input(exporter, session), &proof) {
            return Ok(Joiner { answer, session, received, features });
        }
        let close = Close::new(CloseCode::BadJoinProof);
        answer.say(Verdict::Refused(close.clone()), out);
        Err(Failure::WeSay(close))
    }
}

impl Joiner {
    /// The version to be spoken.
    pub const fn version(&self) -> u64 {
        self.answer.version
    }

    /// The session it joins.
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// What the client has received.
    pub const fn received(&self) -> &ReceiveState {
        &self.received
    }

    /// What the client can do besides.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// It belongs to the session from here on; `received` is what this side has received.
    pub fn admit(self, received: ReceiveState, out: &mut Vec<u8>) {
        self.answer.say(Verdict::Joined { received }, out);
    }

    /// Not now.
    pub fn refuse(self, close: Close, out: &mut Vec<u8>) {
        self.answer.say(Verdict::Refused(close), out);
    }
}
