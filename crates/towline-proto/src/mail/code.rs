//! Why: the stable words that receipts, refusals, `--json` and `towline explain` share.

use core::fmt;
use core::str::FromStr;
use minicbor::{Decode, Encode};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $number:literal $name:ident $word:literal exit $exit:literal cause $cause:literal cure $cure:literal;)*) => {
        /// Why a message was refused, failed or ended as it did. The table in `docs/model.md` is tested against this.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
        #[cbor(index_only)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $doc])+ #[n($number)] $name,)*
        }

        /// Every code, by number.
        pub const CODES: &[Code] = &[$(Code::$name),*];

        impl Code {
            /// The stable word, as scripts see it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
            /// The program's exit code when this is why it ends.
            pub const fn exit_code(self) -> u8 {
                match self { $(Self::$name => $exit,)* }
            }
            /// What has happened, in one sentence.
            pub const fn cause(self) -> &'static str {
                match self { $(Self::$name => $cause,)* }
            }
            /// What to do about it, in one sentence.
            pub const fn cure(self) -> &'static str {
                match self { $(Self::$name => $cure,)* }
            }
        }
    };
}

codes! {
    /// Nothing went wrong.
    0 Ok "ok" exit 0
        cause "The message was handled." cure "Nothing to do.";
    /// A command ended with another exit code than 0.
    1 HandlerExit "handler-exit" exit 11
        cause "The rule's command ended with an exit code other than 0, or by a signal."
        cure "Read the exit code and the output tail in the receipt, mend the command or the file, and send again.";
    /// A command ran longer than its rule allows.
    2 HandlerTimeout "handler-timeout" exit 11
        cause "The rule's command ran longer than its timeout and was killed with its whole process group."
        cure "Raise the rule's timeout or make the command faster; what it had done stays done.";
    /// A command could not be started.
    3 HandlerStart "handler-start" exit 11
        cause "The rule's command could not be started: it is missing or may not be executed."
        cure "Check the command's path and mode on the device with `towline rule test`.";
    /// A rule's argument would have begun with a sign.
    4 UnsafeArgument "unsafe-argument" exit 13
        cause "A value from the sender would have stood as an argument that begins with `-`."
        cure "Put `--` ahead of it in the rule's command if the program knows that sign, or rename the file.";
    /// The name cannot be made a file name.
    5 BadName "bad-name" exit 13
        cause "The message's name cannot be made a safe file name."
        cure "Send it under another name with `--name`.";
    /// The recipient could not store or place the file.
    6 DeviceStorage "device-storage" exit 11
        cause "The recipient could not write the file: its disk is full, or the folder is missing or read-only."
        cure "Free space or mend the folder on the device, and send again.";
    /// The deadline passed while the device was offline.
    7 Offline "offline" exit 7
        cause "The deadline passed while the recipient was not connected to the hub."
        cure "Bring the device online, or send with a longer deadline.";
    /// The deadline passed although the device was online.
    8 NotStartedInTime "not-started-in-time" exit 7
        cause "The recipient was connected, but did not ask to start the message before its deadline."
        cure "Look at what the device is busy with; raise its rule's concurrency or the deadline.";
    /// It started, and no word came.
    9 NoWord "no-word" exit 12
        cause "The recipient started the message, and the time for its word passed."
        cure "Ask the device; a late word is kept beside the outcome. Send again only if handling twice does no harm.";
    /// The agent ended during the run.
    10 Interrupted "interrupted" exit 12
        cause "The recipient's agent ended while the command ran, so nobody knows how the command ended."
        cure "Ask the device; send again only if handling twice does no harm, or set `repeat = true` in its rule.";
    /// Taken back.
    11 Withdrawn "withdrawn" exit 13
        cause "The message was taken back before it started."
        cure "Nothing to do.";
    /// No such device.
    12 NoSuchDevice "no-such-device" exit 3
        cause "The hub knows no device of that name."
        cure "Check the name with `towline who`; a device is made with `towline invite NAME`.";
    /// No such message.
    13 NoSuchMessage "no-such-message" exit 3
        cause "The hub has no record of that message that this device may see."
        cure "Check the id; records leave after the hub's `keep_records`.";
    /// The policy says no.
    14 NotPermitted "not-permitted" exit 4
        cause "No rule of the hub's policy allows this."
        cure "Ask the operator to add an `[[allow]]` entry; `towline policy test` explains the decision.";
    /// The device was revoked.
    15 Revoked "revoked" exit 4
        cause "The device was revoked by the operator."
        cure "Join again under a new ticket.";
    /// The ticket is not good (any more).
    16 BadTicket "bad-ticket" exit 4
        cause "The ticket is not one of this hub's, was already used, or is older than an hour."
        cure "Make a new one with `towline invite NAME`.";
    /// The same id with another envelope.
    17 IdReused "id-reused" exit 2
        cause "The sender had already used this message id for another message."
        cure "Give every message an id of its own; sending the very same envelope again is harmless.";
    /// The envelope is malformed or not signed by its sender.
    18 BadEnvelope "bad-envelope" exit 2
        cause "The envelope is malformed, over a limit, or not signed by the device that sent it."
        cure "This is a fault of the sending program; update it.";
    /// The body is not what the envelope says.
    19 Integrity "integrity" exit 8
        cause "The body's length or BLAKE3 root is not what the envelope says."
        cure "The file changed while it was sent, or its storage is failing; send again.";
    /// Too large.
    20 TooLarge "too-large" exit 9
        cause "The message is larger than the hub or the lane allows."
        cure "Send a smaller file or raise the hub's `max_body`; live and urgent messages have smaller bounds.";
    /// A quota is used up.
    21 Quota "quota" exit 9
        cause "The recipient's or the hub's quota of waiting messages or bytes is used up."
        cure "Try again after the time given; have the recipient take its messages, or raise the quota.";
    /// The hub cannot store.
    22 HubStorage "hub-storage" exit 9
        cause "The hub could not store the message; it was not accepted."
        cure "Free space on the hub and send again.";
    /// Live, and the recipient is not connected.
    23 NotHere "not-here" exit 6
        cause "A live message was for a device that is not connected; it was given to nobody."
        cure "Send it without `--live`, or when the device is online.";
    /// Live, and the recipient's session ended before it confirmed.
    24 LiveUnclear "live-unclear" exit 12
        cause "A live message was given to the recipient's session, which did not confirm it."
        cure "Send it again if handling twice does no harm.";
    /// The hub is ending.
    25 Draining "draining" exit 5
        cause "The hub is shutting down and accepts nothing new."
        cure "Try again; the program does so by itself.";
    /// The device already has another agent at work.
    26 Superseded "superseded" exit 1
        cause "Another agent with the same device key has connected."
        cure "Run one agent for each device; give each machine its own ticket.";
    /// A seal this hub or agent does not know.
    27 UnknownSeal "unknown-seal" exit 13
        cause "The body is sealed in a way that the recipient does not know."
        cure "Update the recipient.";
    /// The device already bears another name or the name is taken.
    28 NameTaken "name-taken" exit 4
        cause "Another device bears that name."
        cure "Choose another name, or revoke the other device first.";
    /// The key belongs to no device of this hub.
    29 UnknownKey "unknown-key" exit 4
        cause "The key belongs to no device of this hub."
        cure "Join first: the operator makes a ticket with `towline invite NAME`.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Code {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        CODES.iter().copied().find(|code| code.as_str() == text).ok_or(())
    }
}
