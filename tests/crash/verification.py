"""Whether everything that came of a world is what an undisturbed run would have given.

  values        of every scope and key in `features`, against the oracle
  vectors       that a ranker makes of the state of every user, against the oracle
  totals        of all deltas of a shared key, against the oracle
  dead letters  of exactly the records that are no good, each once, with its reason
  rows          in PostgreSQL, against the topics
  offsets       of the group at the end of its topics; no transaction is open
"""
import time
from collections import Counter

from confluent_kafka import IsolationLevel, KafkaException
from fleet import Expected, by_key

import ledger
import vectors
from load import LEDGER
from topics import Topics, decoded, last_values

SETTLE_LIMIT_S = 120
QUIET_S = 1.0               # many times the workers' intervals
ROWS_LIMIT_S = 60
LOOK_EVERY_S = 0.1
SHOWN = 12


def verify(world, records, with_vectors=False):
    """{what: how many were compared}. records: all that count, in the order of each user's; with_vectors: has a ranker
    say what it makes of the state. Raises AssertionError with what differs, TimeoutError if it never settles."""
    topics = Topics(world.fleet)
    deltas = settle(world, topics)
    world.note("nothing is left to do")
    expected = Expected(world.load.features, world.load.attributes() + [r.line for r in records if r.line])
    found = Findings()
    published = last_values(topics.read("features"))
    # Until the totals are final, a global prior depends on when it was read.
    exclude = [] if world.totals_are_final else expected.global_priors()
    found.differ("values", *expected.differences(published, exclude))
    found.differ("totals", *totals_differ(expected, deltas))
    letters = [decoded("dead_letter", message.value()) for message in topics.read("dead-letters")]
    found.differ("dead letters", *letters_differ(world, letters))
    if world.copies.of("recorder"):
        found.differ("rows", *rows_differ(world, published, letters))
    if with_vectors:
        found.differ("vectors", *vectors.differ(world, expected))
    found.differ("ends by a signal that nobody sent", 0, world.bad_ends)
    world.note(f"compared: {dict(found.compared)}")
    found.tell()
    return found.compared


class Findings:
    def __init__(self):
        self.compared = Counter()
        self.texts = []

    def differ(self, what, compared, differences):
        if compared:
            self.compared[what] += compared
        if differences:
            self.texts.append(f"{what}: {len(differences)} of {compared} differ\n  " +
                              "\n  ".join(str(d) for d in differences[:SHOWN]))

    def tell(self):
        if not self.compared["values"]:
            self.texts.append("no value was compared")
        if self.texts:
            raise AssertionError("\n".join(self.texts))


# ---------------------------------------------------------------- until nothing is left to do

class Unsettled(Exception):
    """Something is left to do: what."""


def settle(world, topics, limit_s=SETTLE_LIMIT_S):
    """Until all copies are ready, nothing is written any more, everything is taken in, and no transaction is open.
    Returns the records of feature.deltas: where the last of them stands is known only from reading them."""
    deadline = time.monotonic() + limit_s
    before, since, why = None, time.monotonic(), ""
    while True:
        try:
            now = state(world, topics)
            if now == before and time.monotonic() - since > QUIET_S:
                deltas = topics.read("feature.deltas")
                if any(copy.wanted for copy in world.copies.of("features")):
                    check_taken_in(deltas, now[1])
                return deltas
        except (Unsettled, KafkaException, TimeoutError) as e:
            now, why = None, str(e)
        if now is None or now != before:
            before, since = now, time.monotonic()
        if time.monotonic() > deadline:
            raise TimeoutError(f"not settled after {limit_s} s: topics still grow, or, when it was asked last: {why}\n{world.story()}")
        time.sleep(LOOK_EVERY_S)


