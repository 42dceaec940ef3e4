"""What hub and devices say inside a session: docs/model.md in the CBOR of docs/mail.cddl."""

import time
from dataclasses import dataclass

import cbor
import identity
import wire
import words
from blake3 import Blake3, blake3

INLINE_MAX_BYTES = 65_536
ENVELOPE_CONTEXT, RECEIPT_CONTEXT = b"towline envelope 1\0", b"towline receipt 1\0"
AGENT, CLIENT = 0, 1
# The code of Stop for a body that was not asked for.
NOT_WANTED = 1


class NotAllowed(Exception):
    """The hub said no, with a code of docs/model.md."""

    def __init__(self, code, text):
        super().__init__(f"code {code}: {text}")
        self.code = code


class Untrue(Exception):
    """What came does not prove what it says."""


@dataclass(frozen=True)
class Signed:
    """The signed bytes as they came, what they say, and the signature."""

    data: bytes
    says: object
    signature: bytes

    def pair(self):
        return [self.data, self.signature]


def sign_envelope(envelope, own):
    data = words.encoded(envelope)
    return Signed(data, envelope, own.sign(ENVELOPE_CONTEXT + data))


def sign_receipt(receipt, own):
    data = words.encoded(receipt)
    return Signed(data, receipt, own.sign(RECEIPT_CONTEXT + data))


def read_signed(kind, pair):
    data, signature = pair[:2]
    return Signed(data, words.build(kind, cbor.decode(data)), signature)


def envelope_is_good(signed):
    return identity.verify(signed.says.sender, ENVELOPE_CONTEXT + signed.data, signature=signed.signature)


def check_receipt(signed, envelope, recipient_hash, hub_hash):
    """Raises Untrue unless the receipt is about this envelope and signed by whoever may say such a thing."""
    receipt = signed.says
    if not identity.verify(receipt.key, RECEIPT_CONTEXT + signed.data, signed.signature):
        raise Untrue("the signature does not hold")
    if receipt.envelope != blake3(envelope.data) or receipt.id != envelope.says.id:
        raise Untrue("it is about another message")
    trusted = recipient_hash if receipt.signer == words.RECIPIENT else hub_hash
    if identity.key_hash(receipt.key) != trusted:
        raise Untrue("it is signed by somebody else")


