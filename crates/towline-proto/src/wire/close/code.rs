//! The table of close codes.

use super::{Blame, Retry};
use core::fmt;

/// Exit codes of the program that a close may lead to.
mod exit {
    pub(super) const DONE: u8 = 0;
    pub(super) const ERROR: u8 = 1;
    pub(super) const NOT_PERMITTED: u8 = 4;
    pub(super) const UNREACHABLE: u8 = 5;
    pub(super) const INTEGRITY: u8 = 8;
    pub(super) const QUOTA: u8 = 9;
}

/// One line a code: `Name number "word" blame retry exit "cause" "cure"`.
macro_rules! close_codes {
    ($($name:ident $number:literal $word:literal $blame:ident $retry:ident $exit:ident $cause:literal $cure:literal;)*) => {
        /// Why a session or a link ends. The numbers never change their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CloseCode {
            $(#[doc = $cause] $name,)*
            /// A number that this version does not know: the peer is newer.
            Unknown(u16),
        }

        impl CloseCode {
            /// Every code that this version knows, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The number on the wire.
            pub const fn number(self) -> u16 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Unknown(number) => number,
                }
            }

            /// The code of a number on the wire; [`CloseCode::Unknown`] if this version knows none.
            pub const fn from_number(number: u16) -> Self {
                match number {
                    $($number => Self::$name,)*
                    _ => Self::Unknown(number),
                }
            }

            /// The word for people, for metric labels and for `towline explain`.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                    Self::Unknown(_) => "unknown",
                }
            }

            /// The code of a word.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.word() == word)
            }

            /// Whose doing it usually is, seen from the side that says it.
            pub const fn blame(self) -> Blame {
                match self {
                    $(Self::$name => Blame::$blame,)*
                    Self::Unknown(_) => Blame::Us,
                }
            }

            /// Whether trying again usually helps.
            pub const fn retry(self) -> Retry {
                match self {
                    $(Self::$name => Retry::$retry,)*
                    Self::Unknown(_) => Retry::No,
                }
            }

            /// The exit code of a program that ends because of it.
            pub const fn exit_code(self) -> u8 {
                match self {
                    $(Self::$name => exit::$exit,)*
                    Self::Unknown(_) => exit::ERROR,
                }
            }

            /// What happened, for people.
            pub const fn cause(self) -> &'static str {
                match self {
                    $(Self::$name => $cause,)*
                    Self::Unknown(_) => "The peer gave a reason that this version does not know.",
                }
            }

            /// What to do about it, for people.
            pub const fn cure(self) -> &'static str {
                match self {
                    $(Self::$name => $cure,)*
                    Self::Unknown(_) => "Read the text beside it; update this program.",
                }
            }
        }
    };
}

close_codes! {
    Done 0 "done" Application No DONE
        "One side had nothing more to say and closed in order."
        "Nothing is wrong.";
    Draining 1 "draining" Us Yes UNREACHABLE
        "The peer is shutting down or restarting."
        "Connect again; the usual back-off finds it when it is back.";
    Superseded 2 "superseded" Environment No ERROR
        "The same identity opened a newer session for the same purpose, which took this one's place."
        "If you did not start it: stop the second program that uses this identity.";
    Application 3 "application" Application No ERROR
        "The application ended the session."
        "Read the text beside it.";

    Protocol 16 "protocol" Peer No ERROR
        "The peer broke a rule of the protocol that has no code of its own."
        "A bug in one of the two programs: update both, then report it with the text beside it.";
    BadFrame 17 "bad-frame" Peer No ERROR
        "A frame could not be read."
        "A bug in the peer, or no Towline peer at all; check the port, update both sides.";
    FrameTooLarge 18 "frame-too-large" Peer No ERROR
        "A frame announced more bytes than any frame may have."
        "A bug in the peer, or no Towline peer at all; check the port, update both sides.";
    UnknownFrame 19 "unknown-frame" Peer No ERROR
        "A frame of an unknown type came that must not be skipped."
        "Update the side that says it.";
    FlowControl 20 "flow-control" Peer No ERROR
        "The peer sent more than it had credit for, or changed its word on where a stream ends."
        "A bug in the peer: update it.";
    TooManyStreams 21 "too-many-streams" Peer Yes QUOTA
        "The peer opened more streams than it was granted."
        "A bug in the peer: a stream waits until one is closed.";

    Version 32 "version" Peer No ERROR
        "The two sides have no protocol version in common."
        "Update the older one.";
    HelloMalformed 33 "hello-malformed" Peer No ERROR
        "The hello could not be read."
        "A bug in the peer, or no Towline peer at all; check the port, update both sides.";
    HelloExpected 34 "hello-expected" Peer No ERROR
        "What came first was no hello."
        "Probably no Towline peer: check the address and port; else update both sides.";
    HandshakeTimeout 35 "handshake-timeout" Peer Yes UNREACHABLE
        "TLS and hello were not complete in time."
        "Look at the network between the two, and at the load of the slower side.";
    Tls 36 "tls" Peer No ERROR
        "TLS failed: another version, no post-quantum key exchange in common, a malformed certificate."
        "Read the text beside it; `pq = \"prefer\"` admits peers without post-quantum key exchange.";
    UnknownKey 37 "unknown-key" Peer No NOT_PERMITTED
        "The peer's key is not known here."
        "Join with a ticket: `towline invite NAME` there, `towline join` here.";
    WrongKey 38 "wrong-key" Peer No INTEGRITY
        "The server has another key than the one it was given out with. No word was exchanged."
        "If the server was set up anew, join again; if not, somebody stands between you and it.";
    Revoked 39 "revoked" Peer No NOT_PERMITTED
        "The peer's key was revoked."
        "Ask the operator for a new ticket.";
    BadJoinProof 40 "bad-join-proof" Peer No NOT_PERMITTED
        "A link wanted to join a session and could not prove that it belongs to it."
        "A bug in the peer, or an attack; nothing was given away.";
    Gone 41 "gone" Environment Yes UNREACHABLE
        "One side no longer knows the session (it restarted, or the session was without links for too long)."
        "A new session is opened; what was not confirmed is handed back as undecided.";
    NotPermitted 42 "not-permitted" Us No NOT_PERMITTED
        "The peer may not do what it asked."
        "Ask the operator; `towline policy test` shows the rule.";

    Memory 48 "memory" Us Yes UNREACHABLE
        "The side that says it is at its memory bound, and this session held the most unread bytes."
        "Read faster, or raise the bound.";
    TooManySessions 49 "too-many-sessions" Us Yes UNREACHABLE
        "No more sessions are admitted."
        "Try later; raise the limit if it is yours.";
    TooManyConnections 50 "too-many-connections" Us Yes UNREACHABLE
        "No more connections are admitted, in all or from this address."
        "Try later; raise the limit if it is yours.";

    ProbeTimeout 64 "probe-timeout" Environment Yes UNREACHABLE
        "The peer answered no probe: it is dead, frozen or cut off."
        "Look at the peer and at the network; the session resumes over a new link.";
    LinkLost 65 "link-lost" Environment Yes UNREACHABLE
        "The connection broke without a word."
        "Nothing to do if it comes back by itself; the session resumes over a new link.";
    Internal 66 "internal" Us Yes ERROR
        "The side that says it found a fault in itself."
        "Report it with its log.";
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(number) => write!(f, "unknown ({number})"),
            known => f.write_str(known.word()),
        }
    }
}
