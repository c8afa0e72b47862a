"""Properties of the decoder, the encoder and the schemas of common/serde over random schemas, their later versions and
random values, held against fastavro and against the rules of resolution in tests/support/avro_model.py.

A random test prints its SEED; with it, it does the same again. More pairs than usual: PAIRS=100000.
"""
import io
import json
import os
import random
import unittest
from collections import Counter

import fastavro
import fastavro.schema

import serde
from avro_model import Corrupt, Reader, Unreadable, decode, encode, render
from fleet import seeded
from random_schemas import Evolution
from serde import FastavroSchema, LikeFastavro, Unresolved, ask, is_same

PAIRS = int(os.environ.get("PAIRS", 5000))
VALUES = 3
AT_ONCE = 500


def text(schema):
    return json.dumps(schema)


def outcome(writer, reader, data, rules=Reader):
    """The value that these rules give, None if they refuse it."""
    try:
        return (decode(writer, reader, data, rules),)
    except (Unreadable, Corrupt):
        return None


class Pair:
    """A writer's schema and a later one, and values that were written."""

    def __init__(self, seed, clear=False):
        self.rnd = rnd = random.Random(seed)
        maker = Evolution(rnd, clear)
        self.writer = maker.schema()
        maker.give_defaults(self.writer, 0.2)
        self.reader = maker.evolved(self.writer)
        self.values = [maker.value(self.writer) for _ in range(VALUES)]
        self.written = text(render(self.writer, rnd=rnd))
        self.wanted = text(render(self.reader, rnd=rnd))

    def __str__(self):
        return f"\nwriter {self.written}\nreader {self.wanted}"


def pairs(rnd, count, **options):
    """Lists of pairs that are tried at once."""
    for start in range(0, count, AT_ONCE):
        yield [Pair(rnd.getrandbits(64), **options) for _ in range(min(AT_ONCE, count - start))]


