#!/usr/bin/env python3
"""Random features and a random stream of events and requests, to hold the library against the oracle.

  streams.py --seed 7 --size small --out-features F.yaml --out-stream S.jsonl

A seed and a size give the same two files everywhere. The stream has the shape of the oracle's --stream. Every edge of
features.md is met with some probability; several seeds together meet them all. Sizes, in the oracle: tiny and small
take under a second, medium about ten, large about a minute.
"""
import argparse
import json
import random
from collections import defaultdict, deque
from datetime import datetime
from typing import NamedTuple

from definitions import Definitions, as_yaml, bucket_ms, milliseconds
from values import (DAY, GENRES, HOUR, MINUTE, SECOND, YEAR, amount, instant, odd_value, phrase, price, skewed, some,
                    sometimes)

MAX_CLOCK_SKEW_MS = 5 * MINUTE
RECENT_EVENT_IDS = 64
EXTRAS = 300                    # users, propositions and pages that only bursts touch: more than 256
NIGHT_MS = 30 * MINUTE          # a burst leaves definitions.SHORT_WINDOWS in it, late events included


class Size(NamedTuple):
    features: int
    users: int
    propositions: int
    lines: int                  # without bursts
    bursts: int                 # if the seed has any


SIZES = {"tiny": Size(24, 5, 12, 600, 1), "small": Size(30, 5, 15, 1_000, 2),
         "medium": Size(40, 20, 40, 10_000, 4), "large": Size(56, 60, 120, 28_000, 8)}

# Where the clock starts: before 1970 and over it, around changes of the zones' clocks, far back and far ahead.
STARTS = [datetime.fromisoformat(text + "+00:00") for text in (
    "1969-12-31T22:00", "1969-12-25T00:00", "2024-03-31T00:20", "2024-10-27T00:20", "2023-11-05T05:30",
    "2011-12-29T22:00", "2024-04-06T14:00", "1890-03-31T23:00", "2060-03-28T00:30", "2025-06-01T00:00")]


# ---------------------------------------------------------------- who and what there is

class World:
    """Users, propositions and pages. Ordinary ones are few; extras, each with values of its own, are for bursts."""

    def __init__(self, rng, size, bursts):
        self.rng = rng
        odd_ids = ["p*1", 'p"2', "p\\3", "p 4", "p|5", "pé6", "p\t7"]
        self.users = [f"u{i}" for i in range(size.users)]
        self.propositions = [f"p{i}" for i in range(size.propositions - len(odd_ids))] + odd_ids
        rng.shuffle(self.propositions)
        self.pages = [f"page{i}" for i in range(8)] + [""]
        numbers = range(EXTRAS if bursts else 0)
        self.extra_users = [f"extra-u{i}" for i in numbers]
        self.extra_propositions = [f"extra-p{i}" for i in numbers]
        self.extra_pages = [f"extra-page{i}" for i in numbers]

    def user_attributes(self, now):
        rng = self.rng
        return sometimes(rng, {
            "tier": rng.choice(["basic", "plus", "gold", None, 3]), "city": rng.choice(["Ulm", "Köln", "Rom", ""]),
            "likes": some(rng, GENRES, 3), "level": odd_value(rng), "born": instant(rng, now)})

    def proposition_attributes(self, now):
        rng = self.rng
        return sometimes(rng, {
            "title": rng.choice([phrase(rng), phrase(rng), [phrase(rng), phrase(rng, 2)], odd_value(rng)]),
            "genres": rng.choice([some(rng, GENRES, 4), some(rng, GENRES, 4), odd_value(rng)]),
            "brand": odd_value(rng), "tags": some(rng, ("t1", "t2", "t3", "t4"), 3), "price": price(rng),
            "score": rng.choice([1e21, -1e21, 1e-7, 0.1, 0.1, 0.10000000001, 1e39, -0.0, 0, True, "7", None]),
            "released": instant(rng, now)})

    def context(self, now):
        rng = self.rng
        return sometimes(rng, {
            "device": rng.choice(["mobile", "desktop", "tv", "gold"]), "page": skewed(rng, self.pages),
            "mood": rng.choice(["", "a", "ab", "no", "1995"]), "query": phrase(rng, 4),
            "since": str(instant(rng, now))})

    def unique_attributes(self, i):
        """Of an extra: no other has these."""
        return {"city": f"city{i}", "likes": [f"like{i}"], "level": i + 0.5, "tier": f"tier{i}", "brand": f"brand{i}",
                "tags": [f"tag{i}", f"tag{i}b", f"tag{i}"], "genres": [f"genre{i}"], "price": i / 4}


