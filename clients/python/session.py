"""One session over one link, as docs/wire.md has it: streams, credit, confirmations, probes, close.

Nothing runs by itself: every waiting call pumps the link. A session whose link ends is over here (joining it again
needs keys exported from TLS, which Python's ssl module does not do); what must survive that is the mailbox's.
"""

import select
import time

import wire
from wire import Close, Frame, WireError

# A Ping goes when a link begins and this often, in seconds; a link on which nothing came for two periods is dead.
PROBE_SECONDS = 7.5
# Bytes read at once.
READ_BYTES = 65_536
# How long the last words may take, in seconds.
GOODBYE_SECONDS = 5
# What a sender leaves to each other lane of the session's credit.
LANE_CREDIT_BYTES = 4_096


class SessionOver(Exception):
    """The peer closed the session, with this Close."""

    def __init__(self, close):
        super().__init__(f"the hub ended the session: close code {close.code} {close.text}".rstrip())
        self.close = close


class LinkLost(Exception):
    """The link ended without a word."""


class Stream:
    """One sequence of bytes each way."""

    def __init__(self, session, number, lane, granted, limit):
        self.session, self.number, self.lane = session, number, lane
        self.is_permanent = number < wire.LANES
        # Receiving: `data` is what came in order and was not taken; its first byte stands at `taken`.
        self.data, self.taken, self.highest, self.granted = bytearray(), 0, 0, granted
        self.early = {}  # offset → bytes that came ahead of their turn
        self.final, self.reset = None, None
        # Sending.
        self.offset, self.limit, self.open_byte, self.ended = 0, limit, None, False

    def end_of_data(self):
        return self.taken + len(self.data)

    def is_finished(self):
        """Whether everything the peer had to say on it was taken."""
        return self.reset is not None or self.final == self.taken

    def next_message(self):
        """The next whole message, or None."""
        head = wire.peek_varint(self.data)
        if head is None or len(self.data) < sum(head):
            return None
        length, size = head
        return self.take(size + length)[size:]

    def take(self, count=None):
        """Takes bytes that came, all of them by default, and grants as many anew."""
        piece = bytes(self.data[:count])
        del self.data[:len(piece)]
        self.taken += len(piece)
        self.session.grant(self)
        self.session.forget(self)
        return piece

    def arrived(self, offset, data):
        end = offset + len(data)
        if end > self.granted or (self.final is not None and end > self.final):
            raise WireError(wire.FLOW_CONTROL, f"stream {self.number} sent past its credit or its end")
        self.highest = max(self.highest, end)
        if end > self.end_of_data():
            known = self.early.get(offset, b"")
            self.early[offset] = max(known, data, key=len)
        for start in sorted(self.early):
            have = self.end_of_data()
            if start > have:
                break
            self.data += self.early.pop(start)[have - start:]


