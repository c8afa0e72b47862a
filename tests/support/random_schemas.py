"""Random Avro schemas, what becomes of them in time, and random values: see avro_model.py for how they are held.

Everything comes from the random.Random that is given, so a seed makes the same again.
"""
import copy
import math
import struct

from avro_model import (NAMED, NO_DEFAULT, PRIMITIVES, PROMOTIONS, Field, Type, namespace, nearest_float, short)

DEEPEST = 4
LOGICAL = {
    "int": [{"logicalType": "date"}, {"logicalType": "time-millis"}],
    "long": [{"logicalType": "timestamp-millis"}, {"logicalType": "timestamp-micros"},
             {"logicalType": "local-timestamp-millis"}, {"logicalType": "of-somebody-else", "unit": ["any", {}]}],
    "bytes": [{"logicalType": "decimal", "precision": 9, "scale": 2}],
    "string": [{"logicalType": "uuid"}, {"logicalType": "decimal"}],
    "fixed": [{"logicalType": "duration"}],
}
TEXTS = ["", "a", "user-17", "\u00e9t\u00e9", "\u6f22\u5b57", "\U0001f600", "a\0b", "\"\\/\b\f\n\r\t\x1f\x7f", "x" * 70]
LONGS = [0, 1, -1, 63, -64, 64, -65, 2**31 - 1, -2**31, 2**31, 2**53 + 1, 2**63 - 1, -2**63, 2**24 + 1,
         2**55 + 2**31 + 1]
DOUBLES = [0.0, -0.0, 0.1, 1.5, -3.0, 1e-310, 5e-324, 1e308, 1e22, 123456789.125]
NOT_FINITE = [math.inf, -math.inf, math.nan]


def inner_types(root):
    """Every type once, in the order in which a schema writes them."""
    seen, waiting, out = set(), [root], []
    while waiting:
        t = waiting.pop()
        if id(t) in seen:
            continue
        seen.add(id(t))
        out.append(t)
        waiting += reversed([f.type for f in t.fields or ()] + [*([t.items] if t.items else []), *(t.branches or ())])
    return out


def height(t, above=()):
    """How many types deep the smallest value is; infinite if it would be inside itself."""
    if t in above:
        return math.inf
    if t.kind == "union":
        return 1 + min(height(b, (*above, t)) for b in t.branches)
    return 1 + max((height(f.type, (*above, t)) for f in t.fields or ()), default=0)


