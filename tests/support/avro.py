"""As much of Avro as a producer of another language has: canonical forms, fingerprints, single-object encoding."""
import json
import struct
from functools import cache
from pathlib import Path

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
EMPTY = 0xC15D213AA4D7A795


def canonical(schema, namespace=""):
    """Parsing canonical form, as the specification says."""
    if isinstance(schema, str):
        return schema
    if isinstance(schema, list):
        return [canonical(branch, namespace) for branch in schema]
    namespace = schema.get("namespace", namespace)
    if schema["type"] == "record":
        return {"name": f"{namespace}.{schema['name']}", "type": "record", "fields": [
            {"name": f["name"], "type": canonical(f["type"], namespace)} for f in schema["fields"]]}
    if schema["type"] == "array":
        return {"type": "array", "items": canonical(schema["items"], namespace)}
    if schema["type"] == "map":
        return {"type": "map", "values": canonical(schema["values"], namespace)}
    return schema["type"]               # of a primitive type its name is all that stays


def fingerprint(text):
    """CRC-64-AVRO, bit by bit."""
    crc = EMPTY
    for byte in text.encode():
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (EMPTY if crc & 1 else 0)
    return crc


@cache
def header(name):
    """What stands before a record of schemas/NAME.avsc."""
    schema = json.loads((SCHEMAS / f"{name}.avsc").read_text(encoding="utf-8"))
    return b"\xc3\x01" + struct.pack("<Q", fingerprint(json.dumps(canonical(schema), separators=(",", ":"))))


def long(number):
    number = number << 1 ^ number >> 63
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return long(len(data)) + data


def event(event_id, name, user, timestamp, propositions=()):
    """An event without value and context, body only."""
    items = b"".join(map(text, propositions))
    return (text(event_id) + text(name) + text(user) + long(timestamp)
            + (long(len(propositions)) + items if propositions else b"") + long(0)
            + long(0) + long(0) + long(0))