# ---------------------------------------------------------------- the stream

class Stream:
    """Lines in order of arrival. now is the newest time so far; what comes late lies before it."""

    def __init__(self, rng, size, bursts, windows):
        self.rng = rng
        self.size = size
        self.buckets_ms = [bucket_ms(w) for w in windows]
        self.spans_ms = [milliseconds(w) for w in windows]
        self.world = World(rng, size, bursts)
        self.bursts = size.bursts if bursts else 0
        self.start = self.now = int(rng.choice(STARTS).timestamp() * 1000)
        self.pace_ms = SECOND
        self.lines = []
        self.accepted = defaultdict(lambda: deque(maxlen=RECENT_EVENT_IDS + 2))     # ids of each user, for repeats
        self.ids = 0
        self.open_requests = []
        self.last_event = None

    def make(self):
        self.entities()
        burst_at = {self.rng.randrange(self.size.lines) for _ in range(self.bursts)}
        actions = (self.event, self.request, self.change, self.repeat, self.pace)
        for i in range(self.size.lines):
            if i in burst_at:
                self.burst()
            self.rng.choices(actions, weights=[74, 14, 4, 7, 1])[0]()
        self.request()
        return self.lines

    def id(self, prefix):
        self.ids += 1
        return f"{prefix}{self.ids}"

    # ------------------------------------------------------------ time

    def pace(self):
        """From now on, the clock goes slower or faster; sometimes it leaps, and windows run empty."""
        self.pace_ms = self.rng.choice([1, 10, 200, 1_000, 20_000, 5 * MINUTE, HOUR])
        if self.rng.random() < 0.2:
            self.now += self.rng.choice([MINUTE, NIGHT_MS, 2 * DAY, 33 * DAY])

    def tick(self):
        self.now += int(self.rng.expovariate(1 / self.pace_ms))
        return self.now

    def buckets_away(self, fewest, most):
        """That many buckets of some window, and a bit."""
        bucket = self.rng.choice(self.buckets_ms)
        return self.rng.randint(fewest, most) * bucket + self.rng.choice([0, 0, 1, self.rng.randrange(bucket)])

    def edge(self):
        """The first or last millisecond of a bucket near now."""
        bucket = self.rng.choice(self.buckets_ms)
        return self.now // bucket * bucket - self.rng.randint(0, 1)

    def far(self):
        """A time span of any order of magnitude up to 20 years."""
        return int(20 * YEAR * 10 ** -self.rng.uniform(0, 9))

    def event_time(self):
        rng = self.rng
        return rng.choices([self.tick, lambda: self.now, self.edge, lambda: self.now - self.buckets_away(0, 5),
                            lambda: self.now - self.buckets_away(55, 70), lambda: self.now - self.far()],
                           weights=[60, 14, 8, 12, 4, 2])[0]()

    def as_of(self):
        rng = self.rng
        return rng.choices([self.tick, lambda: self.now, lambda: self.now + rng.choice([-1, 1]), self.edge,
                            lambda: self.now - self.buckets_away(0, 4), lambda: self.now - self.buckets_away(5, 70),
                            lambda: self.now + min(100 * DAY, self.buckets_away(0, 70)), lambda: self.now - self.far()],
                           weights=[32, 18, 8, 10, 13, 6, 10, 3])[0]()

    def kafka_timestamp(self, timestamp):
        """Usually none is given, or it is later; a clock may run ahead by five minutes and not by more."""
        rng = self.rng
        skew = rng.choices([None, rng.randint(0, MINUTE), -rng.randint(1, MAX_CLOCK_SKEW_MS), -MAX_CLOCK_SKEW_MS,
                            -MAX_CLOCK_SKEW_MS - 1, -rng.randint(MAX_CLOCK_SKEW_MS, DAY)],
                           weights=[60, 20, 12, 2, 2, 2])[0]
        return None if skew is None else timestamp + skew

    # ------------------------------------------------------------ users and propositions

    def entities(self):
        """Most are known beforehand, some never. Extras with all their values."""
        world = self.world
        for side, ids, attributes in (("user", world.users, world.user_attributes),
                                      ("proposition", world.propositions, world.proposition_attributes)):
            for id in ids:
                if self.rng.random() < 0.9:
                    self.entity(side, id, self.now, attributes(self.now))
        for i, (user, proposition) in enumerate(zip(world.extra_users, world.extra_propositions)):
            self.entity("user", user, self.now, world.unique_attributes(i))
            self.entity("proposition", proposition, self.now, world.unique_attributes(i))

    def entity(self, side, id, timestamp, attributes):
        self.lines.append({side: {"id": id, "timestamp": timestamp, "attributes": attributes}})

    def change(self):
        """Attributes anew: newer, at the very time of the first, or older than what is known."""
        rng, world = self.rng, self.world
        timestamp = rng.choice([self.now, self.now, self.start, self.start - 1, self.now - HOUR])
        if rng.random() < 0.3:
            self.entity("user", skewed(rng, world.users), timestamp, world.user_attributes(self.now))
        else:
            attributes = world.proposition_attributes(self.now)
            self.entity("proposition", skewed(rng, world.propositions), timestamp, attributes)

    # ------------------------------------------------------------ events

    def event(self):
        """Anything a user can do; now and then in answer to a request, or of somebody or something unknown."""
        rng = self.rng
        name = rng.choices(["impression", "click", "convert", "dismiss", "search", "watch"],
                           weights=[30, 32, 20, 4, 6, 8])[0]
        user = "stranger" if rng.random() < 0.02 else skewed(rng, self.world.users)
        event = {"event_id": self.id("e"), "event": name, "user_id": user, "timestamp": self.event_time()}
        event |= sometimes(rng, {"propositions": self.about(name), "context": self.world.context(self.now),
                                 "value": self.value(name)})
        if self.open_requests and rng.random() < 0.3:
            self.answer(event, rng.choice(self.open_requests))
        timestamp = event["timestamp"]
        self.put(event, self.kafka_timestamp(timestamp))
        self.last_event = event

    def about(self, name):
        """Propositions of an event: for most names one, or a list with repeats, or none."""
        rng, known = self.rng, self.world.propositions
        if name == "impression":
            return [skewed(rng, known) for _ in range(rng.randint(0, 10))]
        if name == "search":
            return []
        return rng.choices([[skewed(rng, known)], [], ["unheard-of"], [skewed(rng, known) for _ in range(3)],
                            [rng.choice(known)] * 2], weights=[80, 6, 2, 8, 4])[0]

    def value(self, name):
        return amount(self.rng) if self.rng.random() < {"convert": 0.9, "watch": 0.6}.get(name, 0.2) else None

    def answer(self, event, request):
        """The event comes from the request: its impression, or what followed, perhaps at its very millisecond."""
        rng = self.rng
        event["request_id"] = request["request_id"]
        if event["event"] == "impression":
            event["propositions"] = rng.sample(request["candidates"], k=rng.randint(1, len(request["candidates"])))
            event["user_id"] = request["user_id"]
            if rng.random() < 0.5:
                event["timestamp"] = request["timestamp"]

    def put(self, event, kafka_timestamp=None):
        line = {"event": event}
        if kafka_timestamp is not None:
            line["kafka_timestamp"] = kafka_timestamp
        self.lines.append(line)
        recent = self.accepted[event["user_id"]]
        dead = kafka_timestamp is not None and event["timestamp"] > kafka_timestamp + MAX_CLOCK_SKEW_MS
        if not dead and event["event_id"] not in list(recent)[-RECENT_EVENT_IDS:]:
            recent.append(event["event_id"])

    def repeat(self):
        """An event with the id of an earlier one: just within the 64 that are known, just beyond, or any; or of
        another user, who may use the same id."""
        rng = self.rng
        user = self.world.users[0] if rng.random() < 0.7 else skewed(rng, self.world.users)
        recent = self.accepted[user]
        if not recent:
            return
        back = min(len(recent), rng.choice([1, 2, rng.randint(1, 66), 63, 64, 64, 65, 65, 66]))
        if rng.random() < 0.1:
            user = skewed(rng, self.world.users)
        self.put({"event_id": recent[-back], "event": rng.choice(["click", "convert"]), "user_id": user,
                  "timestamp": self.event_time(), "propositions": [skewed(rng, self.world.propositions)],
                  "value": amount(rng)})

    # ------------------------------------------------------------ requests

    def request(self):
        rng = self.rng
        user = "stranger" if rng.random() < 0.04 else skewed(rng, self.world.users)
        request = {"request_id": self.id("r"), "user_id": user, "timestamp": self.as_of(),
                   "candidates": self.candidates()}
        request |= sometimes(rng, {"context": self.world.context(self.now)})
        if self.last_event and rng.random() < 0.1:
            self.a_window_later(request)
        self.lines.append({"request": request})
        self.open_requests = [*self.open_requests[-4:], request]

    def a_window_later(self, request):
        """The request reads just the last, or the first, millisecond at which the newest event is not too old."""
        request["user_id"] = self.last_event["user_id"]
        later_ms = self.rng.choice(self.spans_ms) + self.rng.choice([-1, 0, 0, 1])
        request["timestamp"] = self.last_event["timestamp"] + later_ms

    def candidates(self):
        """Often seen and hardly seen ones; sometimes one twice, one unknown, one of a burst, or only one."""
        rng, world = self.rng, self.world
        candidates = [skewed(rng, world.propositions) for _ in range(rng.randint(1, 6))]
        if rng.random() < 0.3:
            candidates.append(candidates[0])
        if rng.random() < 0.15:
            candidates.append("unheard-of")
        if world.extra_propositions:
            candidates.append(rng.choice(world.extra_propositions))
        rng.shuffle(candidates)
        return candidates

    # ------------------------------------------------------------ bursts

    def burst(self):
        """Within a millisecond, more values than `distinct` holds exactly and more keys than a user may have; quiet
        before and after, so that all of it leaves a short window together."""
        self.now += NIGHT_MS
        self.rng.choice([self.burst_of_propositions, self.burst_of_pages, self.burst_of_users])()
        for i in range(8):
            self.lines.append({"request": {
                "request_id": self.id("r"), "user_id": self.world.users[0], "timestamp": self.now,
                "candidates": self.candidates() + self.rng.sample(self.world.extra_propositions[:60], k=6),
                "context": {"page": self.world.extra_pages[i * i], "device": "tv"}}})
        self.now += NIGHT_MS

    def burst_of_propositions(self):
        """Long lists; the last one evicts what came first, but for what came again."""
        shown = self.world.extra_propositions
        for name in self.rng.sample(["impression", "click", "convert"], k=2):
            for some_of_them in (shown[:200], shown[:20], shown[200:], shown[40:50]):
                self.burst_event(name, self.world.users[0], some_of_them, "page0")

    def burst_of_pages(self):
        name = self.rng.choice(["click", "impression"])
        for page, proposition in zip(self.world.extra_pages, self.world.extra_propositions):
            self.burst_event(name, self.world.users[0], [proposition], page)

    def burst_of_users(self):
        name = self.rng.choice(["click", "impression"])
        for user in self.world.extra_users:
            self.burst_event(name, user, [self.world.propositions[0]], "page0")

    def burst_event(self, name, user, propositions, page):
        self.put({"event_id": self.id("e"), "event": name, "user_id": user, "timestamp": self.now, "value": 0.1,
                  "propositions": propositions, "context": {"page": page, "device": "tv"}})


def generate(seed, size_name):
    """(features as YAML, lines of the stream)"""
    rng = random.Random(f"{seed} {size_name}")
    size = SIZES[size_name]
    bursts = rng.random() < 0.5
    features = Definitions(rng, bursts).make(size.features)
    windows = sorted({w for f in features for w in f.parameters.get("windows", [f.parameters.get("within")]) if w})
    lines = Stream(rng, size, bursts, windows).make()
    return as_yaml(features, flow=rng.random() < 0.7), lines


def write_lines(path, lines):
    with open(path, "w", encoding="utf-8") as out:
        for line in lines:
            out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int, required=True)
    options.add_argument("--size", choices=SIZES, default="small")
    options.add_argument("--out-features", required=True)
    options.add_argument("--out-stream", required=True)
    given = options.parse_args()
    features, lines = generate(given.seed, given.size)
    with open(given.out_features, "w", encoding="utf-8") as out:
        out.write(features)
    write_lines(given.out_stream, lines)


if __name__ == "__main__":
    main()