class Maker:
    """Makes schemas. clear: what unions hold can be told apart in plain JSON, and numbers are finite."""

    def __init__(self, rnd, clear=False):
        self.rnd, self.clear = rnd, clear
        self.names = 0
        self.spaces = rnd.choice([[""], ["shop"], ["shop", "shop.web"]])
        self.known = []         # full names

    def fresh(self, prefix):
        self.names += 1
        return f"{prefix}{self.names}"

    def full_name(self, prefix):
        """A new one; now and then with the last part of one in another namespace."""
        space = self.rnd.choice(self.spaces)
        name = (space + "." if space else "") + self.fresh(prefix)
        namesake = space + "." + short(self.rnd.choice(self.known or [""]))
        if space and short(namesake).startswith(prefix) and namesake not in self.known and self.rnd.random() < 0.3:
            name = namesake
        self.known.append(name)
        return name

    # ------------------------------------------------------------ types

    def schema(self):
        self.open, self.done = [], []
        return self.record(0) if self.rnd.random() < 0.8 else self.type(0)

    def type(self, depth):
        rnd = self.rnd
        if depth >= DEEPEST or rnd.random() < 0.45:
            return self.primitive()
        kind = rnd.choice(["record", "record", "enum", "fixed", "array", "map", "union", "union", "again"])
        if kind == "again" and self.done:
            return rnd.choice(self.done)
        if kind in ("array", "map"):
            # Only behind these and null can a record be inside itself.
            items = rnd.choice(self.open) if self.open and rnd.random() < 0.2 else self.type(depth + 1)
            return Type(kind, items=items)
        return getattr(self, kind, self.primitive)(*([depth] if kind in ("record", "union") else []))

    def primitive(self):
        t = Type(self.rnd.choice(PRIMITIVES[1:] if self.rnd.random() < 0.95 else PRIMITIVES))
        return self.with_logical(t)

    def with_logical(self, t):
        if t.kind in LOGICAL and self.rnd.random() < 0.2:
            t.logical = self.rnd.choice(LOGICAL[t.kind])
        return t

    def enum(self):
        symbols = [self.fresh("S") for _ in range(self.rnd.randint(1, 5))]
        t = Type("enum", self.full_name("Enum"), symbols=symbols,
                 default_symbol=self.rnd.choice(symbols) if self.rnd.random() < 0.4 else None)
        self.done.append(t)
        return t

    def fixed(self):
        t = self.with_logical(Type("fixed", self.full_name("Fixed"), size=self.rnd.choice([1, 2, 8, 12, 16])))
        if t.logical:
            t.size = 12         # a duration
        self.done.append(t)
        return t

    def record(self, depth):
        t = Type("record", self.full_name("Record"), fields=[])
        self.open.append(t)
        for _ in range(self.rnd.choice([0, 1, 1, 2, 2, 3, 3, 4, 6])):
            t.fields.append(Field(self.fresh("f"), self.type(depth + 1)))
        self.open.remove(t)
        self.done.append(t)
        return t

    def union(self, depth):
        branches = [Type("null")] if self.rnd.random() < 0.7 else []
        for _ in range(self.rnd.choice([1, 1, 1, 2, 3])):
            candidate = self.type(depth + 1)
            if self.open and branches and self.rnd.random() < 0.2:
                candidate = self.rnd.choice(self.open)
            if self.fits(candidate, branches):
                branches.append(candidate)
        if not branches or branches[0] in self.open:
            branches.insert(0, Type("null"))
        if self.rnd.random() < 0.2 and branches[-1] not in self.open:
            self.rnd.shuffle(branches)
        return Type("union", branches=branches)

    def fits(self, candidate, branches):
        """Whether a union of these can have one more."""
        if candidate.kind == "union":
            return False
        if self.clear and json_class(candidate) in map(json_class, branches):
            return False
        return all(candidate.kind != b.kind or candidate.kind in NAMED and candidate.name != b.name for b in branches)

    # ------------------------------------------------------------ values

    def value(self, t, depth=0):
        rnd, kind = self.rnd, t.kind
        few = 0 if depth > 6 else rnd.choice([0, 1, 2, 3])
        if kind == "null":
            return None
        if kind == "boolean":
            return rnd.random() < 0.5
        if kind in ("int", "long"):
            bits = 31 if kind == "int" else 63
            number = rnd.choice([rnd.choice(LONGS), rnd.randint(-100, 100), rnd.getrandbits(bits)])
            return max(-2**bits, min(2**bits - 1, number))
        if kind in ("float", "double"):
            return self.real(kind)
        if kind == "string":
            return rnd.choice(TEXTS)
        if kind == "bytes":
            return rnd.choice([rnd.choice(TEXTS).encode(), rnd.randbytes(rnd.randint(0, 20))])
        if kind == "fixed":
            return rnd.randbytes(t.size)
        if kind == "enum":
            return rnd.choice(t.symbols)
        if kind == "array":
            return [self.value(t.items, depth + 1) for _ in range(few)]
        if kind == "map":
            return {f"{rnd.choice(TEXTS)}{i}": self.value(t.items, depth + 1) for i in range(few)}
        if kind == "union":
            index = rnd.randrange(len(t.branches))
            if depth > 6:
                index = min(range(len(t.branches)), key=lambda i: height(t.branches[i]))
            return index, self.value(t.branches[index], depth + 1)
        return {f.name: self.value(f.type, depth + 1) for f in t.fields}

    def real(self, kind):
        rnd = self.rnd
        number = rnd.choice([*DOUBLES, rnd.uniform(-1e6, 1e6), struct.unpack("<d", rnd.randbytes(8))[0]]
                            + ([] if self.clear else NOT_FINITE))
        if math.isnan(number):
            return 0.25 if self.clear else math.nan         # one NaN is enough: which bits it has is nobody's concern
        number = nearest_float(number) if kind == "float" else number
        if self.clear and number == 0:
            return 0.0          # JSON is printed without negative zeros
        return 0.25 if self.clear and not math.isfinite(number) else number

    def default(self, t, depth=0):
        """JSON of a random default; RecursionError if there is none that ends."""
        rnd, kind = self.rnd, t.kind
        if depth > 6:
            raise RecursionError
        few = 0 if depth > 2 else rnd.choice([0, 0, 1, 2])
        if kind == "union":
            return self.default(t.branches[0], depth + 1)
        if kind in ("bytes", "fixed"):
            return self.value(t).decode("latin-1")
        if kind in ("float", "double"):
            return next(n for n in iter(lambda: self.real(kind), None) if math.isfinite(n))
        if kind == "array":
            return [self.default(t.items, depth + 1) for _ in range(few)]
        if kind == "map":
            return {f"k{i}\u00e9": self.default(t.items, depth + 1) for i in range(few)}
        if kind == "record":
            written = {f.name: self.default(f.type, depth + 1) for f in t.fields}
            return {f.name: written[f.name] for f in t.fields if f.default is NO_DEFAULT or rnd.random() < 0.5}
        return self.value(t)

    def give_defaults(self, root, chance):
        """New defaults for all fields, or none: those inside others first, which may lean on them."""
        fields = [f for t in reversed(inner_types(root)) for f in t.fields or ()]
        for f in fields:
            f.default = NO_DEFAULT
        for f in fields:
            if self.rnd.random() < chance or getattr(f, "added", False):
                try:
                    f.default = self.default(f.type)
                except RecursionError:
                    pass


