"""The limits of the decoder (common/serde/plan.h and schema.h), each with a value just below it and one just above; and
the cases in which the library has a rule of its own, by hand.

The expected numbers come from the headers' words: items in all arrays and maps together, memory behind the structure,
bytes of the encoding, and how deep arrays, maps and records are inside each other.
"""
import json
import re
import unittest

import serde
from avro_model import long_bytes as number
from serde import ask

HEADERS = "\n".join((serde.ROOT / "common/serde" / name).read_text(encoding="utf-8") for name in ("plan.h", "schema.h"))


def limit(name):
    """A constant of the headers, which are sums of products of numbers."""
    product = re.search(rf"\b{name} = ([\d* ]+),", HEADERS)[1]
    result = 1
    for factor in product.split("*"):
        result *= int(factor)
    return result


MAX_BYTES, MAX_MEMORY, MAX_ITEMS, MAX_DEPTH = (limit("VALUE_MAX_" + n) for n in ("BYTES", "MEMORY", "ITEMS", "DEPTH"))
TREE = {"type": "record", "name": "Tree", "fields": [{"name": "trees", "type": {"type": "array", "items": "Tree"}}]}
CHAIN = {"type": "record", "name": "Chain", "fields": [{"name": "next", "type": ["null", "Chain"]}]}
NULLS = {"type": "array", "items": "null"}


def record(name, **fields):
    return {"type": "record", "name": name,
            "fields": [{"name": f, **(t if isinstance(t, dict) and "default" in t else {"type": t})}
                       for f, t in fields.items()]}


class Case(unittest.TestCase):
    maxDiff = 4000

    def ask(self, name, *parts):
        return ask([[name, *(part if isinstance(part, bytes) else json.dumps(part) for part in parts)]])[0]

    def accepted(self, data, writer, reader=None):
        self.assertEqual(["ok"], self.ask("accept", writer, reader or writer, data))

    def refused(self, code, message, data, writer, reader=None):
        answer = self.ask("accept", writer, reader or writer, data)
        self.assertEqual(["error", code], answer[:2])
        self.assertRegex(answer[2], message)

    def too_large(self, message, data, writer, reader=None):
        self.refused("ERR_TOO_LARGE", message, data, writer, reader)

    def decoded(self, expected, data, writer, reader):
        """The value's encoding with the reader's schema."""
        self.assertEqual(["ok", expected.hex()], self.ask("decode", writer, reader, data)[:2])


