#!/usr/bin/env python3
"""A Towline device in Python: join a hub, see who is there, send files and receive them with signed receipts."""

import argparse
import json
import mimetypes
import pathlib
import sys
import time

import cbor
import identity
import mail
import wire
import words
from blake3 import Blake3
from inbox import Agent
from session import LinkLost, Session, SessionOver

SOFTWARE = "towline-python 0.1"
READ_BYTES = 1 << 20
# Exit codes, as docs/program.md and docs/model.md have them.
DONE, ERROR, USAGE, NOT_PERMITTED, UNREACHABLE, NO_OUTCOME, INTEGRITY = 0, 1, 2, 4, 5, 6, 8
OUTCOME_EXITS = {"handled": 0, "failed": 11, "refused": 13, "expired": 7, "withdrawn": 13, "unclear": 12}

EXITS = {
    identity.WrongKey: INTEGRITY, mail.Untrue: INTEGRITY, mail.NotAllowed: NOT_PERMITTED, LinkLost: UNREACHABLE,
    SessionOver: UNREACHABLE, wire.WireError: ERROR, cbor.Malformed: ERROR, ValueError: USAGE,
}


def tell(**event):
    print(json.dumps(event), flush=True)


class Device:
    """What `join` noted, and the way to the hub."""

    def __init__(self, home):
        self.home = pathlib.Path(home)
        self.own = identity.Identity(self.home)
        self.notes = self.home / "device.json"

    def note(self, ticket, name):
        notes = {"name": name, "hub": words.base32(ticket.hub), "hosts": ticket.hosts}
        self.notes.write_text(json.dumps(notes, indent=1) + "\n")

    def joined(self):
        if not self.notes.exists():
            raise ValueError(f"{self.home} has not joined a hub: `towline_client.py --home {self.home} join TICKET`")
        notes = json.loads(self.notes.read_text())
        return notes["name"], words.from_base32(notes["hub"]), notes["hosts"]

    def connect(self, hub, hosts):
        """A session with the first host that answers."""
        failed = []
        for host in hosts:
            name, port = host.rsplit(":", 1)
            try:
                link = self.own.connect(name.strip("[]"), int(port), hub)
                return mail.Mail(Session(link), self.own, SOFTWARE)
            except OSError as error:
                failed.append(f"{host}: {error}")
        raise LinkLost("no address of the hub answers: " + "; ".join(failed))

    def attach(self, role):
        name, hub, hosts = self.joined()
        talk = self.connect(hub, hosts)
        welcome = talk.attach(role)
        return talk, welcome[0], hub


def join(device, arguments):
    """Spend a ticket; from then on this is a device of that hub."""
    ticket = words.read_ticket(sys.stdin.read() if arguments.ticket == "-" else arguments.ticket)
    talk = device.connect(ticket.hub, ticket.hosts)
    name = talk.join(ticket.token)
    device.note(ticket, name)
    talk.session.close()
    tell(event="joined", device=name, key=words.base32(identity.key_hash(device.own.public)))
    return DONE


def who(device, arguments):
    """Ask who is online."""
    talk, _, _ = device.attach(mail.CLIENT)
    for fields in talk.ask("Who", arguments.device, False)[0]:
        known = words.build(words.Presence, fields)
        tell(device=known.name, online=known.online, links=known.links, rtt_us=known.rtt_us, software=known.software,
             key=words.base32(known.key_hash))
    talk.session.close()
    return DONE


def ping(device, arguments):
    """Ask how far away a device is."""
    talk, _, _ = device.attach(mail.CLIENT)
    micros, path = talk.ask("Ping", arguments.device)[:2]
    tell(device=arguments.device, micros=micros, path=path)
    talk.session.close()
    return DONE