class Session:
    """A session with a hub over `link`, a TLS socket on which nothing was said yet."""

    def __init__(self, link, params=None):
        self.link, self.ours = link, params or wire.Params()
        self.input, self.output = bytearray(), bytearray()
        self.opened = []  # streams that the hub opened and nobody looked at yet
        self.taken_in = self.told = 0  # frames that count for the peer's confirmation, and how many it knows of
        self.sent = self.confirmed = 0  # the same for what goes the other way
        # Of streams that are over: what they count for in both sums, and how many of them the hub had opened.
        self.closed_sent = self.closed_received = self.closed_theirs = 0
        self.peer_highest = wire.FIRST_CLIENT_STREAM - 1
        link.sendall(wire.write_client_hello(self.ours))
        hello = self.read_hello()
        if hello["verdict"] == "refused":
            raise SessionOver(hello["close"])
        if hello["verdict"] != "new":
            raise WireError(wire.PROTOCOL, "an answer to a question that was not asked")
        self.id, self.theirs = hello["session"], hello["params"]
        self.session_limit, self.session_granted = self.theirs.session_credit, self.ours.session_credit
        self.streams_limit, self.next_stream = self.theirs.max_streams, wire.FIRST_CLIENT_STREAM
        self.streams = {lane: self.new_stream(lane, lane) for lane in range(wire.LANES)}
        self.heard = time.monotonic()
        self.next_probe = self.heard

    def read_hello(self):
        while True:
            head = wire.peek_varint(self.input)
            if head is not None:
                length, size = head
                if length > wire.HELLO_MAX_BYTES:
                    raise WireError(wire.HELLO_EXPECTED, "a hello without end")
                if len(self.input) >= size + length:
                    body = bytes(self.input[size:size + length])
                    del self.input[:size + length]
                    return wire.read_server_hello(body)
            piece = self.link.recv(READ_BYTES)
            if not piece:
                raise LinkLost("the link ended during the hello")
            self.input += piece

    def new_stream(self, number, lane):
        return Stream(self, number, lane, self.ours.stream_credit, self.theirs.stream_credit)

    # Sending

    def put(self, name, stream=None, **fields):
        """Puts a frame behind what waits."""
        frame = Frame(name, fields)
        if stream is not None:
            fields["stream"] = stream.number
            if name != "StreamCredit":
                # `open` may always stand there, and must until one of the stream's frames is confirmed.
                frame.open = stream.open_byte
        self.output += wire.write_frame(frame)
        if name not in wire.UNCOUNTED:
            self.sent += 1

    def room(self, stream):
        """How many bytes may go on `stream` now."""
        lanes = (self.streams[lane] for lane in range(wire.LANES))
        others = sum(min(LANE_CREDIT_BYTES, lane.limit - lane.offset) for lane in lanes if lane is not stream)
        used = self.closed_sent + sum(known.offset for known in self.streams.values())
        return min(stream.limit - stream.offset, self.session_limit - used - others)

    def wait_for_room(self, stream, count):
        if self.room(stream) < count:
            self.put("Blocked", stream, need=stream.offset + count)
        while self.room(stream) < count and not stream.ended:
            self.pump()

    def send(self, lane, data):
        """Sends a message on a lane's permanent stream, once there is credit for all of it."""
        self.send_on(self.streams[lane], data)

    def send_on(self, stream, data):
        if len(data) > self.theirs.max_message:
            raise ValueError(f"the hub takes messages of at most {self.theirs.max_message} bytes")
        whole = wire.message(data)
        self.wait_for_room(stream, len(whole))
        most = wire.FRAME_MAX_BYTES - wire.FRAME_HEAD_MAX_BYTES
        if len(whole) <= most:
            self.put("Run", stream, offset=stream.offset, data=whole)
        else:
            for at in range(0, len(whole), most):
                piece = whole[at:at + most]
                self.put("Chunk", stream, offset=stream.offset + at, distance=at, data=piece)
        stream.offset += len(whole)
        self.flush()

    def open(self, lane):
        """Opens a stream; the hub sees it with its first frame."""
        while (self.next_stream - wire.FIRST_CLIENT_STREAM) // 2 >= self.streams_limit:
            self.pump()
        stream = self.new_stream(self.next_stream, lane)
        stream.open_byte = lane
        self.streams[stream.number] = stream
        self.next_stream += 2
        return stream

    def write(self, stream, data):
        """Sends raw bytes, as credit allows, unless the hub wants no more of them."""
        most = wire.FRAME_MAX_BYTES - wire.FRAME_HEAD_MAX_BYTES
        at = 0
        while at < len(data):
            self.wait_for_room(stream, 1)
            if stream.ended:
                return
            piece = data[at:at + min(most, self.room(stream))]
            self.put("Bytes", stream, offset=stream.offset, data=piece)
            stream.offset += len(piece)
            at += len(piece)
            self.flush()
            self.pump(0)

    def end(self, stream):
        """Says that nothing more comes on `stream`."""
        if not stream.ended:
            stream.ended = True
            self.put("End", stream, offset=stream.offset)
        self.forget(stream)

    def reset(self, stream, code):
        """Gives up what was not confirmed on `stream`."""
        stream.ended = True
        self.put("Reset", stream, offset=stream.offset, code=code)
        self.forget(stream)

    def stop(self, stream, code):
        """Asks the hub to send nothing more on `stream`."""
        self.put("Stop", stream, code=code)

    # Credit for the peer

    def grant(self, stream, need=0):
        """Renews a stream's credit when half of it is used, or as far as a waiting message needs."""
        window = self.ours.stream_credit
        most = stream.taken + max(window, self.ours.max_message + 8)
        wanted = min(max(stream.taken + window, need), most)
        if stream.final is None and (wanted - stream.granted >= window // 2 or stream.granted < need <= wanted):
            stream.granted = wanted
            self.put("StreamCredit", stream, limit=wanted)
        self.grant_session()

    def grant_session(self):
        """The sum is kept above all that streams in use were granted, with room for one that is new."""
        used = (known for known in self.streams.values() if known.highest)
        sum_granted = self.closed_received
        sum_granted += sum(known.granted if known.final is None else known.final for known in used)
        if sum_granted + self.ours.stream_credit > self.session_granted:
            self.session_granted = sum_granted + 2 * self.ours.stream_credit
            self.put("SessionCredit", limit=self.session_granted)

    # Receiving

    def pump(self, timeout=1.0):
        """Sends what waits, waits for bytes, and takes them in. Returns after `timeout` seconds at the latest."""
        now = time.monotonic()
        if now >= self.next_probe:
            self.put("Ping", nonce=int(now * 1000))
            self.next_probe = now + PROBE_SECONDS
        self.flush()
        if not self.link.pending():
            until = max(0.0, min(timeout, self.next_probe - now))
            if not select.select([self.link], [], [], until)[0]:
                if now - self.heard > 2 * PROBE_SECONDS:
                    raise LinkLost("the hub is silent")
                return
        try:
            piece = self.link.recv(READ_BYTES)
        except OSError as error:
            raise LinkLost(str(error)) from error
        if not piece:
            raise LinkLost("the link ended without a Close")
        self.heard = time.monotonic()
        self.input += piece
        try:
            while (body := wire.next_frame(self.input)) is not None:
                self.take_in(wire.read_frame(body))
        except WireError as error:
            self.put("Close", close=Close(error.code, str(error), "peer"))
            self.flush()
            raise
        if self.taken_in > self.told:
            self.told = self.taken_in
            self.put("Confirm", count=self.told)
        self.flush()

    def flush(self):
        if self.output:
            waiting, self.output = bytes(self.output), bytearray()
            try:
                self.link.sendall(waiting)
            except OSError as error:
                raise LinkLost(str(error)) from error

    def take_in(self, frame):
        if frame is None or frame.name not in wire.UNCOUNTED:
            self.taken_in += 1
        if frame is None:
            return
        fields = frame.fields
        if frame.name == "Ping":
            self.put("Pong", nonce=fields["nonce"])
        elif frame.name == "Confirm":
            if not self.confirmed <= fields["count"] <= self.sent:
                raise WireError(wire.PROTOCOL, "a confirmation of what was not sent")
            self.confirmed = fields["count"]
        elif frame.name == "Close":
            raise SessionOver(fields["close"])
        elif frame.name == "SessionCredit":
            self.session_limit = max(self.session_limit, fields["limit"])
        elif frame.name == "StreamsCredit":
            self.streams_limit = max(self.streams_limit, fields["count"])
        elif frame.name != "Pong":
            self.on_stream(frame)

    def on_stream(self, frame):
        fields = frame.fields
        stream = self.stream_of(fields["stream"], frame.open)
        if stream is None:
            return  # Closed before: a late frame changes nothing.
        if frame.name == "StreamCredit":
            stream.limit = max(stream.limit, fields["limit"])
        elif frame.name in ("Run", "Chunk", "Bytes"):
            stream.arrived(fields["offset"], fields["data"])
            received = self.closed_received + sum(known.highest for known in self.streams.values())
            if received > self.session_granted:
                raise WireError(wire.FLOW_CONTROL, "more than the session's credit")
            self.grant_session()
        elif frame.name == "Blocked":
            self.grant(stream, fields["need"])
        elif stream.is_permanent:
            raise WireError(wire.PROTOCOL, "the end of a lane's permanent stream")
        elif frame.name == "Stop":
            if not stream.ended:
                self.reset(stream, fields["code"])
        else:
            if fields["offset"] < stream.highest or stream.final not in (None, fields["offset"]):
                raise WireError(wire.FLOW_CONTROL, "a changed end")
            stream.final = stream.highest = fields["offset"]
            if frame.name == "Reset":
                stream.reset = fields["code"]
            elif stream.highest > stream.granted:
                raise WireError(wire.FLOW_CONTROL, "an end past the credit")
            self.forget(stream)

    def stream_of(self, number, open_byte):
        """The open stream of that number; opened now if the hub opens it; None if it is closed."""
        if number in self.streams:
            return self.streams[number]
        if number % 2 == 0:
            if number >= self.next_stream:
                raise WireError(wire.PROTOCOL, "a stream that was never opened")
            return None
        if number <= self.peer_highest:
            return None
        if open_byte is None:
            raise WireError(wire.PROTOCOL, "a new stream without `open`")
        if (number - wire.FIRST_CLIENT_STREAM) // 2 >= self.ours.max_streams + self.closed_theirs:
            raise WireError(wire.TOO_MANY_STREAMS, "a stream too many")
        for lower in range(max(self.peer_highest + 1, wire.FIRST_CLIENT_STREAM) | 1, number + 1, 2):
            self.streams[lower] = self.new_stream(lower, open_byte & 7)
            self.opened.append(self.streams[lower])
        self.peer_highest = number
        return self.streams[number]

    def forget(self, stream):
        """Lets go of a stream that is over both ways, and lets the hub open another in place of one of its own."""
        if not (stream.ended and stream.is_finished()) or self.streams.pop(stream.number, None) is None:
            return
        self.closed_sent += stream.offset
        self.closed_received += stream.highest
        if stream.number % 2 == 1:
            self.closed_theirs += 1
            self.put("StreamsCredit", count=self.ours.max_streams + self.closed_theirs)

    # The end

    def close(self):
        """Waits until the hub has everything, says `done`, and ends the link in order."""
        until = time.monotonic() + GOODBYE_SECONDS
        self.flush()
        while self.confirmed < self.sent and time.monotonic() < until:
            self.pump(0.1)
        self.put("Close", close=Close(wire.DONE))
        self.flush()
        self.link.settimeout(GOODBYE_SECONDS)
        try:
            self.link.unwrap()
        except OSError:
            pass  # The hub may have ended the link already: it has heard the Close.
        self.link.close()
