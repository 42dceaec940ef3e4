"""A device's own store and inbox: what makes `delivered` and `handled` true.

A message lies in `store/ID/` until the hub has synced its report: `envelope` and `body` as they came, `request` (the
number last asked with), and at the end `receipt`. Each is written beside its place, synced and renamed, so that a crash
leaves a file or none. Its body leaves the store by a rename into the inbox, and that rename is the start: before it
nothing was seen, after it the message is handled. So a store without body says that it was placed.
"""

import os
import pathlib
import shutil
import time

import cbor
import mail
import words
from blake3 import blake3

# Letters of a name from the network that may stand in a file's name.
SAFE = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
NAME_MAX = 100
# What is left until a deadline is counted on a clock that also runs while the machine sleeps.
BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

# How long a rename and its sync may take, in milliseconds; the hub calls a start without a word `unclear` after it.
PLACE_MS = 10_000
# A body that is not whole.
DRAFT = "body.new"


def write_synced(path, data):
    draft = path.with_name(path.name + ".new")
    with open(draft, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_folder(path.parent)


def sync_folder(path):
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def safe_name(name):
    """One plain component, whatever the sender wrote."""
    return "".join(letter if letter in SAFE else "_" for letter in name)[:NAME_MAX].lstrip(".")


class Message:
    """One message in the store."""

    def __init__(self, folder, inbox):
        self.folder, self.inbox = folder, inbox
        self.envelope = mail.read_signed(words.Envelope, cbor.decode((folder / "envelope").read_bytes()))

    @classmethod
    def keep(cls, folder, inbox, envelope, file, root):
        """Stores a message so that it survives a crash; its body was written to `file` and has the BLAKE3 `root`."""
        with file:
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        if (size, root) != (envelope.says.size, envelope.says.root):
            raise mail.Untrue("a body is not what its envelope says")
        (folder / DRAFT).rename(folder / "body")
        # The envelope comes last: with it the message is here, without it there is none.
        write_synced(folder / "envelope", cbor.encode(envelope.pair()))
        sync_folder(folder.parent)
        return cls(folder, inbox)

    @property
    def id(self):
        return self.envelope.says.id

    @property
    def lane(self):
        return self.envelope.says.lane

    def place(self):
        """Where it stands once handled; the id keeps two of the same name apart."""
        return self.inbox / f"{words.id_text(self.id)}-{safe_name(self.envelope.says.name)}"

    def receipt(self):
        path = self.folder / "receipt"
        return cbor.decode(path.read_bytes()) if path.exists() else None

    def is_placed(self):
        return not (self.folder / "body").exists()

    def last_request(self):
        path = self.folder / "request"
        return int(path.read_text()) if path.exists() else 0

    def next_request(self):
        number = self.last_request() + 1
        write_synced(self.folder / "request", str(number).encode())
        return number

    def start(self):
        """The start: the file appears in the inbox, whole."""
        (self.folder / "body").rename(self.place())
        sync_folder(self.inbox)
        sync_folder(self.folder)

    def sign_handled(self, own, late=False):
        """The receipt, kept until the hub has it."""
        receipt = words.Receipt(
            envelope=blake3(self.envelope.data), id=self.id, outcome=words.HANDLED, by="inbox", code=words.OK, reason="",
            exit_code=None, output=blake3(b""), time_ms=time.time_ns() // 1_000_000, late=late, signer=words.RECIPIENT,
            key=own.public)
        signed = mail.sign_receipt(receipt, own)
        write_synced(self.folder / "receipt", cbor.encode(signed.pair()))
        return signed.pair()

    def forget(self):
        # The envelope goes first: a folder without one is no message.
        (self.folder / "envelope").unlink()
        shutil.rmtree(self.folder)


class Agent:
    """Takes messages into an inbox, over one attached conversation with the hub."""

    def __init__(self, talk, home):
        self.talk = talk
        home = pathlib.Path(home)
        self.store, self.inbox = home / "store", home / "inbox"
        for folder in (self.store, self.inbox):
            folder.mkdir(mode=0o700, exist_ok=True)
        self.messages = {}  # by id
        self.arriving = {}  # by id: envelope and file of those whose body is on its way
        self.asked = {}  # by id: when, on the boot clock, its go was asked for
        for folder in sorted(self.store.iterdir()):
            if (folder / "envelope").exists():
                message = Message(folder, self.inbox)
                self.messages[message.id] = message
            else:
                shutil.rmtree(folder)

    def say_everything_again(self):
        """After an attach: the hub may have missed any of it."""
        for message in self.messages.values():
            if message.last_request() and not message.is_placed():
                self.talk.say("NotStarted", message.id, message.last_request(), lane=message.lane)
            self.go_on(message)

    def go_on(self, message):
        """Says what is next to be said of a message."""
        if message.receipt() is not None or message.is_placed():
            return self.report(message)
        self.talk.say("Delivered", message.id, lane=message.lane)
        # A word that comes twice is answered by the same request: a higher one would mean that a start was cut short.
        number = message.last_request() if message.id in self.asked else message.next_request()
        self.asked.setdefault(message.id, time.clock_gettime(BOOT_CLOCK))
        self.talk.say("GoRequest", message.id, number, "inbox", PLACE_MS, lane=message.lane)

    def report(self, message):
        signed = message.receipt() or message.sign_handled(self.talk.own)
        self.talk.say("Report", signed, b"", lane=message.lane)

    def handle(self, name, fields):
        """Acts on one word; the envelope of a message whose handling the hub now knows of, else None."""
        if name == "Deliver":
            self.deliver(mail.read_signed(words.Envelope, fields[0]), fields[1] if len(fields) > 1 else None)
            return None
        if name == "BodyArrived":
            self.keep(*self.arriving.pop(fields[0]), fields[1])
        if name == "Recall" and fields[0] in self.arriving:
            self.talk.give_up(fields[0])
            self.arriving.pop(fields[0])[1].close()
        message = self.messages.get(fields[0]) if name in ("Go", "Recall", "Reported", "Late") else None
        if message is None:
            return None
        if name == "Go":
            self.go(message, *fields[1:3])
        elif name == "Late":
            self.talk.say("Report", message.sign_handled(self.talk.own, late=True), b"", lane=message.lane)
        elif name == "Reported":
            del self.messages[message.id]
            message.forget()
            return message.envelope.says
        elif not message.is_placed():
            del self.messages[message.id]
            message.forget()
        return None

    def deliver(self, envelope, inline):
        says = envelope.says
        if not mail.envelope_is_good(envelope):
            raise mail.Untrue("the hub delivered an envelope whose signature does not hold")
        if says.id in self.messages:
            return self.go_on(self.messages[says.id])
        if says.id in self.arriving:
            return None
        folder = self.store / words.id_text(says.id)
        folder.mkdir(exist_ok=True)
        file = open(folder / DRAFT, "wb")
        if inline is None and says.size:
            self.arriving[says.id] = (envelope, file)
            return self.talk.fetch(says.id, says.size, says.lane, file)
        file.write(inline or b"")
        return self.keep(envelope, file, blake3(inline or b""))

    def keep(self, envelope, file, root):
        """A message is here, whole."""
        folder = self.store / words.id_text(envelope.says.id)
        message = self.messages[envelope.says.id] = Message.keep(folder, self.inbox, envelope, file, root)
        self.go_on(message)

    def go(self, message, request, left_ms):
        if request != message.last_request() or message.is_placed():
            return
        if time.clock_gettime(BOOT_CLOCK) >= self.asked[message.id] + left_ms / 1000:
            return self.talk.say("NotStarted", message.id, request, lane=message.lane)
        message.start()
        self.report(message)
