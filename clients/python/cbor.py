"""The part of CBOR (RFC 8949) that Towline's mail uses: written deterministically (§4.2.1), read strictly."""

# A list inside a list inside … : no word of Towline's is deeper, and a peer must not exhaust our stack.
DEPTH_MAX = 16


class Malformed(Exception):
    """Bytes that are no CBOR of the kind that Towline's words have."""


def encode(value):
    """Whole numbers, bytes, text, booleans, None and lists of these."""
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return _head(3, len(text)) + text
    if isinstance(value, (list, tuple)):
        return _head(4, len(value)) + b"".join(encode(item) for item in value)
    raise TypeError(f"no CBOR for {type(value).__name__}")


def _head(major, number):
    if number < 24:
        return bytes([major << 5 | number])
    for extra, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * size:
            return bytes([major << 5 | extra]) + number.to_bytes(size, "big")
    raise ValueError("a number of more than 64 bits")


def decode(data):
    """The one value in `data`; Malformed for anything else."""
    value, end = _read(data, 0, DEPTH_MAX)
    if end != len(data):
        raise Malformed("bytes after the value")
    return value


def _read(data, at, depth):
    if at >= len(data):
        raise Malformed("cut short")
    if depth == 0:
        raise Malformed("nested too deeply")
    major, extra = data[at] >> 5, data[at] & 31
    if major == 7:
        if extra not in (20, 21, 22):
            raise Malformed("a simple value or float that no word has")
        return {20: False, 21: True, 22: None}[extra], at + 1
    number, at = _number(data, at + 1, extra)
    if major == 0:
        return number, at
    if major == 1:
        return -1 - number, at
    if major in (2, 3):
        if number > len(data) - at:
            raise Malformed("cut short")
        piece = bytes(data[at:at + number])
        if major == 2:
            return piece, at + number
        try:
            return piece.decode(), at + number
        except UnicodeDecodeError as error:
            raise Malformed("text that is no UTF-8") from error
    if major == 4:
        items = []
        for _ in range(number):  # Each item takes at least one byte, so a false length ends with "cut short".
            item, at = _read(data, at, depth - 1)
            items.append(item)
        return items, at
    if major == 5:
        pairs = {}
        for _ in range(number):
            key, at = _read(data, at, depth - 1)
            if not isinstance(key, int) or key in pairs:
                raise Malformed("a map's keys are numbers, each once")
            pairs[key], at = _read(data, at, depth - 1)
        return pairs, at
    raise Malformed("a tag")


def _number(data, at, extra):
    if extra < 24:
        return extra, at
    if extra > 27:
        raise Malformed("an indefinite length")
    size = 1 << extra - 24
    if at + size > len(data):
        raise Malformed("cut short")
    return int.from_bytes(data[at:at + size], "big"), at + size
