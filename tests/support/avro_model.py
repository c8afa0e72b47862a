"""Avro 1.11 once more, slowly: types as objects, the binary encoding, and schema resolution as it is specified.

What a reader makes of a writer's bytes is computed here by looking at both schemas for every value, one rule after the
other. Values are Python's: None, bool, int, float, bytes (also fixed), str (also the symbol of an enum), list, dict
(maps and records), and (index of the branch, value) for a union, so that it is known which branch was taken.
"""
import struct

PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
NAMED = ("record", "enum", "fixed")
NO_DEFAULT = object()

# What a writer's primitive type may be read as, besides itself.
PROMOTIONS = {"int": ("long", "float", "double"), "long": ("float", "double"), "float": ("double",),
              "string": ("bytes",), "bytes": ("string",)}


class Unreadable(Exception):
    """The bytes are a value of the writer's, and the reader's schema cannot have it."""


class Corrupt(Exception):
    """The bytes are no value of the writer's."""


class Type:
    """One schema. A named type that is used again is the same object; names are full names."""

    def __init__(self, kind, name=None, **parts):
        self.kind, self.name = kind, name
        self.aliases, self.logical = [], None
        self.fields, self.symbols, self.default_symbol, self.size = None, None, None, None
        self.items, self.branches = None, None
        self.__dict__.update(parts)


class Field:
    def __init__(self, name, of, default=NO_DEFAULT, aliases=()):
        self.name, self.type, self.default, self.aliases = name, of, default, list(aliases)


def namespace(name):
    return name.rpartition(".")[0]


def short(name):
    return name.rpartition(".")[2]


# ---------------------------------------------------------------- schemas as JSON

def render(t, enclosing="", defined=None, rnd=None, logical=True):
    """The schema as it is written; with rnd, in one of the ways in which it may be."""
    defined = set() if defined is None else defined

    def inner(part, space=enclosing):
        return render(part, space, defined, rnd, logical)

    attributes = dict(t.logical) if logical and t.logical else {}
    if t.kind in PRIMITIVES:
        return {"type": t.kind, **attributes} if attributes or rnd and rnd.random() < 0.1 else t.kind
    if t.kind == "union":
        return [inner(branch) for branch in t.branches]
    if t.kind == "array":
        return {"type": "array", "items": inner(t.items), **attributes}
    if t.kind == "map":
        return {"type": "map", "values": inner(t.items), **attributes}
    space = namespace(t.name)
    if t.name in defined:
        return short(t.name) if space == enclosing and (not rnd or rnd.random() < 0.7) else t.name
    defined.add(t.name)
    out = {"type": t.kind, **written_name(t, enclosing, rnd), **attributes}
    if t.aliases:
        out["aliases"] = [short(a) if rnd and namespace(a) == space and rnd.random() < 0.5 else a for a in t.aliases]
    if t.kind == "fixed":
        out["size"] = t.size
    elif t.kind == "enum":
        out["symbols"] = list(t.symbols)
        if t.default_symbol is not None:
            out["default"] = t.default_symbol
    else:
        out["fields"] = [render_field(f, inner(f.type, space), rnd) for f in t.fields]
    if rnd and rnd.random() < 0.2:
        out["doc"] = "\"quoted\", \u00e9 and \\"
    return shuffled(out, rnd)


def render_field(f, of, rnd):
    out = {"name": f.name, "type": of}
    if f.default is not NO_DEFAULT:
        out["default"] = f.default
    if f.aliases:
        out["aliases"] = list(f.aliases)
    if rnd and rnd.random() < 0.1:
        out.update(doc="what it is", order="descending", unknown={"type": ["null"]})
    return shuffled(out, rnd)


def written_name(t, enclosing, rnd):
    space = namespace(t.name)
    ways = [{"name": t.name}]
    if space:
        ways += [{"name": short(t.name), "namespace": space}, {"name": t.name, "namespace": "does.not.count"}]
    if space == enclosing:
        ways.append({"name": short(t.name)})
    return rnd.choice(ways) if rnd else ways[0]


