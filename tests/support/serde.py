"""Asks the library's decoder, through serde_probe.c, and fastavro, through what it needs to be asked the same.

fastavro departs from Avro 1.11, or from what the library does where the specification leaves a choice, in these places.
Each was found by experiment; LikeFastavro has the rules that it follows, so that everything else is compared exactly.

 1. Of a reader's union it takes the first branch that matches, which are the specification's words. The library takes
    the same type first (avro_model.branch_for says why), as Java does.
 2. If both schemas are equal as a whole it does not resolve at all: the branch that was written stays. With 1. it gives
    for equal schemas what the library gives, and for schemas that differ anywhere something else.
 3. An array or map whose items do not match is refused even if it is empty. The library refuses the item: what does not
    resolve harms only the values that need it.
 4. It gives a long that is read as a float as a double; rounding that to a float rounds twice.
 5. Aliases are compared as they are written, without the namespace they are in: it gets them in full.
 6. Defaults are given as their JSON stands: bytes as text, records without the fields they left out, and an empty text
    is no default of an enum. It gets schemas whose defaults are values already.
 7. Values of logical types become Python's dates and decimals: it gets schemas without.
 8. A schema that is no record is parsed anew for every value: it gets everything inside a record of one field, which
    has the same encoding.
 9. A named type that the writer's schema names a second time and the reader's defines there, inside a union, is a
    TypeError: nothing is compared then. An error of names is none of its errors of resolution.
"""
import io
import math
import os
import subprocess
from pathlib import Path

import fastavro

from avro_model import (NAMED, NO_DEFAULT, PROMOTIONS, Reader, default_value, nearest_float, promoted, render, short)

ROOT = Path(__file__).resolve().parents[2]
PROBE = Path(os.environ.get("UNIT_DIR", ROOT / "build/tests")).resolve() / "serde_probe"


class Crash(AssertionError):
    pass


def ask(requests, limit_s=60):
    """The answers, each a list of its parts. A request is a sequence of texts; bytes are sent as hexadecimal digits."""
    lines = ["\t".join(part.hex() if isinstance(part, bytes) else part for part in request) for request in requests]
    run = subprocess.run([PROBE], input=("\n".join(lines) + "\n").encode(), capture_output=True, timeout=limit_s)
    answers = [line.split("\t") for line in run.stdout.decode("utf-8", "backslashreplace").split("\n")[:-1]]
    if run.returncode != 0 or len(answers) != len(lines):
        request = lines[min(len(answers), len(lines) - 1)]
        raise Crash(f"serde_probe ended with {run.returncode} after {len(answers)} of {len(lines)} answers, at\n"
                    f"{request[:4000]}\n{run.stderr.decode(errors='replace')[-4000:]}")
    return answers


# ---------------------------------------------------------------- fastavro

class LikeFastavro(Reader):
    """The rules of fastavro; see above."""

    @staticmethod
    def matches(w, r):
        if w.kind == "union" or r.kind == "union":
            return True
        if w.kind != r.kind:
            return r.kind in PROMOTIONS.get(w.kind, ())
        if w.kind in ("array", "map"):
            return LikeFastavro.matches(w.items, r.items)
        if w.kind == "fixed" and w.size != r.size:
            return False
        return w.kind not in NAMED or short(w.name) == short(r.name) or {w.name, short(w.name)} & set(r.aliases)

    @staticmethod
    def branch_for(w, r):
        return next((i for i, branch in enumerate(r.branches) if LikeFastavro.matches(w, branch)), None)

    @staticmethod
    def promoted(w, r, value):
        return nearest_float(float(value)) if (w, r) == ("long", "float") else promoted(w, r, value)


class Unresolved(Reader):
    """The rules of fastavro for equal schemas."""

    @staticmethod
    def branch_for(w, r):
        return next(i for i, branch in enumerate(r.branches) if branch.kind == w.kind and branch.name == w.name)


def plain(t, value, named=False):
    """A value as fastavro gives it; named: as it takes it, with the branch of every union."""
    if t.kind == "union":
        branch = t.branches[value[0]]
        inner = plain(branch, value[1], named)
        return (branch.name or branch.kind, inner) if named else inner
    if t.kind == "array":
        return [plain(t.items, item, named) for item in value]
    if t.kind == "map":
        return {name: plain(t.items, item, named) for name, item in value.items()}
    if t.kind == "record":
        return {f.name: plain(f.type, value[f.name], named) for f in t.fields}
    return value


def is_same(t, value, given, in_json=False):
    """Whether a value is what fastavro gave, or what plain JSON has: of its type as well, but for real numbers."""
    if t.kind == "union":
        return is_same(t.branches[value[0]], value[1], given, in_json)
    if t.kind == "array":
        return isinstance(given, list) and len(value) == len(given) and all(
            is_same(t.items, a, b, in_json) for a, b in zip(value, given))
    if t.kind == "map":
        return isinstance(given, dict) and value.keys() == given.keys() and all(
            is_same(t.items, value[name], given[name], in_json) for name in value)
    if t.kind == "record":
        return isinstance(given, dict) and value.keys() == given.keys() and all(
            is_same(f.type, value[f.name], given[f.name], in_json) for f in t.fields)
    if t.kind in ("float", "double"):
        given = nearest_float(float(given)) if t.kind == "float" else float(given)
        return (given == value and math.copysign(1, given) == math.copysign(1, value)
                or math.isnan(given) and math.isnan(value))
    if in_json and t.kind in ("bytes", "fixed"):
        value = value.decode("latin-1")
    return type(given) is type(value) and given == value


class FastavroSchema:
    """A type as fastavro has it."""

    def __init__(self, t, defaults=True):
        self.parsed = fastavro.parse_schema(
            {"type": "record", "name": "Everything", "fields": [{"name": "it", "type": render(t, logical=False)}]})
        if defaults:
            set_defaults(self.parsed["fields"][0]["type"], t)

    def encode(self, t, value):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self.parsed, {"it": plain(t, value, named=True)})
        return out.getvalue()

    def decode(self, data, writer):
        """What it makes of a writer's bytes as a reader. Raises one of its many errors."""
        source = io.BytesIO(data)
        value = fastavro.schemaless_reader(source, writer.parsed, self.parsed)["it"]
        if source.read(1):
            raise ValueError("there is more")
        return value

    def resolves(self, writer):
        return self.parsed != writer.parsed


def set_defaults(parsed, t):
    """Values for defaults, in a parsed schema."""
    if isinstance(parsed, list):
        for part, branch in zip(parsed, t.branches):
            set_defaults(part, branch)
    elif t.kind in ("array", "map") and isinstance(parsed, dict):
        set_defaults(parsed["items" if t.kind == "array" else "values"], t.items)
    elif t.kind == "record" and isinstance(parsed, dict):
        for part, f in zip(parsed["fields"], t.fields):
            if f.default is not NO_DEFAULT:
                part["default"] = plain(f.type, default_value(f.type, f.default))
            set_defaults(part["type"], f.type)