def check_taken_in(deltas, committed):
    """Raises Unsettled while a delta is not committed: its partition may still be that of a copy that was killed."""
    last = {(m.topic(), m.partition()): m.offset() for m in deltas}
    left = {place: (committed.get(place), offset) for place, offset in last.items()
            if committed.get(place, -1) <= offset}
    if left:
        raise Unsettled(f"deltas are not committed, (committed, last): {left}")


def state(world, topics):
    """What must not change any more; raises Unsettled while something is left to do."""
    if not world.is_whole():
        raise Unsettled("not every copy is ready")
    partitions = topics.partitions()
    ends = topics.ends(partitions)
    stable = topics.ends(partitions, IsolationLevel.READ_COMMITTED)
    open_ = [place for place in ends if stable[place] != ends[place]]
    if open_:
        raise Unsettled(f"a transaction is open on {open_}")
    committed = topics.committed("features")
    left = {place: (committed.get(place), end) for place, end in ends.items()
            if place[0] == world.fleet.topic("events") and end and committed.get(place) != end}
    if left:
        raise Unsettled(f"events are not committed, (committed, end): {left}")
    return ends, committed


# ---------------------------------------------------------------- comparisons: (how many, differences as text)

def totals_differ(expected, messages):
    """The sums of all deltas, against what the oracle says of the ledgers of shared scopes."""
    fingerprints = {f.fingerprint(): name for f in expected.features if f.name.startswith(LEDGER)
                    for _, name, _ in f.outputs()}
    got = ledger.totals([(m.key(), m.value()) for m in messages], fingerprints)
    want = {(r["scope"], tuple(r["key"]), name): value for r in expected.records if not expected.user_of(r)
            for name, value in r["values"].items() if name.startswith(LEDGER) and value}
    differences = [f"{' '.join(map(str, key))}: expected {want.get(key, 0):g}, all deltas together have "
                   f"{got.get(key, 0)}" for key in sorted({*want, *got}) if want.get(key, 0) != got.get(key, 0)]
    return len(want), differences


def letters_differ(world, letters):
    """Dead letters, against the records that are none and the places where they came to stand."""
    events = world.fleet.topic("events")
    want = Counter((events, *place, record.reason) for feeder in world.feeders
                   for record, place in zip(feeder.records, feeder.places) if record.reason)
    got = Counter((d["topic"], d["partition"], d["offset"], d["reason"]) for d in letters)
    return want.total(), [f"{place} {reason} at {at}: expected {want[topic, place, at, reason]} times, is there "
                          f"{got[topic, place, at, reason]} times"
                          for topic, place, at, reason in sorted({*want, *got})
                          if want[topic, place, at, reason] != got[topic, place, at, reason]]


def rows_differ(world, published, letters):
    """The tables, against the topics. A recorder that runs may be behind for a while."""
    want = rows_of(published, letters)
    deadline = time.monotonic() + (ROWS_LIMIT_S if any(c.wanted for c in world.copies.of("recorder")) else 0)
    while (got := recorded(world.fleet)) != want and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
    return len(want), [f"{kind} {key}: expected {want.get((kind, key))}, the row is {got.get((kind, key))}"
                       for kind, key in sorted({*want, *got}, key=str) if want.get((kind, key)) != got.get((kind, key))]


def rows_of(published, letters):
    """{(table, key): row} as recorded() has them. A record without values says that the key is gone."""
    rows = {("feature_values", key): value for key, value in by_key(r for r in published if r["values"]).items()}
    for d in letters:
        rows["dead_letters", (d["topic"], d["partition"], d["offset"])] = (d["reason"], d["detail"], d["value"])
    return rows


def recorded(fleet):
    rows = {("feature_values", key): value for key, value in by_key(fleet.recorded()).items()}
    letters = fleet.rows("SELECT topic, partition, \"offset\", reason, detail, encode(value, 'hex') FROM dead_letters")
    for topic, partition, offset, reason, detail, value in letters:
        rows["dead_letters", (topic, int(partition), int(offset))] = (
            reason, detail, None if value is None else bytes.fromhex(value))
    return rows
