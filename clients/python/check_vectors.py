#!/usr/bin/env python3
"""Reads docs/vectors with this folder's code, written from docs/wire.md, docs/model.md and docs/mail.cddl alone, and
writes what it read again: can a client be written from the pages? Exit 1 if not."""

import json
import pathlib
import sys

import cbor
import wire
import words

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
LANE_WORDS = {0: "urgent", 1: "normal", 2: "bulk"}


def vectors(name):
    return json.loads((DOCS / "vectors" / name).read_text())


def code_words():
    """The table of close codes in docs/wire.md."""
    table = (DOCS / "wire.md").read_text().split("## Close codes")[1].split("\n## ")[0]
    rows = ([cell.strip(" `") for cell in line.strip("|").split("|")] for line in table.splitlines())
    return {int(row[0]): row[1] for row in rows if row[0].isdigit()}


def close_means(close, codes):
    return {"code": codes.get(close.code, close.code), "blame": close.blame, "retry": close.retry, "text": close.text}


def frame_means(frame, codes):
    if frame.name == "Close":
        return close_means(frame.fields["close"], codes)
    means = dict(frame.fields)
    if frame.open is not None:
        means["lane"] = LANE_WORDS.get(frame.open & 7, frame.open & 7)
        if frame.open & 8:
            means["as_complete"] = True
    if frame.name in ("End", "Reset"):
        means["final_offset"] = means.pop("offset")
    if frame.name == "Chunk":
        means["start"] = means["offset"] - means.pop("distance")
    if frame.name == "Run":
        reader, messages = wire.Reader(means.pop("data")), []
        while reader.at < len(reader.data):
            messages.append(reader.take(reader.varint()).decode())
        means["messages"] = messages
    if "data" in means:
        means["bytes"] = means.pop("data").decode()
    return means


def check_frame(vector, codes):
    data = bytes.fromhex(vector["hex"])
    frame = wire.read_frame(data)
    if frame is None:
        return
    assert frame_means(frame, codes) == vector["means"], f"read {frame_means(frame, codes)}"
    assert wire.write_frame(frame) == wire.varint(len(data)) + data, "written otherwise"


def check_varint(vector, _):
    data = bytes.fromhex(vector["hex"])
    assert wire.peek_varint(data) == (int(vector["means"]), len(data))
    assert wire.varint(int(vector["means"])) == data, "written otherwise"


def check_close(vector, _):
    data = bytes.fromhex(vector["hex"])
    reader = wire.Reader(data)
    close = wire.read_close(reader)
    reader.done()
    means = vars(close) | ({} if close.retry in ("no", "yes") else {"retry": "after"})
    assert means == vector["means"], f"read {means}"
    assert wire.write_close(close) == data, "written otherwise"


def check_hello(vector, codes):
    data = bytes.fromhex(vector["hex"])
    length, size = wire.peek_varint(data)
    body, means = data[size:], vector["means"]
    assert length == len(body), "its length"
    hello = (wire.read_client_hello if body[:4] == b"TWLC" else wire.read_server_hello)(body)
    read = {key: hello[key] for key in ("versions", "received") if key in hello}
    if "params" in hello:
        read["params"] = vars(hello["params"])
    if hello["features"]:
        read["features"] = [{"type": kind, "value": value.decode()} for kind, value in hello["features"].items()]
    if "close" in hello:
        close = close_means(hello["close"], codes)
        read.update(code=close["code"], text=close["text"])
    assert read == means, f"read {read}"
    if body[:4] == b"TWLC" and "received" not in means:
        assert wire.write_client_hello(hello["params"]) == data, "written otherwise"


def check_word(name, value):
    """Raises unless `value` is what the vector of that name says."""
    records = {"envelope": words.Envelope, "receipt": words.Receipt}
    if name in records:
        record = words.build(records[name], value)
        assert words.encoded(record) == cbor.encode(value)
        return
    if name == "body-header":
        assert len(value[0]) == 16 and isinstance(value[1], int)
        return
    side, *said = name.split()
    number, fields = value
    assert {"to-hub": words.TO_HUB, "to-device": words.TO_DEVICE}[side][number] == said[0]
    if said[0] == "Ask":
        assert words.QUESTIONS[fields[1][0]] == said[1]
    elif said[0] == "Update":
        state, inside = fields[1]
        assert said[1] == (words.OUTCOMES[inside[0]] if words.STATES[state] == "decided" else words.STATES[state])


def check_mail(vector, _):
    data = bytes.fromhex(vector["hex"])
    value = cbor.decode(data)
    check_word(vector["name"], value)
    assert cbor.encode(value) == data, "written otherwise"


def main():
    codes, wrong = code_words(), 0
    kinds = (("varint", check_varint), ("frame", check_frame), ("close", check_close), ("hello", check_hello),
             ("mail", check_mail))
    for kind, check in kinds:
        count = 0
        for vector in vectors(f"{kind}.json"):
            count += 1
            try:
                check(vector, codes)
            except Exception as error:  # Whatever it is, the vector is named and the next one looked at.
                wrong += 1
                print(f"{kind}: {vector['name']}: {type(error).__name__}: {error}")
        print(f"{kind}: {count} read")
    print(f"{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