class Mail:
    """The conversation with the hub over one session. Bodies that it asks for are given while others are heard."""

    def __init__(self, session, own, software):
        self.session, self.own, self.software = session, own, software
        self.outgoing = {}  # message id → open file of the body, until its acceptance
        self.asked = 0
        self.expected = {}  # message id → a Body that we asked for
        self.heard = []  # words that nobody waited for yet

    def say(self, name, *fields, lane=wire.NORMAL):
        self.session.send(lane, cbor.encode([words.TO_HUB.index(name), list(fields)]))

    def hear(self, timeout=None):
        """The next word that is not answered here: (name, fields). None after `timeout` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            if self.heard:
                return self.heard.pop(0)
            for lane in range(wire.LANES):
                while (data := self.session.streams[lane].next_message()) is not None:
                    self.take(data)
            self.take_streams()
            if self.heard:
                continue
            left = 1.0 if until is None else until - time.monotonic()
            if left <= 0:
                return None
            self.session.pump(min(left, 1.0))

    def wait_for(self, wanted, timeout=None):
        """The first word for which `wanted(name, fields)` holds; others wait for the next `hear`."""
        aside = []
        try:
            while (word := self.hear(timeout)) is not None:
                if wanted(*word):
                    return word
                aside.append(word)
            raise TimeoutError("the hub did not answer")
        finally:
            self.heard = aside + self.heard

    def take(self, data):
        try:
            number, fields = cbor.decode(data)[:2]
            name = words.TO_DEVICE[number]
        except (cbor.Malformed, IndexError, TypeError, ValueError) as error:
            raise wire.WireError(wire.PROTOCOL, "not a word of mail") from error
        if name == "Ping":
            self.say("Pong", fields[0])
        elif name == "SendBody":
            self.give_body(*fields[:2])
        else:
            self.heard.append((name, fields))

    def ask(self, question, *fields):
        """Asks and waits for the answer's fields."""
        self.asked += 1
        number = self.asked
        self.say("Ask", number, [words.QUESTIONS.index(question), list(fields)])
        _, answer = self.wait_for(lambda name, fields: name == "Answer" and fields[0] == number)
        kind, values = answer[1]
        if words.ANSWERS[kind] == "No":
            raise NotAllowed(*values[:2])
        return values

    # Entering

    def join(self, token):
        """Spends a ticket; the name this device bears from now on."""
        self.say("Join", token, self.software)
        return self.admitted("Joined")[0]

    def attach(self, role):
        self.say("Attach", role, self.software)
        return self.admitted("Welcome")

    def admitted(self, answer):
        name, fields = self.wait_for(lambda name, _: name in (answer, "Denied"))
        if name == "Denied":
            raise NotAllowed(*fields[:2])
        return fields

    # Sending

    def submit(self, envelope, body):
        """Hands a signed envelope and its body (an open file) to the hub; the Accepted fields."""
        says = envelope.says
        if says.size <= INLINE_MAX_BYTES:
            self.say("Submit", envelope.pair(), body.read(), lane=says.lane)
        else:
            self.outgoing[says.id] = body
            self.say("Submit", envelope.pair(), lane=says.lane)
        answer = self.wait_for(lambda name, fields: name in ("Accepted", "NotAccepted") and fields[0] == says.id)
        self.outgoing.pop(says.id, None)
        name, fields = answer
        if name == "NotAccepted":
            raise NotAllowed(*fields[1:3])
        return fields

    def give_body(self, message_id, offset):
        body = self.outgoing.get(message_id)
        if body is None:
            return self.say("BodyLost", message_id)
        stream = self.session.open(wire.BULK)
        self.session.send_on(stream, cbor.encode([message_id, offset]))
        body.seek(offset)
        while (piece := body.read(wire.FRAME_MAX_BYTES)) and not stream.ended:
            self.session.write(stream, piece)
        self.session.end(stream)

    # Receiving

    def fetch(self, message_id, size, lane, file):
        """Asks for a body, which is written to `file` while other words are heard; then `BodyArrived` is heard."""
        self.expected[message_id] = Body(size, lane, file)
        self.say("SendBody", message_id, 0, lane=lane)

    def give_up(self, message_id):
        """A body that is not wanted any more."""
        body = self.expected.pop(message_id)
        if body.stream is not None:
            self.refuse(body.stream)

    def take_streams(self):
        """Looks at the streams that the hub opened: bodies that we asked for, and live messages."""
        for stream in list(self.session.opened):
            if stream.reset is not None and stream.lane != wire.BULK:
                self.leave(stream)
            elif stream.lane == wire.BULK:
                self.take_body(stream)
            elif (data := stream.next_message()) is not None:
                self.take(data)
                self.leave(stream)

    def take_body(self, stream):
        message_id = next((known for known, body in self.expected.items() if body.stream is stream), None)
        if message_id is None:
            header = stream.next_message()
            if header is None:
                return self.leave(stream) if stream.is_finished() else None
            message_id, offset = cbor.decode(header)[:2]
            asked = self.expected.get(message_id)
            if asked is None or asked.stream is not None or offset != asked.come:
                return self.refuse(stream)
            asked.stream = stream
        body = self.expected[message_id]
        body.write(stream.take())
        if not stream.is_finished():
            return
        self.leave(stream)
        if body.come < body.size:
            # A stream that ended early is asked for again from where it stopped.
            body.stream = None
            return self.say("SendBody", message_id, body.come, lane=body.lane)
        del self.expected[message_id]
        self.heard.append(("BodyArrived", [message_id, body.hash.digest()]))

    def refuse(self, stream):
        self.session.stop(stream, NOT_WANTED)
        self.leave(stream)

    def leave(self, stream):
        """Nothing more is looked for on it, and nothing was to be said."""
        self.session.opened.remove(stream)
        self.session.end(stream)


class Body:
    """A body on its way in."""

    def __init__(self, size, lane, file):
        self.size, self.lane, self.file = size, lane, file
        self.come, self.hash, self.stream = 0, Blake3(), None

    def write(self, piece):
        self.file.write(piece)
        self.hash.update(piece)
        self.come += len(piece)
