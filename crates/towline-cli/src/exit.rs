//! How the program ends: one enum, one table, the same numbers in help, in `docs/program.md` and in `--json`.

use towline_proto::mail::outcome::Outcome;

macro_rules! exits {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal $meaning:literal;)*) => {
        /// The program's exit codes, stable for all of version 1.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub(crate) enum Exit {
            $($(#[doc = $doc])+ $name = $number,)*
        }

        /// Every exit code, in the order of the table.
        pub(crate) const EXITS: &[Exit] = &[$(Exit::$name),*];

        impl Exit {
            /// What the number means, in a few words.
            pub(crate) const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

exits! {
    /// All that was asked is done.
    Done = 0 "done";
    /// Whatever has no number of its own.
    Error = 1 "error";
    /// The command line or a configuration file is wrong; nothing was tried.
    Usage = 2 "usage or config";
    /// What the command names is not there.
    NotFound = 3 "no such device, message or file";
    /// The hub's policy, or a key or ticket that is no good (any more).
    NotPermitted = 4 "not permitted";
    /// No session with the hub could be had.
    Unreachable = 5 "hub unreachable";
    /// The device is offline, or the wait ended first.
    Offline = 6 "offline, or no outcome yet when the wait ended";
    /// The deadline passed and nothing had started.
    Expired = 7 "expired";
    /// Bytes or a signature are not what they should be.
    Integrity = 8 "integrity";
    /// Too large, or no room.
    Quota = 9 "quota or size";
    /// Some of several messages were handled.
    Partly = 10 "partly done";
    /// The recipient tried and could not.
    Failed = 11 "failed at the recipient";
    /// It started and nobody knows how it ended.
    Unclear = 12 "unclear";
    /// The recipient would not take it, or it was taken back.
    Refused = 13 "refused by the recipient, or withdrawn";
    /// Ended by Ctrl-C; what was accepted stays accepted.
    Interrupted = 130 "interrupted (state kept)";
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }

    /// The exit code with this number, if there is one.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        EXITS.iter().copied().find(|exit| exit.number() == number)
    }

    /// How a command about several messages ends: their common code, or [`Exit::Partly`] if only some were handled,
    /// or the first bad one's if none was.
    pub(crate) fn of_all(exits: impl IntoIterator<Item = Self>) -> Self {
        let exits: Vec<Self> = exits.into_iter().collect();
        match exits.iter().find(|&&exit| exit != Self::Done) {
            None => Self::Done,
            Some(_) if exits.contains(&Self::Done) => Self::Partly,
            Some(&first) => first,
        }
    }
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Self {
        Self::from_number(outcome.exit_code()).unwrap_or(Self::Error)
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// A line for each, as at the end of the help.
pub(crate) fn list(exits: &[Exit]) -> String {
    let lines: Vec<String> = exits.iter().map(|exit| format!("  {:>3}  {}", exit.number(), exit.meaning())).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use towline_proto::mail::code::CODES;
    use towline_proto::mail::outcome::OUTCOMES;

    #[test]
    fn every_outcome_and_every_mail_code_has_an_exit_code_of_the_table() {
        for outcome in OUTCOMES {
            assert!(Exit::from_number(outcome.exit_code()).is_some(), "{outcome}");
        }
        for code in CODES {
            assert!(Exit::from_number(code.exit_code()).is_some(), "{code}");
        }
    }

    #[test]
    fn several_messages_end_as_one_did_or_partly() {
        use Exit::{Done, Expired, Failed, Partly};
        assert_eq!(Exit::of_all([]), Done);
        assert_eq!(Exit::of_all([Done, Done]), Done);
        assert_eq!(Exit::of_all([Done, Failed, Done]), Partly);
        assert_eq!(Exit::of_all([Expired, Failed]), Expired);
    }

    #[test]
    fn the_page_about_the_program_has_the_same_table() {
        let page = include_str!("../../../docs/program.md");
        for exit in EXITS {
            let row = format!("| {} | {} |", exit.number(), exit.meaning());
            assert!(page.contains(&row), "docs/program.md lacks: {row}");
        }
    }
}