class Limits(Case):
    def test_values_are_nested_as_deep_as_the_limit_and_no_deeper(self):
        """A record and its array are two levels each time; so an even limit ends with an array that is empty."""
        for levels, check in ((MAX_DEPTH, self.accepted), (MAX_DEPTH + 2, self.too_deep)):
            check(b"\2" * (levels // 2 - 1) + b"\0" * (levels // 2), TREE)

    def test_records_are_nested_as_deep_as_the_limit_and_no_deeper(self):
        for levels, check in ((MAX_DEPTH, self.accepted), (MAX_DEPTH + 1, self.too_deep)):
            check(b"\2" * (levels - 1) + b"\0", CHAIN)

    def test_maps_are_nested_as_deep_as_the_limit_and_no_deeper(self):
        maps = {"type": "record", "name": "Maps", "fields": [{"name": "m", "type": {"type": "map", "values": "Maps"}}]}
        for levels, check in ((MAX_DEPTH, self.accepted), (MAX_DEPTH + 2, self.too_deep)):
            check(b"\2\2k" * (levels // 2 - 1) + b"\0" * (levels // 2), maps)

    def test_what_is_skipped_is_nested_as_deep_as_the_limit_and_no_deeper(self):
        """The record that it is a field of is a level as well."""
        writer, reader = record("R", x=CHAIN), record("R")
        self.accepted(b"\2" * (MAX_DEPTH - 2) + b"\0", writer, reader)
        self.too_large("nested too deep", b"\2" * (MAX_DEPTH - 1) + b"\0", writer, reader)
        writer = record("R", x=TREE)
        self.accepted(b"\2" * (MAX_DEPTH // 2 - 2) + b"\0" * (MAX_DEPTH // 2 - 1), writer, reader)
        self.too_large("nested too deep", b"\2" * (MAX_DEPTH // 2 - 1) + b"\0" * (MAX_DEPTH // 2), writer, reader)

    def too_deep(self, data, schema):
        self.too_large("nested too deep", data, schema)

    def test_json_is_nested_as_deep_as_the_limit_and_no_deeper(self):
        def text(levels):
            return b'{"trees":[' * (levels // 2) + b"]}" * (levels // 2)

        self.assertEqual(["ok", (b"\2" * (MAX_DEPTH // 2 - 1) + b"\0" * (MAX_DEPTH // 2)).hex()],
                         self.ask("json", TREE, text(MAX_DEPTH)))
        self.assertEqual(["error", "ERR_TOO_LARGE"], self.ask("json", TREE, text(MAX_DEPTH + 2))[:2])

    def test_unknown_json_is_skipped_or_refused_however_deep_it_is(self):
        for deep in ("[" * 1_000_000, '{"a":' * 1_000_000, "[" * 1_000_000 + "]" * 1_000_000):
            answer = self.ask("json", record("R"), ('{"unknown":' + deep + "}").encode())
            self.assertEqual("error", answer[0])
            self.assertIn(answer[1], ("ERR_CORRUPT", "ERR_TOO_LARGE"))

    def test_items_without_bytes_are_counted(self):
        self.accepted(number(MAX_ITEMS) + b"\0", NULLS)
        self.too_large("too many items", number(MAX_ITEMS + 1) + b"\0", NULLS)
        self.too_large("too many items", number(2**63 - 1) + b"\0", NULLS)
        self.too_large("too many items", number(-2**63) + number(0) + b"\0", NULLS)
        self.too_large("too many items", number(MAX_ITEMS) + number(1) + b"\0", NULLS)

    def test_items_of_all_arrays_and_maps_are_counted_together(self):
        two = record("R", a=NULLS, b={"type": "map", "values": "null"}, c=NULLS)
        self.accepted(number(MAX_ITEMS - 2) + b"\0" + b"\2\2k\0" + b"\2\0", two)
        self.too_large("too many items", number(MAX_ITEMS - 1) + b"\0" + b"\2\2k\0" + b"\2\0", two)

    def test_skipped_items_without_bytes_are_counted(self):
        for data in (number(2**62) + b"\0", number(-2**62) + b"\0\0", (number(MAX_ITEMS)) * 2 + b"\0"):
            self.too_large("too many items", data, record("R", x=NULLS), record("R"))

    def test_items_of_few_bytes_and_many_parts_are_counted_by_their_parts(self):
        """A record and its 1,001 fields, of which one has a byte: 1,001 parts for nothing."""
        item = record("I", b="boolean", **{f"n{i}": "null" for i in range(1000)})
        writer = record("R", x={"type": "array", "items": item})
        most = MAX_ITEMS // 1001
        for reader in (writer, record("R")):
            self.accepted(number(most) + b"\1" * most + b"\0", writer, reader)
            self.too_large("too many items", number(most + 1) + b"\1" * (most + 1) + b"\0", writer, reader)

    def test_announced_items_are_compared_with_what_is_left(self):
        for kind in ("long", "string", "boolean", {"type": "fixed", "name": "F", "size": 1}, ["null"],
                     {"type": "array", "items": "null"}):
            self.refused("ERR_CORRUPT", "more items than bytes are left", number(2**40) + b"\0" * 100,
                         {"type": "array", "items": kind})
        self.refused("ERR_CORRUPT", "more items than bytes are left", number(60) + b"\0" * 100,
                     {"type": "map", "values": "long"})

    def test_memory_is_limited(self):
        """100 optional texts an item take a byte each, and a pointer and a length in memory."""
        wide = {"type": "array", "items": record("Wide", **{f"f{i}": ["null", "string"] for i in range(100)})}
        most = MAX_MEMORY // (100 * 16)
        self.accepted(number(most) + b"\0" * (100 * most + 1), wide)
        self.too_large("too much memory", number(most + 1) + b"\0" * (100 * most + 101), wide)

    def test_memory_of_records_behind_pointers_is_limited(self):
        wide = record("Wide", **{f"f{i}": ["null", "string"] for i in range(1000)})
        items = {"type": "array", "items": ["null", wide]}
        each = b"\2" + b"\0" * 1000
        most = MAX_MEMORY // (1000 * 16 + 8)
        self.accepted(number(most) + each * most + b"\0", items)
        self.too_large("too much memory", number(most + 1) + each * (most + 1) + b"\0", items)

    def test_defaults_of_many_items_are_limited(self):
        """Items without bytes may be large for the reader."""
        reader = {"type": "array", "items": record("Item", **{
            f"f{i}": {"type": "string", "default": "x"} for i in range(100)})}
        most = MAX_MEMORY // (100 * 16)
        writer = {"type": "array", "items": record("Item")}
        self.accepted(number(most) + b"\0", writer, reader)
        self.too_large("too much memory", number(most + 1) + b"\0", writer, reader)

    def test_many_small_blocks_take_no_more_memory_than_a_few_times_their_items(self):
        """If every block took its items along, a thousandth of these would be over the limit."""
        longs = {"type": "array", "items": "long"}
        count = 2_000_000
        self.accepted(b"\2\6" * count + b"\0", longs)
        self.accepted(b"\1\2\6" * count + b"\0", longs)
        entries = {"type": "map", "values": "long"}
        self.accepted(b"\2\2k\6" * (count // 2) + b"\0", entries)

    def test_bytes_are_limited(self):
        size = MAX_BYTES - len(number(MAX_BYTES))
        self.accepted(number(size) + b"x" * size, "bytes")
        self.too_large("bytes, at most", number(size + 1) + b"x" * (size + 1), "bytes")
        text = b'"' + b"x" * (MAX_BYTES - 2) + b'"'
        self.assertEqual("ok", self.ask("json", "string", text)[0])
        self.assertEqual(["error", "ERR_TOO_LARGE"], self.ask("json", "string", b" " + text)[:2])

    def test_blocks_that_say_their_size_are_read_and_skipped(self):
        longs = {"type": "array", "items": "long"}
        data = number(-3) + number(3) + b"\2\4\6" + b"\0"
        self.decoded(b"\6\2\4\6\0", data, longs, longs)
        self.decoded(b"\x08", data + b"\x08", record("R", x=longs, y="long"), record("R", y="long"))
        for size in (-1, 2**62, -2**63, 1000):
            self.refused("ERR_CORRUPT", "block's length", number(-3) + number(size) + b"\2\4\6\0",
                         record("R", x=longs), record("R"))
        self.refused("ERR_CORRUPT", "byte ", number(-2**63) + number(0) + b"\0", longs)

    def test_records_without_bytes_are_limited(self):
        """Ten of ten of ten ...: nothing to read, and for a decoder that follows them all, no end."""
        schema = record("R12")
        for i in reversed(range(12)):
            schema = record(f"R{i}", **{f"f{n}": schema if n == 0 else f"R{i + 1}" for n in range(10)})
        for reader in (schema, record("R0")):
            self.too_large("R", b"", schema, reader)

    def test_items_of_many_fields_without_bytes_are_limited(self):
        """Six bytes announce four million of them."""
        items = {"type": "array", "items": record("Item", **{f"f{i}": "null" for i in range(10_000)})}
        for reader in (record("R", x=items), record("R")):
            self.too_large("too many items", number(MAX_ITEMS) + b"\0", record("R", x=items), reader)


class SchemaLimits(Case):
    def answer(self, schema):
        return self.ask("schema", json.dumps(schema).encode())

    def parsed(self, schema):
        self.assertEqual("ok", self.answer(schema)[0])

    def refused_schema(self, code, schema):
        self.assertEqual(["error", code], self.answer(schema)[:2])

    def test_a_schema_is_nested_as_deep_as_the_limit_and_no_deeper(self):
        def nested(levels):
            schema = "long"
            for _ in range(levels - 1):
                schema = {"type": "array", "items": schema}
            return schema

        self.parsed(nested(limit("SCHEMA_MAX_DEPTH")))
        self.refused_schema("ERR_TOO_LARGE", nested(limit("SCHEMA_MAX_DEPTH") + 1))
        deep = b'{"type":"array","items":' * 40_000 + b'"long"' + b"}" * 40_000
        self.assertEqual("error", self.ask("schema", deep)[0])

    def test_a_schemas_text_is_limited(self):
        most = limit("SCHEMA_MAX_BYTES")
        self.assertEqual("ok", self.ask("schema", b'"long"'.ljust(most))[0])
        self.assertEqual(["error", "ERR_TOO_LARGE"], self.ask("schema", b'"long"'.ljust(most + 1))[:2])

    def test_a_schemas_types_are_limited(self):
        most = limit("SCHEMA_MAX_NODES")
        many = record("R", **{f"f{i}": {"type": "array", "items": "int"} for i in range(most)})
        self.refused_schema("ERR_TOO_LARGE", many)
        self.parsed(record("R", **{f"f{i}": {"type": "array", "items": "int"} for i in range(most // 2)}))

    def test_a_records_structure_is_limited(self):
        """Sixteen times sixteen times ... as large as the one inside."""
        schema = record("R0", **{f"f{i}": "long" for i in range(16)})
        for i in range(1, 3):
            schema = record(f"R{i}", **{f"f{n}": schema if n == 0 else f"R{i - 1}" for n in range(16)})
        self.parsed(schema)
        for i in range(3, 30):
            schema = record(f"R{i}", **{f"f{n}": schema if n == 0 else f"R{i - 1}" for n in range(16)})
        self.refused_schema("ERR_TOO_LARGE", schema)

    def test_what_is_no_schema_is_refused(self):
        for wrong in (
                {}, [], None, 1, True, "", "nothing", {"type": "record"}, {"type": "record", "name": "R"},
                {"type": "record", "name": "R", "fields": {}}, record("1R"), record("R-1"), record("a..R"), record(""),
                {"type": "record", "name": "R", "fields": [{"name": "f"}]},
                {"type": "record", "name": "R", "fields": [{"type": "int"}]},
                {"type": "record", "name": "R", "fields": [{"name": "f", "type": "int"}, {"name": "f", "type": "int"}]},
                {"type": "enum", "name": "E", "symbols": ["A", "A"]}, {"type": "enum", "name": "E", "symbols": ["A-"]},
                {"type": "enum", "name": "E", "symbols": ["A"], "default": "B"}, {"type": "enum", "name": "E"},
                {"type": "fixed", "name": "F"}, {"type": "fixed", "name": "F", "size": -1},
                {"type": "fixed", "name": "F", "size": "1"}, {"type": "array"}, {"type": "map"},
                ["null", "null"], ["null", ["int"]], ["string", {"type": "string"}],
                [{"type": "map", "values": "int"}, {"type": "map", "values": "long"}],
                [record("R"), record("R")], record("R", f="R"), record("R", f=record("Q", g="R"))):
            with self.subTest(wrong=wrong):
                self.refused_schema("ERR_SCHEMA", wrong)


class Rules(Case):
    """Where the specification leaves a choice, or other implementations differ."""

    def test_the_same_type_comes_before_one_that_a_number_can_be_promoted_to(self):
        union = ["double", "long"]
        self.decoded(b"\2" + number(2**53 + 1), b"\2" + number(2**53 + 1), union, union)
        self.decoded(b"\2" + number(2**53 + 1), number(2**53 + 1), "long", union)
        self.decoded(b"\2\2\xff", b"\2\2\xff", ["string", "bytes"], ["string", "bytes"])

    def test_without_the_same_type_the_first_that_matches_is_taken(self):
        self.decoded(b"\0\0\0\x40\x40", b"\6", "int", ["float", "double", "long"])
        self.decoded(b"\2\6", b"\6", "int", ["null", "long", "float"])

    def test_the_very_name_comes_before_the_same_name_elsewhere(self):
        union = [record("a.R", x="int"), record("b.R", x="int")]
        self.decoded(b"\2\6", b"\6", record("b.R", x="int"), union)
        self.decoded(b"\0\6", b"\6", record("c.R", x="int"), union)

    def test_what_does_not_resolve_harms_only_values_that_need_it(self):
        texts, numbers = ({"type": "array", "items": kind} for kind in ("string", "long"))
        self.decoded(b"\0", b"\0", texts, numbers)
        self.refused("ERR_SCHEMA", "string was written, and cannot be read as long", b"\2\2x\0", texts, numbers)
        self.decoded(b"\0", b"\0", ["null", "string"], ["null", "long"])
        self.refused("ERR_SCHEMA", "cannot be read", b"\2\2x", ["null", "string"], ["null", "long"])
        self.decoded(b"\6", b"\2\6", ["null", "int"], "long")
        self.refused("ERR_SCHEMA", "null was written", b"\0", ["null", "int"], "long")

    def test_a_long_becomes_the_nearest_float_in_one_step(self):
        """By way of a double, 2^55 + 2^31 + 1 would become 2^55."""
        self.decoded(bytes.fromhex("0100005b"), number(2**55 + 2**31 + 1), "long", "float")

    def test_a_default_that_contains_itself_is_refused(self):
        endless = {"type": "record", "name": "A", "fields": [{"name": "a", "type": ["A", "null"], "default": {}}]}
        self.refused("ERR_SCHEMA", "default", b"", record("A"), endless)

    def test_a_default_of_another_type_is_refused_only_when_it_is_needed(self):
        wrong = record("R", x={"type": "int", "default": "many"})
        self.decoded(b"\6", b"\6", record("R", x="int"), wrong)
        self.refused("ERR_SCHEMA", "default", b"", record("R"), wrong)

    def test_defaults_of_every_type(self):
        """Encoded by hand, as the specification says."""
        for schema, default, expected in (
                ("null", None, b""), ("boolean", True, b"\1"), ("int", -1, b"\1"), ("long", 2**40, number(2**40)),
                ("float", 1.5, b"\0\0\xc0\x3f"), ("double", 2, b"\0\0\0\0\0\0\0\x40"),
                ("string", "\u00e9\0", b"\6\xc3\xa9\0"),
                ("bytes", "\u00e9\0", b"\4\xe9\0"), ({"type": "fixed", "name": "F", "size": 2}, "\u00ff\0", b"\xff\0"),
                ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B", b"\2"),
                ({"type": "array", "items": "int"}, [1, 2], b"\4\2\4\0"),
                ({"type": "map", "values": "string"}, {"k": "v"}, b"\2\2k\2v\0"),
                (["null", "int"], None, b"\0"), (["int", "null"], 5, b"\0\x0a"), (["string", "null"], "", b"\0\0"),
                (record("Inner", a="int", b={"type": "string", "default": "d"}), {"a": 3}, b"\6\2d")):
            with self.subTest(schema=schema):
                self.decoded(expected, b"", record("R"), record("R", x={"type": schema, "default": default}))

    def test_fields_are_found_by_name_before_aliases(self):
        reader = {"type": "record", "name": "R", "fields": [
            {"name": "b", "type": "int", "aliases": ["a"]},
            {"name": "c", "type": "int", "default": 9, "aliases": ["a"]}]}
        self.decoded(b"\4\2", b"\2\4", record("R", a="int", b="int"), reader)


if __name__ == "__main__":
    unittest.main()