def shuffled(mapping, rnd):
    if not rnd or rnd.random() < 0.5:
        return mapping
    entries = list(mapping.items())
    rnd.shuffle(entries)
    return dict(entries)


# ---------------------------------------------------------------- encoding

def long_bytes(number):
    number = (number << 1 ^ number >> 63) & 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def encode(t, value, rnd=None):
    """The value's encoding; with rnd, blocks of arrays and maps are cut somewhere, and may say their size."""
    kind = t.kind
    if kind == "null":
        return b""
    if kind == "boolean":
        return b"\1" if value else b"\0"
    if kind in ("int", "long"):
        return long_bytes(value)
    if kind in ("float", "double"):
        return struct.pack("<f" if kind == "float" else "<d", value)
    if kind in ("bytes", "string"):
        data = value if kind == "bytes" else value.encode()
        return long_bytes(len(data)) + data
    if kind == "fixed":
        return value
    if kind == "enum":
        return long_bytes(t.symbols.index(value))
    if kind == "array":
        return encode_blocks([encode(t.items, item, rnd) for item in value], rnd)
    if kind == "map":
        return encode_blocks([long_bytes(len(name.encode())) + name.encode() + encode(t.items, item, rnd)
                              for name, item in value.items()], rnd)
    if kind == "union":
        return long_bytes(value[0]) + encode(t.branches[value[0]], value[1], rnd)
    return b"".join(encode(f.type, value[f.name], rnd) for f in t.fields)


def encode_blocks(items, rnd):
    out = b""
    while items:
        n = rnd.randint(1, len(items)) if rnd and rnd.random() < 0.5 else len(items)
        block, items = b"".join(items[:n]), items[n:]
        if rnd and rnd.random() < 0.3:
            out += long_bytes(-n) + long_bytes(len(block)) + block
        else:
            out += long_bytes(n) + block
    return out + b"\0"


# ---------------------------------------------------------------- defaults

def default_value(t, written):
    """What a default stands for: in unions the first branch; fields that it leaves out have their own defaults."""
    if t.kind == "union":
        return 0, default_value(t.branches[0], written)
    if t.kind in ("bytes", "fixed"):
        return written.encode("latin-1")
    if t.kind == "double":
        return float(written)
    if t.kind == "float":
        return nearest_float(float(written))
    if t.kind == "array":
        return [default_value(t.items, item) for item in written]
    if t.kind == "map":
        return {name: default_value(t.items, item) for name, item in written.items()}
    if t.kind == "record":
        return {f.name: default_value(f.type, written.get(f.name, f.default)) for f in t.fields}
    return written


# ---------------------------------------------------------------- resolution

def matches(w, r):
    """Whether a value of the writer's type can be one of the reader's, as far as the two types themselves say: of
    records only the names are looked at, and whether what is inside matches shows with every value."""
    if w.kind != r.kind:
        return r.kind in PROMOTIONS.get(w.kind, ())
    if w.kind == "fixed" and w.size != r.size:
        return False
    return w.kind not in NAMED or short(w.name) in map(short, [r.name, *r.aliases])


def branch_for(w, r):
    """The branch of a reader's union that a writer's type goes to: the same type if there is one (the very name before
    others that match), else the first that it can be promoted to. None if there is none.

    The specification has the first branch that matches. It would turn a long into a double for a reader of
    ["double", "long"], even if that is the writer's schema as well; so this is Java's rule."""
    same = [i for i, branch in enumerate(r.branches) if branch.kind == w.kind and matches(w, branch)]
    exact = [i for i in same if r.branches[i].name == w.name]
    return next(iter(exact + same + [i for i, branch in enumerate(r.branches) if matches(w, branch)]), None)