def send(device, arguments):
    """Send a file and wait for its outcome."""
    path = pathlib.Path(arguments.file)
    with open(path, "rb") as body:
        # Before the session begins: a link on which nobody speaks for 15 seconds is dead.
        size, root = measured(body)
        talk, name, hub = device.attach(mail.CLIENT)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        envelope = mail.sign_envelope(words.Envelope(
            id=words.new_id(), sender_name=name, sender=device.own.public, to=arguments.device,
            deadline_ms=int(arguments.deadline * 1000), lane=wire.BULK if size > mail.INLINE_MAX_BYTES else wire.NORMAL,
            kept=True, name=path.name, content_type=kind, size=size, root=root,
            time_ms=time.time_ns() // 1_000_000), device.own)
        accepted = talk.submit(envelope, body)
    recipient = words.build(words.Presence, accepted[2])
    message_id = words.id_text(envelope.says.id)
    tell(event="accepted", id=message_id, deadline_left_ms=accepted[1], to=recipient.name, online=recipient.online)
    exit_code = await_outcome(talk, envelope, recipient.key_hash, hub, arguments.wait)
    talk.session.close()
    return exit_code


def measured(body):
    """Size and BLAKE3 of a file, which is then at its beginning again."""
    size, digest = 0, Blake3()
    while piece := body.read(READ_BYTES):
        size += len(piece)
        digest.update(piece)
    body.seek(0)
    return size, digest.digest()


def await_outcome(talk, envelope, recipient_hash, hub, patience):
    """Watches the message until its outcome, whose receipt must hold."""
    wanted = envelope.says.id

    def is_outcome(name, fields):
        return name == "Outcome" and mail.read_signed(words.Receipt, fields[0]).says.id == wanted

    try:
        _, fields = talk.wait_for(is_outcome, patience)
    except TimeoutError:
        tell(event="no-outcome-yet", id=words.id_text(wanted))
        return NO_OUTCOME
    signed = mail.read_signed(words.Receipt, fields[0])
    return tell_receipt(signed, envelope, recipient_hash, hub)


def tell_receipt(signed, envelope, recipient_hash, hub):
    mail.check_receipt(signed, envelope, recipient_hash, hub)
    receipt = signed.says
    outcome = words.OUTCOMES[receipt.outcome]
    tell(event="outcome", id=words.id_text(receipt.id), outcome=outcome, by=receipt.by, code=receipt.code,
         reason=receipt.reason, signer="recipient" if receipt.signer == words.RECIPIENT else "hub", receipt="valid")
    return OUTCOME_EXITS[outcome]


def status(device, arguments):
    """Ask what became of a message, and check its receipt again."""
    talk, _, hub = device.attach(mail.CLIENT)
    fields = talk.ask("Status", words.id_of(arguments.id), False)[0]
    talk.session.close()
    envelope, state = mail.read_signed(words.Envelope, fields[0]), words.STATES[fields[1][0]]
    if not mail.envelope_is_good(envelope):
        raise mail.Untrue("the envelope's signature does not hold")
    if fields[4] is None:
        tell(event=state, id=arguments.id)
        return NO_OUTCOME
    recipient = words.build(words.Presence, fields[7])
    return tell_receipt(mail.read_signed(words.Receipt, fields[4]), envelope, recipient.key_hash, hub)


def receive(device, arguments):
    """Take messages into the inbox, and report them handled with a signed receipt."""
    talk, name, _ = device.attach(mail.AGENT)
    agent = Agent(talk, device.home)
    agent.say_everything_again()
    tell(event="connected", device=name)
    handled = 0
    while arguments.count is None or handled < arguments.count:
        word, fields = talk.hear()
        if word == "Denied":
            raise mail.NotAllowed(*fields[:2])
        if word == "Deliver" and not mail.read_signed(words.Envelope, fields[0]).says.kept:
            tell_live(fields)
            continue
        says = agent.handle(word, fields)
        if says is not None:
            handled += 1
            tell(event="handled", id=words.id_text(says.id), sender=says.sender_name, name=says.name, size=says.size)
    talk.session.close()
    return DONE


def tell_live(fields):
    envelope = mail.read_signed(words.Envelope, fields[0])
    if mail.envelope_is_good(envelope):
        says = envelope.says
        tell(event="live", sender=says.sender_name, name=says.name, size=says.size)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", default=pathlib.Path.home() / ".local/state/towline-python", help="key and inbox")
    commands = parser.add_subparsers(required=True)

    def command(run, *options, **keywords):
        added = commands.add_parser(run.__name__, help=run.__doc__, **keywords)
        added.set_defaults(run=run)
        for names, settings in options:
            added.add_argument(*names, **settings)

    command(join, (["ticket"], {"help": "what `towline invite NAME` printed, or - for standard input"}))
    command(who, (["device"], {"nargs": "?"}))
    command(ping, (["device"], {}))
    command(send, (["device"], {}), (["file"], {}),
            (["--deadline"], {"type": float, "default": 0, "help": "seconds in which it may start [the hub's]"}),
            (["--wait"], {"type": float, "default": None, "help": "seconds to wait for the outcome [for ever]"}))
    command(status, (["id"], {}))
    command(receive, (["--count"], {"type": int, "help": "end after so many messages"}))
    return parser.parse_args()


def main():
    chosen = arguments()
    try:
        return chosen.run(Device(chosen.home), chosen)
    except (*EXITS, OSError) as error:
        print(f"towline_client.py: {error}", file=sys.stderr)
        return next((code for kind, code in EXITS.items() if isinstance(error, kind)), ERROR)


if __name__ == "__main__":
    sys.exit(main())
