//! How a call ended: gRPC's codes, a text for people, and a detail in the application's own encoding.

use bytes::Bytes;
use core::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $number:literal $name:ident $word:literal;)*) => {
        /// gRPC's status codes, under the same numbers (grpc.io, "Status codes and their use in gRPC").
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $($(#[doc = $doc])+ $name = $number,)*
        }

        impl Code {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The number on the wire.
            pub const fn number(self) -> u32 {
                self as u32
            }

            /// The word for people, logs and metric labels.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The code of a number; a number that is not known means [`Code::Unknown`].
            pub const fn from_number(number: u64) -> Self {
                match number { $($number => Self::$name,)* _ => Self::Unknown }
            }
        }
    };
}

codes! {
    /// It was done.
    0 Ok "ok";
    /// The caller gave it up.
    1 Cancelled "cancelled";
    /// An error that says no more.
    2 Unknown "unknown";
    /// The caller asked for something that can never be right.
    3 InvalidArgument "invalid-argument";
    /// The time for it was over; it may or may not have been done.
    4 DeadlineExceeded "deadline-exceeded";
    /// What was asked for is not there.
    5 NotFound "not-found";
    /// What was to be made is there already.
    6 AlreadyExists "already-exists";
    /// The caller may not do that.
    7 PermissionDenied "permission-denied";
    /// A quota or limit is reached, or an item is larger than the other side takes.
    8 ResourceExhausted "resource-exhausted";
    /// Not in this state: change the state first, do not just try again.
    9 FailedPrecondition "failed-precondition";
    /// It collided with something else; try the whole again.
    10 Aborted "aborted";
    /// Past the end of what there is.
    11 OutOfRange "out-of-range";
    /// The other side has no such method.
    12 Unimplemented "unimplemented";
    /// A bug at the other side, or bytes that are no call.
    13 Internal "internal";
    /// Not now: the session is over or the server is going away; try again later.
    14 Unavailable "unavailable";
    /// Data was lost or damaged for good.
    15 DataLoss "data-loss";
    /// The caller must say who it is.
    16 Unauthenticated "unauthenticated";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How a call ended. As an error it is anything but [`Code::Ok`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What kind of end.
    pub code: Code,
    /// For people; cut to [`super::MAX_STATUS_TEXT_BYTES`] on the wire.
    pub text: String,
    /// For programs, in the application's own encoding; at most [`super::MAX_STATUS_DETAIL_BYTES`].
    pub detail: Bytes,
}

impl Status {
    /// An end of this kind, with a text for people.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), detail: Bytes::new() }
    }

    /// The same with a detail for programs.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Bytes>) -> Self {
        self.detail = detail.into();
        self
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() { write!(f, "{}", self.code) } else { write!(f, "{}: {}", self.code, self.text) }
    }
}

impl core::error::Error for Status {}

impl From<Code> for Status {
    fn from(code: Code) -> Self {
        Self::new(code, "")
    }
}

/// What layers around a handler bring: a status in a box comes out as it went in, any other error is
/// [`Code::Unknown`] with its text.
impl From<Box<dyn core::error::Error + Send + Sync>> for Status {
    fn from(error: Box<dyn core::error::Error + Send + Sync>) -> Self {
        match error.downcast::<Self>() {
            Ok(status) => *status,
            Err(other) => Self::new(Code::Unknown, other.to_string()),
        }
    }
}