def nearest_float(number):
    """The float nearest to a double; what is too large is infinite."""
    try:
        return struct.unpack("<f", struct.pack("<f", number))[0]
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def float_of_long(number):
    """The float nearest to an integer, of two the even one, without a double in between."""
    size = abs(number)
    cut = max(0, size.bit_length() - 24)
    kept, rest, half = size >> cut, size & (1 << cut) - 1, 1 << cut >> 1
    if cut and (rest > half or rest == half and kept & 1):
        kept += 1
    return float((kept << cut) * (-1 if number < 0 else 1))


def promoted(w, r, value):
    if w == r:
        return value
    if r == "float":
        return float_of_long(value)
    if r == "double":
        return float(value)
    if r == "bytes":
        return value.encode()
    if r == "string":
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise Unreadable("bytes that are no UTF-8, as string") from None
    return value


class Reader:
    """Reads values of a writer's schema as a reader's."""

    matches, branch_for, promoted = staticmethod(matches), staticmethod(branch_for), staticmethod(promoted)

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def take(self, n):
        if n < 0 or n > len(self.data) - self.at:
            raise Corrupt(f"byte {self.at}: {n} bytes are not there")
        self.at += n
        return self.data[self.at - n:self.at]

    def long(self):
        number = shift = 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return number >> 1 ^ -(number & 1)

    def place(self, n):
        at = self.long()
        if not 0 <= at < n:
            raise Corrupt(f"byte {self.at}: {at} of {n}")
        return at

    def primitive(self, kind):
        if kind == "null":
            return None
        if kind == "boolean":
            return self.take(1) == b"\1"
        if kind in ("int", "long"):
            return self.long()
        if kind in ("float", "double"):
            return struct.unpack(*(("<f", self.take(4)) if kind == "float" else ("<d", self.take(8))))[0]
        data = self.take(self.long())
        return data.decode() if kind == "string" else data

    def items(self):
        """Says how often an item stands here, while they are read."""
        while (n := self.long()) != 0:
            if n < 0:
                n = -n
                self.long()
            yield from range(n)

    def read(self, w, r):
        if w.kind == "union":
            return self.read(w.branches[self.place(len(w.branches))], r)
        if r.kind == "union":
            index = self.branch_for(w, r)
            if index is None:
                raise Unreadable(f"{w.name or w.kind} is no branch of the union")
            return index, self.read(w, r.branches[index])
        if not self.matches(w, r):
            raise Unreadable(f"{w.name or w.kind} is no {r.name or r.kind}")
        if w.kind in PRIMITIVES:
            return self.promoted(w.kind, r.kind, self.primitive(w.kind))
        return getattr(self, "read_" + w.kind)(w, r)

    def skip(self, w):
        rest = Reader(self.data, self.at)
        rest.read(w, w)
        self.at = rest.at

    def read_fixed(self, w, _):
        return self.take(w.size)

    def read_enum(self, w, r):
        symbol = w.symbols[self.place(len(w.symbols))]
        if symbol in r.symbols:
            return symbol
        if r.default_symbol is None:
            raise Unreadable(f"{r.name} has no symbol {symbol} and no default")
        return r.default_symbol

    def read_array(self, w, r):
        return [self.read(w.items, r.items) for _ in self.items()]

    def read_map(self, w, r):
        return {self.primitive("string"): self.read(w.items, r.items) for _ in self.items()}

    def read_record(self, w, r):
        by_name = {alias: f for f in r.fields for alias in f.aliases} | {f.name: f for f in r.fields}
        out = {}
        for f in w.fields:
            target = by_name.get(f.name)
            if target:
                out[target.name] = self.read(f.type, target.type)
            else:
                self.skip(f.type)
        for f in r.fields:
            if f.name not in out:
                if f.default is NO_DEFAULT:
                    raise Unreadable(f"{r.name} has a field {f.name} without a default")
                out[f.name] = default_value(f.type, f.default)
        return out


def decode(writer, reader, data, rules=Reader):
    """The reader's value of a writer's bytes; raises Unreadable or Corrupt."""
    source = rules(data)
    value = source.read(writer, reader)
    if source.at != len(data):
        raise Corrupt(f"{len(data) - source.at} bytes follow")
    return value