def json_class(t):
    """What a value of the type is in plain JSON."""
    return {"null": "null", "boolean": "boolean", "array": "list", "map": "object", "record": "object"}.get(
        t.kind, "number" if t.kind in ("int", "long", "float", "double") else "text")


# ---------------------------------------------------------------- evolution

class Evolution(Maker):
    """Turns a schema into a later one: in ways that resolution can bridge, and now and then in ways that it cannot."""

    def evolved(self, writer, most=4):
        self.root = copy.deepcopy(writer)
        self.open, self.names = [], 1000
        for _ in range(self.rnd.randint(0, most)):
            self.done = [t for t in inner_types(self.root) if t.kind in ("enum", "fixed")]
            getattr(self, self.rnd.choice(self.COMPATIBLE if self.rnd.random() < 0.85 else self.BREAKING))()
        self.give_defaults(self.root, 0.5)
        return self.root

    COMPATIBLE = ("promote", "add_field", "add_field", "remove_field", "reorder", "rename_field", "rename_type",
                  "move_type", "wrap", "wrap", "add_branch", "reorder_branches", "add_symbol", "shuffle_symbols",
                  "symbol_default", "unwrap")
    BREAKING = ("another_type", "resize", "forget_name", "forget_field", "remove_symbol", "remove_branch", "demote")

    def some(self, *kinds):
        found = [t for t in inner_types(self.root) if t.kind in kinds]
        return self.rnd.choice(found) if found else None

    def places(self, wanted=lambda t: True):
        """Where types stand outside of unions: (holder, attribute)."""
        out = [(self, "root")]
        for t in inner_types(self.root):
            out += [(t, "items")] if t.items else []
            out += [(f, "type") for f in t.fields or ()]
        return [(holder, name) for holder, name in out if wanted(getattr(holder, name))]

    def place(self, wanted=lambda t: True):
        found = self.places(wanted)
        return self.rnd.choice(found) if found else (None, None)

    def replace_kind(self, table):
        """Another primitive type instead of one, anywhere; objects of primitive types are not shared."""
        t = self.some(*table)
        if not t:
            return
        t.kind, t.logical = self.rnd.choice(table[t.kind]), None
        for union in inner_types(self.root):
            if union.kind == "union" and any(b is t for b in union.branches):
                union.branches = [b for b in union.branches if b is t or b.kind != t.kind]

    def promote(self):
        self.replace_kind(PROMOTIONS)

    def demote(self):
        self.replace_kind({"long": ["int"], "double": ["float", "long"], "float": ["int"], "string": ["long"]})

    def another_type(self):
        holder, name = self.place()
        setattr(holder, name, self.type(DEEPEST - 1))

    def add_field(self):
        t = self.some("record")
        if t:
            f = Field(self.fresh("f"), self.type(DEEPEST - 2))
            f.added = self.rnd.random() < 0.9
            t.fields.insert(self.rnd.randint(0, len(t.fields)), f)

    def remove_field(self):
        t = self.some("record")
        if t and t.fields:
            t.fields.remove(self.rnd.choice(t.fields))

    def reorder(self):
        t = self.some("record")
        if t:
            self.rnd.shuffle(t.fields)

    def rename_field(self):
        t = self.some("record")
        if t and t.fields:
            f = self.rnd.choice(t.fields)
            f.aliases, f.name = [*f.aliases, f.name, self.fresh("never")], self.fresh("f")

    def forget_field(self):
        t = self.some("record")
        if t and t.fields:
            f = self.rnd.choice(t.fields)
            f.aliases, f.name = [], self.fresh("f")

    def rename_type(self):
        t = self.some(*NAMED)
        if t:
            t.aliases, t.name = [*t.aliases, t.name], self.full_name("Renamed")

    def forget_name(self):
        t = self.some(*NAMED)
        if t:
            t.aliases, t.name = [], self.full_name("Forgotten")

    def move_type(self):
        t = self.some(*NAMED)
        moved = t and "moved." + short(t.name)
        if t and namespace(t.name) and moved not in [other.name for other in inner_types(self.root)]:
            t.name = moved

    def wrap(self):
        holder, name = self.place(lambda t: t.kind != "union")
        if holder:
            branches = [getattr(holder, name)]
            more = [Type("null"), self.type(DEEPEST - 1)][:self.rnd.randint(1, 2)]
            for candidate in more:
                if self.fits(candidate, branches):
                    branches.insert(self.rnd.randint(0, len(branches)), candidate)
            setattr(holder, name, Type("union", branches=branches))

    def unwrap(self):
        # A record inside itself would have no end without the union.
        holder, name = self.place(lambda t: t.kind == "union")
        if holder:
            union = getattr(holder, name)
            leaf = [b for b in union.branches if b.kind not in ("null", "record", "union")]
            if leaf:
                setattr(holder, name, self.rnd.choice(leaf))

    def add_branch(self):
        t = self.some("union")
        if t:
            candidate = self.type(DEEPEST - 1)
            if self.fits(candidate, t.branches):
                t.branches.append(candidate)

    def remove_branch(self):
        t = self.some("union")
        if t and len(t.branches) > 2:
            t.branches.remove(self.rnd.choice([b for b in t.branches if b.kind != "null"]))

    def reorder_branches(self):
        t = self.some("union")
        if t:
            self.rnd.shuffle(t.branches)

    def add_symbol(self):
        t = self.some("enum")
        if t:
            t.symbols.insert(self.rnd.randint(0, len(t.symbols)), self.fresh("S"))

    def shuffle_symbols(self):
        t = self.some("enum")
        if t:
            self.rnd.shuffle(t.symbols)

    def symbol_default(self):
        t = self.some("enum")
        if t:
            t.default_symbol = self.rnd.choice(t.symbols)
            self.remove_symbol(t)

    def remove_symbol(self, t=None):
        t = t or self.some("enum")
        if t and len(t.symbols) > 1:
            t.symbols.remove(self.rnd.choice([s for s in t.symbols if s != t.default_symbol]))

    def resize(self):
        t = self.some("fixed")
        if t and not t.logical:
            t.size += 1
