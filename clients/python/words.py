"""Words, records and text forms of docs/model.md and docs/mail.cddl: shapes only, no keys and no conversation."""

import dataclasses
import os
import time
from dataclasses import dataclass

import cbor
from blake3 import blake3

# Words by their variant numbers, as in mail.cddl.
TO_HUB = ("Attach", "Join", "Submit", "Delivered", "GoRequest", "NotStarted", "Interrupted", "Report", "Ask", "Pong",
          "BodyLost", "Written", "SendBody")
TO_DEVICE = ("Welcome", "Joined", "Denied", "SendBody", "Accepted", "NotAccepted", "LiveResult", "Deliver", "Go",
             "Recall", "Reported", "Update", "Outcome", "Answer", "Ping", "Presence", "Progress", "Offer", "Late")
QUESTIONS = ("Status", "Who", "Ping", "Group", "Withdraw")
ANSWERS = ("Status", "Who", "Pinged", "Group", "No")
STATES = ("accepted", "delivered", "started", "decided")
OUTCOMES = ("handled", "failed", "refused", "expired", "withdrawn", "unclear")
HANDLED = 0
RECIPIENT = 0
# The code of a message that was handled.
OK = 0

BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True)
class Envelope:
    """What the sender signs; the fields in mail.cddl's order."""

    id: bytes
    sender_name: str
    sender: bytes
    to: str
    deadline_ms: int
    lane: int
    kept: bool
    name: str
    content_type: str
    size: int
    root: bytes
    time_ms: int
    seal: int = 0


@dataclass(frozen=True)
class Receipt:
    """The record of an outcome; the fields in mail.cddl's order."""

    envelope: bytes
    id: bytes
    outcome: int
    by: str
    code: int
    reason: str
    exit_code: int | None
    output: bytes
    time_ms: int
    late: bool
    signer: int
    key: bytes


@dataclass(frozen=True)
class Presence:
    name: str
    key_hash: bytes
    online: bool
    since_ms: int
    links: list
    rtt_us: int
    software: str
    waiting: int


def build(kind, fields):
    """Fields in their order; further ones, of a later release, are left out."""
    return kind(*fields[:len(dataclasses.fields(kind))])


def encoded(record):
    return cbor.encode([getattr(record, field.name) for field in dataclasses.fields(record)])


def new_id():
    """A UUID of version 7: the time, and chance."""
    number = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | 7 << 76
    number = number & ~(0b11 << 62) | 0b10 << 62
    return number.to_bytes(16, "big")


# Text forms

def base32(data):
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    return "".join(BASE32[int(bits[at:at + 5], 2)] for at in range(0, len(bits), 5))


def from_base32(text):
    if not set(text.lower()) <= set(BASE32):
        raise ValueError("a letter that base 32 does not have")
    bits = "".join(f"{BASE32.index(letter):05b}" for letter in text.lower())
    whole = len(bits) // 8 * 8
    if len(bits) - whole >= 5 or "1" in bits[whole:]:
        raise ValueError("bits left over")
    return bytes(int(bits[at:at + 8], 2) for at in range(0, whole, 8))


def id_text(message_id):
    return "m_" + base32(message_id)


def id_of(text):
    if not text.startswith("m_"):
        raise ValueError("a message id begins with m_")
    return from_base32(text[2:])


@dataclass(frozen=True)
class Ticket:
    hosts: list
    hub: bytes
    token: bytes
    name: str


def read_ticket(text):
    """Reads `towline1…`, alone or at the end of the line that `towline invite` prints."""
    word = text.split()[-1] if text.split() else ""
    if not word.startswith("towline1"):
        raise ValueError("a ticket begins with towline1")
    data = from_base32(word[len("towline1"):])
    content, check = data[:-4], data[-4:]
    if blake3(content)[:4] != check:
        raise ValueError("the ticket is cut short or has a wrong letter")
    fields = cbor.decode(content)
    return Ticket(fields[0], fields[1], fields[2], fields[3])