class Resolution(unittest.TestCase):
    maxDiff = None

    def test_random_values_are_decoded_as_the_rules_of_resolution_and_as_fastavro_have_them(self):
        self.seen = Counter()
        for some in pairs(seeded(self, 1), PAIRS):
            cases = [(pair, value, encode(pair.writer, value, pair.rnd))
                     for pair in some for value in pair.values]
            answers = ask(("decode", pair.written, pair.wanted, data) for pair, _, data in cases)
            known = {}
            for (pair, value, data), answer in zip(cases, answers):
                expected = outcome(pair.writer, pair.reader, data)
                self.check_ours(pair, data, expected, answer)
                if pair not in known:
                    known = {pair: (FastavroSchema(pair.writer), FastavroSchema(pair.reader))}
                self.check_fastavro(pair, value, data, expected, *known[pair])
        # A comparison that is left out too often would prove nothing.
        total = sum(self.seen[kind] for kind in ("read", "refused"))
        self.assertGreater(self.seen["read"], total * 0.7, self.seen)
        self.assertGreater(self.seen["refused"], total * 0.05, self.seen)
        self.assertGreater(self.seen["fastavro agrees"], total * 0.95, self.seen)

    def check_ours(self, pair, data, expected, answer):
        problem = f"{pair}\nbytes {data.hex()}\nexpected {expected}\nanswer {answer}"
        if expected is None:
            self.seen["refused"] += 1
            # Bytes that are no text are both: fine as written, and corrupt as what is wanted.
            text_problem = answer[1] == "ERR_CORRUPT" and answer[2].endswith("a text is not UTF-8")
            self.assertEqual(["error", "ERR_CORRUPT" if text_problem else "ERR_SCHEMA"], answer[:2], problem)
        else:
            self.seen["read"] += 1
            self.assertEqual(["ok", encode(pair.reader, expected[0]).hex()], answer[:2], problem)

    def check_fastavro(self, pair, value, data, expected, writer, reader):
        """It gives what its rules give, which in nearly all cases are those that we follow."""
        problem = f"{pair}\nbytes {data.hex()}"
        self.assertEqual(encode(pair.writer, value), writer.encode(pair.writer, value), problem)
        rules = LikeFastavro if reader.resolves(writer) else Unresolved
        its = outcome(pair.writer, pair.reader, data, rules)
        try:
            given = reader.decode(data, writer)
        except TypeError:
            self.seen["fastavro fails"] += 1
            return
        except Exception as e:
            self.assertIsNone(its, f"{problem}\nfastavro refuses it: {e!r}")
        else:
            self.assertIsNotNone(its, f"{problem}\nfastavro reads {given}")
            self.assertTrue(is_same(pair.reader, its[0], given), f"{problem}\nfastavro reads {given}, not {its[0]}")
        if repr(its) == repr(expected):
            self.seen["fastavro agrees"] += 1

    def test_what_is_cut_off_or_changed_is_decoded_or_refused_and_never_more(self):
        rnd = seeded(self, 2)
        for some in pairs(rnd, PAIRS // 5):
            requests = []
            for pair in some:
                data = encode(pair.writer, pair.values[0], pair.rnd)
                for broken in damaged(data, pair.rnd):
                    requests.append(("decode", pair.written, pair.wanted, broken))
            for request, answer in zip(requests, ask(requests)):
                self.assertIn(answer[0], ("ok", "error"), request)
                if answer[0] == "error":
                    self.assertIn(answer[1], ("ERR_CORRUPT", "ERR_SCHEMA", "ERR_TOO_LARGE"), request)
                    self.assertTrue(answer[2], request)

    def test_what_is_cut_off_is_never_taken_for_a_whole_value(self):
        """With the writer's own schema: with another one, what is missing may be a field of no bytes."""
        rnd = seeded(self, 3)
        for some in pairs(rnd, PAIRS // 5):
            requests = []
            for pair in some:
                data = encode(pair.writer, pair.values[0], pair.rnd)
                for n in {0, len(data) - 1, pair.rnd.randint(0, len(data))} - {len(data), -1}:
                    requests.append(("decode", pair.written, pair.written, data[:n]))
            for request, answer in zip(requests, ask(requests)):
                self.assertEqual(["error", "ERR_CORRUPT"], answer[:2], request)
                self.assertRegex(answer[2], r"byte \d+: ", request)


def damaged(data, rnd):
    """Some of the bytes, the bytes with bits turned over, with others put in or taken out."""
    yield data[:rnd.randint(0, len(data))]
    for _ in range(3):
        broken = bytearray(data)
        for _ in range(rnd.choice([1, 1, 2, 8])):
            if broken:
                broken[rnd.randrange(len(broken))] ^= 1 << rnd.randrange(8)
        yield bytes(broken)
    at = rnd.randint(0, len(data))
    yield data[:at] + rnd.randbytes(rnd.randint(1, 9)) + data[at:]
    yield data[:at] + b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + data[at:]
    yield data[:at] + data[at + 1:]
    yield data + b"\0"


class Json(unittest.TestCase):
    def test_printed_values_read_again_are_the_same(self):
        """Where plain JSON says which branch of a union a value is."""
        for some in pairs(seeded(self, 4), PAIRS // 5, clear=True):
            cases = [(pair, encode(pair.writer, value)) for pair in some for value in pair.values]
            printed = ask(("decode", pair.written, pair.written, data) for pair, data in cases)
            for (pair, data), answer in zip(cases, printed):
                self.assertEqual(["ok", data.hex()], answer[:2], pair)
                json.loads(answer[2])
            again = ask(("json", pair.written, answer[2].encode()) for (pair, _), answer in zip(cases, printed))
            for (pair, data), answer, printed_one in zip(cases, again, printed):
                self.assertEqual(["ok", data.hex()], answer, f"{pair}\nprinted {printed_one[2]}")

    def test_printed_values_are_the_plain_json_of_the_value(self):
        for some in pairs(seeded(self, 5), PAIRS // 10, clear=True):
            cases = [(pair, value) for pair in some for value in pair.values]
            answers = ask(("decode", pair.written, pair.written, encode(pair.writer, value)) for pair, value in cases)
            for (pair, value), answer in zip(cases, answers):
                self.assertTrue(is_same(pair.writer, value, json.loads(answer[2]), in_json=True),
                                f"{pair}\nvalue {value}\nprinted {answer[2]}")

    def test_values_in_avros_json_encoding_are_read(self):
        self.by_fastavro = 0
        for some in pairs(seeded(self, 6), PAIRS // 5):
            cases = [(pair, line, encode(pair.writer, value)) for pair in some for value in pair.values
                     if is_json(line := self.avro_json(pair.writer, value))]
            answers = ask(("json", pair.written, line.encode()) for pair, line, _ in cases)
            for (pair, line, data), answer in zip(cases, answers):
                self.assertEqual(["ok", data.hex()], answer, f"{pair}\nJSON {line}")
        self.assertGreater(self.by_fastavro, PAIRS // 5)

    def avro_json(self, t, value):
        """Is what fastavro writes, too, where it can: not with recursive types and some that are empty."""
        line = as_json(t, value)
        out = io.StringIO()
        try:
            fastavro.json_writer(out, FastavroSchema(t, defaults=False).parsed,
                                 [{"it": serde.plain(t, value, named=True)}])
        except Exception:
            pass
        else:
            self.by_fastavro += 1
            self.assertEqual(repr(json.loads(out.getvalue())["it"]), repr(line))
        return json.dumps(line, ensure_ascii=t.kind == "record" and len(t.fields) % 2 == 0)

    def test_damaged_json_is_read_or_refused(self):
        for some in pairs(seeded(self, 7), PAIRS // 10):
            requests = []
            for pair in some:
                line = json.dumps(as_json(pair.writer, pair.values[0])).encode()
                requests += [("json", pair.wanted, broken) for broken in damaged(line, pair.rnd)]
            for request, answer in zip(requests, ask(requests)):
                self.assertIn(answer[0], ("ok", "error"), request)
                if answer[0] == "error":
                    self.assertIn(answer[1], ("ERR_CORRUPT", "ERR_SCHEMA", "ERR_TOO_LARGE"), request)


def is_json(line):
    """Python writes NaN and infinities, which JSON does not have."""
    return "NaN" not in line and "Infinity" not in line


def as_json(t, value):
    """Avro's JSON encoding: bytes as a character each, values of unions with the name of their branch."""
    if t.kind == "union":
        branch = t.branches[value[0]]
        inner = as_json(branch, value[1])
        return inner if branch.kind == "null" else {branch.name or branch.kind: inner}
    if t.kind in ("bytes", "fixed"):
        return value.decode("latin-1")
    if t.kind == "array":
        return [as_json(t.items, item) for item in value]
    if t.kind == "map":
        return {name: as_json(t.items, item) for name, item in value.items()}
    if t.kind == "record":
        return {f.name: as_json(f.type, value[f.name]) for f in t.fields}
    return value


class Schemas(unittest.TestCase):
    def test_canonical_forms_and_fingerprints_are_those_of_fastavro(self):
        for some in pairs(seeded(self, 8), PAIRS):
            texts = [schema for pair in some for schema in (pair.written, pair.wanted)]
            for schema, answer in zip(texts, ask(("schema", schema.encode()) for schema in texts)):
                canonical = fastavro.schema.to_parsing_canonical_form(json.loads(schema))
                number = bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))[::-1].hex()
                self.assertEqual(["ok", number, canonical], answer, schema)

    def test_damaged_schemas_are_parsed_or_refused(self):
        for some in pairs(seeded(self, 9), PAIRS // 5):
            requests = [("schema", broken) for pair in some for broken in damaged(pair.written.encode(), pair.rnd)]
            for request, answer in zip(requests, ask(requests)):
                self.assertIn(answer[0], ("ok", "error"), request)
                if answer[0] == "error":
                    self.assertIn(answer[1], ("ERR_SCHEMA", "ERR_TOO_LARGE"), request)

    def test_a_canonical_form_is_its_own(self):
        for some in pairs(seeded(self, 10), PAIRS // 5):
            first = ask(("schema", pair.written.encode()) for pair in some)
            self.assertEqual(first, ask(("schema", answer[2].encode()) for answer in first))


if __name__ == "__main__":
    unittest.main()
