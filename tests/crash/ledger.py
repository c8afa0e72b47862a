"""The topic feature.deltas, read a second time: how often each shared key was contributed to, by the sum of all deltas.

What common/feature/cell.h, aggregate.h and ring.h say of the bytes, in Python, as far as a feature of kind `count` with
one window goes. Slots of other features are passed over by their length.
"""
from collections import Counter

from topics import decoded

FINGERPRINT_BYTES = 8
COUNT_ONE, ONE_NEWEST, ONE_NEWEST_COUNT_ONE = 0x40, 0x80, 0x20


class Bytes:
    """Bytes that are read from their beginning."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        taken = self.data[self.at:self.at + count]
        if len(taken) < count:
            raise ValueError(f"{count} bytes wanted at {self.at} of {len(self.data)}")
        self.at += count
        return taken

    def u8(self):
        return self.take(1)[0]

    def varint(self):
        value, shift = 0, 0
        while (byte := self.u8()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def sized(self):
        return self.take(self.varint())

    def is_at_end(self):
        return self.at == len(self.data)


def key_of(data):
    """(scope, parts) of a shared key."""
    scope, _, rest = data.partition(b"\0")
    parts, rest = [], Bytes(rest)
    while not rest.is_at_end():
        parts.append(rest.sized().decode())
    return scope.decode(), tuple(parts)


def count_of(slot):
    """The contributions in all buckets of the one window of a count."""
    slot.varint()                               # its time, as it differs from the cell's
    head = slot.u8()
    if head & ONE_NEWEST:
        return 1 if head & ONE_NEWEST_COUNT_ONE else slot.varint()
    return sum(1 if slot.u8() & COUNT_ONE else slot.varint() for _ in range(head))


def slots_of(value):
    """(fingerprint, bytes) of each slot of a delta that has seen something."""
    delta = decoded("feature_delta", value)
    cell = Bytes(delta["cell"])
    cell.varint()                               # the time of its newest contribution
    for at in range(0, len(delta["fingerprints"]), FINGERPRINT_BYTES):
        slot = cell.sized()
        if slot:
            yield delta["fingerprints"][at:at + FINGERPRINT_BYTES].hex(), Bytes(slot)
    if not cell.is_at_end():
        raise ValueError(f"{len(cell.data) - cell.at} bytes behind the slots of a cell")


def totals(messages, names):
    """{(scope, key, name): count}: the sums of all deltas. messages: (key, value) of the topic; names: {fingerprint:
    name of the value} of the counts that are wanted."""
    sums = Counter()
    for key, value in messages:
        scope, parts = key_of(key)
        for fingerprint, slot in slots_of(value):
            if fingerprint in names:
                sums[scope, parts, names[fingerprint]] += count_of(slot)
    return sums
