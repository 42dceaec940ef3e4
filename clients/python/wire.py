"""Hello, frames and close, byte for byte as docs/wire.md draws them. No sockets, no state."""

from dataclasses import dataclass, field

VERSION = 1
HELLO_MAX_BYTES = 65_536
FRAME_MAX_BYTES = 16_448
# A frame's type, stream, `open`, offset and distance at their longest.
FRAME_HEAD_MAX_BYTES = 1 + 8 + 1 + 8 + 8
CLOSE_TEXT_MAX_BYTES = 256

URGENT, NORMAL, BULK = 0, 1, 2
LANES = 8
# The lowest id of an opened stream, as the client counts its own; the server's are odd.
FIRST_CLIENT_STREAM = 8

# The close codes that this client says itself.
DONE, PROTOCOL, BAD_FRAME, FRAME_TOO_LARGE, UNKNOWN_FRAME, FLOW_CONTROL = 0, 16, 17, 18, 19, 20
TOO_MANY_STREAMS, HELLO_EXPECTED = 21, 34
BLAMES = ("peer", "us", "application", "environment")

# Fields in their order. `open` stands behind the stream in the odd types from 0x10 up. `data` runs to the frame's end.
FRAMES = {
    0x01: ("Ping", ("nonce",)),
    0x02: ("Pong", ("nonce",)),
    0x03: ("Confirm", ("count",)),
    0x04: ("Close", ("close",)),
    0x05: ("SessionCredit", ("limit",)),
    0x06: ("StreamsCredit", ("count",)),
    0x08: ("StreamCredit", ("stream", "limit")),
    0x10: ("Run", ("stream", "offset", "data")),
    0x12: ("Chunk", ("stream", "offset", "distance", "data")),
    0x14: ("Bytes", ("stream", "offset", "data")),
    0x16: ("End", ("stream", "offset")),
    0x18: ("Reset", ("stream", "offset", "code")),
    0x1A: ("Stop", ("stream", "code")),
    0x1C: ("Blocked", ("stream", "need")),
}
TYPES = {name: kind for kind, (name, _) in FRAMES.items()}
FIRST_SKIPPED_TYPE = 0x40
# What a Confirm does not count.
UNCOUNTED = ("Ping", "Pong", "Confirm")


class WireError(Exception):
    """The peer broke a rule; `code` is the close code to say it with."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


@dataclass
class Close:
    """Why a session ends. `retry` is "no", "yes", or milliseconds."""

    code: int
    text: str = ""
    blame: str = "application"
    retry: object = "no"


@dataclass
class Params:
    """What its sender takes; see docs/wire.md, Hello."""

    max_message: int = 262_144
    stream_credit: int = 262_144
    session_credit: int = 294_912
    max_streams: int = 64
    resume_time_ms: int = 0

    def numbers(self):
        return (self.max_message, self.stream_credit, self.session_credit, self.max_streams, self.resume_time_ms)


@dataclass
class Frame:
    """One frame: its name, its fields, and `open` (lane and flags) if it bears that byte."""

    name: str
    fields: dict = field(default_factory=dict)
    open: int | None = None


class Reader:
    """Takes pieces off the front of some bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if count > len(self.data) - self.at:
            raise WireError(BAD_FRAME, "cut short")
        self.at += count
        return bytes(self.data[self.at - count:self.at])

    def byte(self):
        return self.take(1)[0]

    def varint(self):
        first = self.byte()
        more = self.take((1 << (first >> 6)) - 1)
        return int.from_bytes(bytes([first & 0x3F]) + more, "big")

    def rest(self):
        return self.take(len(self.data) - self.at)

    def done(self):
        if self.at != len(self.data):
            raise WireError(BAD_FRAME, "left-over bytes")


def varint(number):
    for power, limit in enumerate((1 << 6, 1 << 14, 1 << 30, 1 << 62)):
        if number < limit:
            size = 1 << power
            return (number | power << 8 * size - 2).to_bytes(size, "big")
    raise ValueError("a number above 2^62")


def peek_varint(data):
    """The number that `data` begins with and its length, or None while it is incomplete."""
    if not data or len(data) < 1 << (data[0] >> 6):
        return None
    reader = Reader(data)
    return reader.varint(), reader.at


def message(data):
    """A whole message as it stands in a stream."""
    return varint(len(data)) + data


# Close

def write_close(close):
    text = close.text.encode()[:CLOSE_TEXT_MAX_BYTES].decode(errors="ignore").encode()
    retry = {"no": b"\0", "yes": b"\1"}.get(close.retry) or b"\2" + varint(close.retry)
    return varint(close.code) + bytes([BLAMES.index(close.blame)]) + retry + varint(len(text)) + text


