#!/usr/bin/env python3
"""Reads docs/vectors as docs/wire.md says, and nothing else: can a client be written from the page? Exit 1 if not."""
import json, pathlib, sys

LANES = {0: "urgent", 1: "normal", 2: "bulk"}
CODES = {}


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        assert self.at + count <= len(self.data), "cut short"
        self.at += count
        return self.data[self.at - count:self.at]

    def byte(self):
        return self.take(1)[0]

    def varint(self):
        first = self.byte()
        more = self.take((1 << (first >> 6)) - 1)
        return int.from_bytes(bytes([first & 0x3F]) + more, "big")

    def rest(self):
        return self.take(len(self.data) - self.at)


def read_close(r):
    code = r.varint()
    blame = ["peer", "us", "application", "environment"][r.byte()]
    kind = r.byte()
    retry = {0: "no", 1: "yes"}.get(kind) if kind < 2 else r.varint()
    return {"code": CODES.get(code, code), "blame": blame, "retry": retry, "text": r.take(r.varint()).decode()}


def read_messages(r):
    messages = []
    while r.at < len(r.data):
        messages.append(r.take(r.varint()).decode())
    return messages


def read_frame(data):
    r = Reader(data)
    kind = r.varint()
    simple = {1: ["nonce"], 2: ["nonce"], 3: ["count"], 5: ["limit"], 6: ["count"], 8: ["stream", "limit"]}
    if kind in simple:
        means = {name: r.varint() for name in simple[kind]}
    elif kind == 4:
        means = read_close(r)
    elif 0x10 <= kind <= 0x1D:
        means = {"stream": r.varint()}
        if kind & 1:
            flags = r.byte()
            means["lane"] = LANES.get(flags & 7, flags & 7)
            if flags & 8:
                means["as_complete"] = True
        last = {0x16: "final_offset", 0x18: "final_offset", 0x1A: "code", 0x1C: "need"}
        means[last.get(kind & ~1, "offset")] = r.varint()
        if kind & ~1 == 0x10:
            means["messages"] = read_messages(r)
        elif kind & ~1 == 0x12:
            means["start"] = means["offset"] - r.varint()
            means["bytes"] = r.rest().decode()
        elif kind & ~1 == 0x14:
            means["bytes"] = r.rest().decode()
        elif kind & ~1 == 0x18:
            means["code"] = r.varint()
    elif kind >= 0x40 and kind % 2 == 0:
        return None
    else:
        raise ValueError("unknown frame")
    assert r.at == len(data), "left-over bytes"
    return means


def main():
    docs = pathlib.Path(__file__).resolve().parents[2] / "docs"
    for line in (docs / "wire.md").read_text().split("## Close codes")[1].split("## ")[0].splitlines():
        cells = [cell.strip(" `") for cell in line.strip("|").split("|")]
        if cells[0].isdigit():
            CODES[int(cells[0])] = cells[1]
    wrong = 0
    for vector in json.loads((docs / "vectors/frame.json").read_text()):
        read = read_frame(bytes.fromhex(vector["hex"]))
        if read is not None and read != vector["means"]:
            wrong += 1
            print(f"{vector['name']}: read {read}, meant {vector['means']}")
    print(f"frames: {wrong} wrong")
    return 1 if wrong else 0


sys.exit(main())
