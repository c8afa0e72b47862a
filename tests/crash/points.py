"""The failpoints of the source, and the steps that must have one before and after them.

A step is a call by which a transaction, an offset or a place in a group moves. Whoever adds one adds a FAILPOINT on
either side of it, in the same function. A function that has steps and no point is a step itself, wherever it is called.
"""
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("common", "workers")

# Calls, as they begin; and statements of SQL. A transaction of PostgreSQL that is rolled back is one that nobody sees,
# however its end comes about: ROLLBACK is none.
STEPS = [name + "(" for name in (
    "rd_kafka_init_transactions", "rd_kafka_begin_transaction", "rd_kafka_produce", "rd_kafka_producev",
    "rd_kafka_produceva", "rd_kafka_send_offsets_to_transaction", "rd_kafka_commit_transaction",
    "rd_kafka_abort_transaction", "rd_kafka_commit", "rd_kafka_commit_queue", "rd_kafka_committed", "rd_kafka_flush",
    "rd_kafka_assign", "rd_kafka_incremental_assign", "rd_kafka_incremental_unassign", "rd_kafka_subscribe",
    "rd_kafka_unsubscribe", "rd_kafka_consumer_close", "PQputCopyData", "PQputCopyEnd", "offsets_claim")
] + ['"BEGIN"', '"COMMIT"']

# They write or read once, keep nothing, and are run again by who saw them fail.
WITHOUT_STATE = {"workers/ctl/sender.c", "workers/ctl/tail.c", "workers/ctl/replay_find.c"}

POINT = re.compile(r'\bFAILPOINT(?:_WHEN)?\((?:[^;"]*,\s*)?"([^"]*)"\)')
NAME = re.compile(r"[a-z]+(\.[a-z_]+)+")
FUNCTION = re.compile(r"^(?P<head>[a-z_][^\n;{}#]*?(?:\n[^\n;{}#]+)*?\))\n\{\n(?P<body>.*?)^\}",
                      re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


class Function(NamedTuple):
    file: str
    name: str
    is_static: bool
    body: str

    def points(self):
        return POINT.findall(self.body)


def functions_of(file, text):
    """Functions with a body, as clang-format lays them out."""
    text = COMMENT.sub("", text)
    for match in FUNCTION.finditer(text):
        head = match["head"]
        name = re.search(r"(\w+)\(", head)
        if name:
            yield Function(file, name[1], head.startswith("static "), match["body"])


def source():
    """All functions of the programs."""
    return [function for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.[ch]"))
            for function in functions_of(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))]


def points(functions):
    """{name: file}. Raises ValueError for a name that stands twice or is none."""
    found = {}
    for function in functions:
        for name in function.points():
            if name in found or not NAME.fullmatch(name):
                raise ValueError(f"failpoint {name} of {function.file}: " +
                                 (f"it is in {found[name]} as well" if name in found else "words with dots between"))
            found[name] = function.file
    return found


def unguarded(functions):
    """Steps without a point on both sides, as text. Two steps need one between them."""
    functions = [f for f in functions if f.file not in WITHOUT_STATE]
    steps = {(None, step) for step in STEPS}
    problems, known = set(), set()
    while steps - known:
        known |= steps
        problems = set()
        for function in functions:
            here = [step for file, step in known if file in (None, function.file)]
            order = sequence(function.body, here)
            if not any(is_step for is_step, _ in order):
                continue
            if not function.points():
                steps.add((function.file if function.is_static else None, function.name + "("))
            problems |= {f"{function.file}: {function.name}(): {step.rstrip('(')} has no failpoint {side} it"
                         for step, side in lacking(order) if function.points()}
    problems |= {f"{file or 'anywhere'}: {name.rstrip('(')}() has steps, no failpoint, and nobody calls it"
                 for file, name in known if not is_base(name) and not is_called(functions, file, name)}
    return sorted(problems)


def is_base(step):
    return step in STEPS


def is_called(functions, file, name):
    return any(sequence(f.body, [name]) for f in functions if file in (None, f.file))


def sequence(body, steps):
    """[(whether it is a step, its text)] of steps and points, in their order."""
    pattern = "|".join(r"(?<![\w])" + re.escape(step) if step[0] != '"' else re.escape(step)
                       for step in sorted(steps, key=len, reverse=True))
    found = [(m.start(), True, m[0]) for m in re.finditer(pattern, body)] + \
            [(m.start(), False, m[1]) for m in POINT.finditer(body)]
    return [(is_step, text) for _, is_step, text in sorted(found)]


def lacking(order):
    """(step, side) of those that have no point next to them on that side."""
    for i, (is_step, text) in enumerate(order):
        if is_step and (i == 0 or order[i - 1][0]):
            yield text, "before"
        if is_step and (i == len(order) - 1 or order[i + 1][0]):
            yield text, "after"
