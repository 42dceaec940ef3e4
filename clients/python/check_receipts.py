#!/usr/bin/env python3
"""Flips every bit of a receipt, of its signature and of what it is held against: each must be refused. Exit 1 if not."""

import pathlib
import sys
import tempfile

import cbor
import identity
import mail
import words
from blake3 import blake3


def flipped(data):
    for place in range(len(data) * 8):
        yield bytes(byte ^ (1 << place % 8 if at == place // 8 else 0) for at, byte in enumerate(data))


def is_refused(pair, envelope, recipient, hub):
    try:
        mail.check_receipt(mail.read_signed(words.Receipt, pair), envelope, recipient, hub)
    except (mail.Untrue, cbor.Malformed, TypeError, ValueError):
        return True
    return False


def main():
    with tempfile.TemporaryDirectory() as folder:
        sender, device, hub = (identity.Identity(pathlib.Path(folder) / name) for name in ("sender", "device", "hub"))
    envelope = mail.sign_envelope(words.Envelope(
        id=words.new_id(), sender_name="shop", sender=sender.public, to="kitchen", deadline_ms=1, lane=1, kept=True,
        name="a", content_type="b", size=0, root=blake3(b""), time_ms=2), sender)
    receipt = words.Receipt(
        envelope=blake3(envelope.data), id=envelope.says.id, outcome=words.HANDLED, by="inbox", code=0, reason="",
        exit_code=None, output=blake3(b""), time_ms=3, late=False, signer=words.RECIPIENT, key=device.public)
    data, signature = mail.sign_receipt(receipt, device).pair()
    keys = [identity.key_hash(key.public) for key in (device, hub)]
    if is_refused([data, signature], envelope, *keys):
        print("the right one was refused")
        return 1
    others = [([other, signature], envelope, *keys) for other in flipped(data)]
    others += [([data, other], envelope, *keys) for other in flipped(signature)]
    others.append(([data, signature], envelope, keys[1], keys[0]))
    others.append((mail.sign_receipt(receipt, hub).pair(), envelope, *keys))
    again = mail.sign_envelope(words.Envelope(**{**vars(envelope.says), "time_ms": 3}), sender)
    others.append(([data, signature], again, *keys))
    believed = sum(not is_refused(*other) for other in others)
    print(f"{len(others) - believed} of {len(others)} refused")
    return 1 if believed else 0


if __name__ == "__main__":
    sys.exit(main())
