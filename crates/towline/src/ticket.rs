//! Tickets: the one line that makes a machine a device of a hub.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};
use towline_proto::ids::{DeviceName, KeyHash, base32, from_base32};

/// What every ticket begins with: the kind and the version of what follows.
const PREFIX: &str = "towline1";

/// Bytes of the check at a ticket's end: enough to catch any slip of hand; the token is what keeps strangers out.
const CHECK_BYTES: usize = 4;

/// The most hosts a ticket may name.
const HOSTS_MAX: usize = 16;

/// The longest ticket that is read, in characters.
const TICKET_MAX_CHARS: usize = 4096;

/// Where a hub is, which key it must show, and a token that is good once and for an hour.
///
/// It is a secret until it is used. As text it is `towline1` and Crockford base 32 of CBOR `{hosts, hub, token, name}`
/// with the first four bytes of that CBOR's BLAKE3.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The hub's addresses, each `host:port`, best first.
    pub hosts: Vec<String>,
    /// The only key that is accepted of the hub.
    pub hub: KeyHash,
    /// What the hub knows this ticket by.
    pub token: [u8; 16],
    /// The name that the device will bear.
    pub name: DeviceName,
}

/// Why text is not a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// It does not begin with `towline1`.
    #[error("this is not a ticket: a ticket begins with `towline1`")]
    NotATicket,
    /// It is of a later kind.
    #[error("this ticket is of a newer kind than this program knows; update the program")]
    Newer,
    /// A letter that no ticket has.
    #[error("this ticket has a letter that no ticket has; copy the whole line again")]
    Letters,
    /// Letters are missing, doubled or changed.
    #[error("this ticket is cut short or has a wrong letter; copy the whole line again")]
    Checksum,
    /// The check holds, but what it says is no ticket.
    #[error("this ticket's content is malformed; make a new one")]
    Content,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Content {
    #[n(0)]
    hosts: Vec<String>,
    #[n(1)]
    hub: KeyHash,
    #[cbor(n(2), with = "minicbor::bytes")]
    token: [u8; 16],
    #[n(3)]
    name: DeviceName,
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = Content { hosts: self.hosts.clone(), hub: self.hub, token: self.token, name: self.name.clone() };
        let mut bytes = minicbor::to_vec(&content).map_err(|_| fmt::Error)?;
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        write!(f, "{PREFIX}{}", base32(&bytes))
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let text = text.trim();
        let Some(body) = text.strip_prefix(PREFIX) else {
            let later = text.strip_prefix("towline").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            return Err(if later { TicketError::Newer } else { TicketError::NotATicket });
        };
        if body.len() > TICKET_MAX_CHARS {
            return Err(TicketError::Content);
        }
        if !body.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(TicketError::Letters);
        }
        let bytes = from_base32(body).ok_or(TicketError::Checksum)?;
        let (bytes, found) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or(TicketError::Checksum)?;
        if *found != check(bytes) {
            return Err(TicketError::Checksum);
        }
        let content: Content = minicbor::decode(bytes).map_err(|_| TicketError::Content)?;
        if content.hosts.is_empty() || content.hosts.len() > HOSTS_MAX {
            return Err(TicketError::Content);
        }
        Ok(Self { hosts: content.hosts, hub: content.hub, token: content.token, name: content.name })
    }
}

fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    *blake3::hash(bytes).as_bytes().first_chunk().expect("BLAKE3 has 32 bytes")
}

impl fmt::Debug for Ticket {
    /// Without the token, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("hosts", &self.hosts)
            .field("hub", &self.hub)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            hosts: vec!["hub.example:4433".into(), "192.0.2.7:4433".into()],
            hub: KeyHash([7; 32]),
            token: [9; 16],
            name: "kitchen-7".parse().unwrap(),
        }
    }

    #[test]
    fn a_ticket_survives_its_text_form_and_white_space_around_it() {
        let text = ticket().to_string();
        assert_eq!(text.parse(), Ok(ticket()));
        assert_eq!(format!(" {text}\n").parse(), Ok(ticket()));
    }

    #[test]
    fn every_single_wrong_letter_and_every_cut_is_noticed() {
        let text = ticket().to_string();
        for at in PREFIX.len()..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert!(wrong.parse::<Ticket>().is_err(), "letter {at}");
            assert!(text[..at].parse::<Ticket>().is_err(), "cut at {at}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!("hello".parse::<Ticket>(), Err(TicketError::NotATicket));
        assert_eq!("towline2abc".parse::<Ticket>(), Err(TicketError::Newer));
        assert_eq!("towline1ab!".parse::<Ticket>(), Err(TicketError::Letters));
        assert_eq!("towline1".parse::<Ticket>(), Err(TicketError::Checksum));
    }

    #[test]
    fn the_token_does_not_show_in_logs() {
        assert!(!format!("{:?}", ticket()).contains("9, 9"));
    }
}
