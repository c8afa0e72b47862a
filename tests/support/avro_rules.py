"""Whether a reader's Avro schema can read what a writer's schema wrote: the rules of schema resolution in the Avro
specification, as a schema registry applies them to a new version.

Plain Python, written from the specification: nothing here comes from the library that is tested.
"""
import json
import re

PRIMITIVE = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}
PROMOTED = {("int", "long"), ("int", "float"), ("int", "double"), ("long", "float"), ("long", "double"),
            ("float", "double"), ("string", "bytes"), ("bytes", "string")}
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


class Type:
    """A node of a schema. kind is one of Avro's types; what else there is depends on it."""

    def __init__(self, kind, name=""):
        self.kind, self.name = kind, name
        self.aliases = []
        self.fields = []                    # of a record: Field
        self.items = None                   # of an array, a map
        self.branches = []                  # of a union
        self.symbols, self.default = [], None
        self.size = 0


class Field:
    def __init__(self, name, aliases, kind, has_default):
        self.name, self.aliases, self.type, self.has_default = name, aliases, kind, has_default


def parse(text, names=None):
    """The schema in a text. names: full names that are known, and those that it defines. ValueError: it is none."""
    return node(json.loads(text), {} if names is None else names, "")


def full_name(name, namespace):
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"Illegal name: {name}")
    return name if "." in name or not namespace else f"{namespace}.{name}"


def node(schema, names, namespace):
    if isinstance(schema, str):
        if schema in PRIMITIVE:
            return Type(schema)
        for name in (full_name(schema, namespace), schema):
            if name in names:
                return names[name]
        raise ValueError(f"Undefined name: \"{schema}\"")
    if isinstance(schema, list):
        return union(schema, names, namespace)
    if not isinstance(schema, dict) or "type" not in schema:
        raise ValueError(f"No type: {json.dumps(schema)}")
    kind = schema["type"]
    if kind in ("record", "error", "enum", "fixed"):
        return named(schema, names, namespace)
    if kind in ("array", "map"):
        key = "items" if kind == "array" else "values"
        if key not in schema:
            raise ValueError(f"{kind} without {key}")
        made = Type(kind)
        made.items = node(schema[key], names, namespace)
        return made
    return node(kind, names, namespace)


def union(branches, names, namespace):
    made = Type("union")
    made.branches = [node(branch, names, namespace) for branch in branches]
    kinds = [branch.name or branch.kind for branch in made.branches]
    if "union" in kinds:
        raise ValueError("Nested union")
    if len(set(kinds)) < len(kinds):
        raise ValueError(f"Duplicate in union: {', '.join(kinds)}")
    return made


def named(schema, names, namespace):
    own = full_name(schema.get("name"), schema.get("namespace") or namespace)
    if own in names:
        raise ValueError(f"Can't redefine: {own}")
    within = own.rpartition(".")[0]
    made = Type("record" if schema["type"] == "error" else schema["type"], own)
    made.aliases = [full_name(alias, within) for alias in schema.get("aliases", [])]
    names[own] = made
    if made.kind == "enum":
        made.symbols, made.default = schema.get("symbols"), schema.get("default")
        if not isinstance(made.symbols, list) or not made.symbols or len(set(made.symbols)) < len(made.symbols):
            raise ValueError(f"Enum without symbols, or with the same twice: {own}")
    elif made.kind == "fixed":
        made.size = schema.get("size")
        if not isinstance(made.size, int):
            raise ValueError(f"Fixed without size: {own}")
    else:
        if not isinstance(schema.get("fields"), list):
            raise ValueError(f"Record has no fields: {own}")
        for field in schema["fields"]:
            if not isinstance(field, dict) or "type" not in field or not isinstance(field.get("name"), str):
                raise ValueError(f"Field without name or type in {own}")
            made.fields.append(Field(field["name"], field.get("aliases", []), node(field["type"], names, within),
                                     "default" in field))
        if len({field.name for field in made.fields}) < len(made.fields):
            raise ValueError(f"Duplicate field in {own}")
    return made


def incompatibilities(reader, writer):
    """Why the reader cannot read everything of the writer: texts as the registry writes them; none if it can."""
    return differences(reader, writer, "/", set())


def problem(kind, description, detail):
    return f"{{errorType:'{kind}', description:'{description}', additionalInfo:'{detail}'}}"


def same_name(reader, writer):
    """Names match without their namespaces, or by an alias of the reader."""
    return reader.name.rpartition(".")[2] == writer.name.rpartition(".")[2] or writer.name in reader.aliases


def differences(reader, writer, path, seen):
    if (id(reader), id(writer)) in seen:    # a recursive type: what is being looked at is not looked at again
        return []
    seen = seen | {(id(reader), id(writer))}
    if writer.kind == "union":
        return [found for branch in writer.branches for found in differences(reader, branch, path, seen)]
    if reader.kind == "union":
        if any(not differences(branch, writer, path, seen) for branch in reader.branches):
            return []
        return [problem("MISSING_UNION_BRANCH", f"The new schema at path '{path}' has no branch for "
                        f"{writer.name or writer.kind} of the old one", writer.name or writer.kind)]
    if reader.kind != writer.kind:
        if (writer.kind, reader.kind) in PROMOTED:
            return []
        return [problem("TYPE_MISMATCH", f"The type (path '{path}') of a field in the new schema does not match with "
                        "the old schema", f"reader type: {reader.kind.upper()} not compatible with writer type: "
                        f"{writer.kind.upper()}")]
    if reader.name and not same_name(reader, writer):
        return [problem("NAME_MISMATCH", f"The name of the schema has changed (path '{path}')",
                        f"expected: {writer.name}")]
    if reader.kind in ("array", "map"):
        return differences(reader.items, writer.items, f"{path.rstrip('/')}/items", seen)
    if reader.kind == "fixed" and reader.size != writer.size:
        return [problem("FIXED_SIZE_MISMATCH", f"The size of FIXED field at path '{path}' has changed",
                        f"expected: {writer.size}, found: {reader.size}")]
    if reader.kind == "enum":
        missing = [symbol for symbol in writer.symbols if symbol not in reader.symbols]
        if missing and reader.default is None:
            return [problem("MISSING_ENUM_SYMBOLS", f"The new schema is missing enum symbols {missing} at path "
                            f"'{path}'", str(missing))]
    return record_differences(reader, writer, path, seen) if reader.kind == "record" else []


def record_differences(reader, writer, path, seen):
    found, written = [], {field.name: field for field in writer.fields}
    for number, field in enumerate(reader.fields):
        at = f"{path.rstrip('/')}/fields/{number}"
        names = [name for name in [field.name, *field.aliases] if name in written]
        if names:
            found += differences(field.type, written[names[0]].type, at, seen)
        elif not field.has_default:
            found.append(problem("READER_FIELD_MISSING_DEFAULT_VALUE", f"The field '{field.name}' at path '{at}' in "
                                 "the new schema has no default value and is missing in the old schema", field.name))
    return found