def read_close(reader):
    code, blame, kind = reader.varint(), reader.byte(), reader.byte()
    if blame >= len(BLAMES) or kind > 2:
        raise WireError(BAD_FRAME, "a close that cannot be read")
    retry = ("no", "yes")[kind] if kind < 2 else reader.varint()
    text = reader.take(reader.varint()).decode(errors="replace")
    return Close(code, "".join(letter for letter in text if letter.isprintable()), BLAMES[blame], retry)


# Hello

def write_client_hello(params):
    """The hello for a new session. (Joining one needs keys exported from TLS, which Python's ssl does not do.)"""
    body = b"TWLC" + varint(VERSION) + varint(VERSION) + b"\0"
    body += b"".join(varint(number) for number in params.numbers()) + varint(0)
    return varint(len(body)) + body


def read_params(reader):
    return Params(*(reader.varint() for _ in range(5)))


def read_features(reader):
    return {reader.varint(): reader.take(reader.varint()) for _ in range(reader.varint())}


def read_state(reader):
    """What the other side has received: both next ids, and per stream its contiguous end and further ranges."""
    next_ids, streams = [reader.varint(), reader.varint()], []
    for _ in range(reader.varint()):
        stream, end, ranges = reader.varint(), reader.varint(), []
        last = end
        for _ in range(reader.varint()):
            start = last + reader.varint()
            last = start + reader.varint()
            ranges.append([start, last])
        streams.append({"id": stream, "contiguous_end": end, "ranges": ranges})
    return {"next_ids": next_ids, "streams": streams}


def read_client_hello(body):
    """A client's hello after its length, as a dict: a client needs this for the vectors only."""
    reader = Reader(body)
    if reader.take(4) != b"TWLC":
        raise WireError(HELLO_EXPECTED, "no client's hello")
    hello = {"versions": [reader.varint(), reader.varint()]}
    if reader.byte() == 1:
        hello["session"], hello["proof"] = reader.take(16), reader.take(32)
        hello["received"] = read_state(reader)
    hello["params"], hello["features"] = read_params(reader), read_features(reader)
    reader.done()
    return hello


def read_server_hello(body):
    """The server's hello after its length: its verdict as a word, and what stands behind it."""
    reader = Reader(body)
    if reader.take(4) != b"TWLS":
        raise WireError(HELLO_EXPECTED, "no server's hello")
    hello = {"version": reader.varint()}
    verdict = reader.byte()
    if verdict == 0:
        hello.update(verdict="new", session=reader.take(16), params=read_params(reader))
    elif verdict == 1:
        hello.update(verdict="joined", received=read_state(reader))
    elif verdict == 2:
        hello.update(verdict="gone")
    elif verdict == 3:
        hello.update(verdict="refused", close=read_close(reader))
    else:
        raise WireError(PROTOCOL, "an unknown verdict")
    hello["features"] = read_features(reader)
    reader.done()
    return hello


# Frames

def write_frame(frame):
    """A frame with its length."""
    kind = TYPES[frame.name]
    body = varint(kind if frame.open is None else kind | 1)
    for name in FRAMES[kind][1]:
        value = frame.fields[name]
        body += write_close(value) if name == "close" else value if name == "data" else varint(value)
        if name == "stream" and frame.open is not None:
            body += bytes([frame.open])
    return varint(len(body)) + body


def read_frame(body):
    """A frame after its length; None for one that is skipped."""
    reader = Reader(body)
    kind = reader.varint()
    has_open = 0x10 <= kind <= 0x1D and kind % 2 == 1
    known = FRAMES.get(kind - 1 if has_open else kind)
    if known is None:
        if kind >= FIRST_SKIPPED_TYPE and kind % 2 == 0:
            return None
        raise WireError(UNKNOWN_FRAME, f"frame type {kind:#x}")
    frame = Frame(known[0])
    for name in known[1]:
        if name == "close":
            frame.fields[name] = read_close(reader)
        elif name == "data":
            frame.fields[name] = reader.rest()
            if not frame.fields[name]:
                raise WireError(BAD_FRAME, "a frame without data")
        else:
            frame.fields[name] = reader.varint()
        if name == "stream" and has_open:
            frame.open = reader.byte()
            if frame.open >> 4:
                raise WireError(BAD_FRAME, "unknown flags of a stream")
    reader.done()
    return frame


def next_frame(buffer):
    """Takes the first whole frame's body off `buffer` (a bytearray), or None while it is incomplete."""
    head = peek_varint(buffer)
    if head is None:
        return None
    length, size = head
    if length > FRAME_MAX_BYTES:
        raise WireError(FRAME_TOO_LARGE, f"a frame of {length} bytes")
    if len(buffer) < size + length:
        return None
    body = bytes(buffer[size:size + length])
    del buffer[:size + length]
    return body
