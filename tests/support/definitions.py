"""Random features files: every kind of features.md, and its scopes and windows in combination.

A file is made from a random.Random, so a seed gives the same file everywhere. Definitions are unique, as the
library demands. The fields and events named here are those that streams.py fills.
"""
import json
import re
from typing import NamedTuple

import yaml

EVENTS = ("click", "impression", "convert", "dismiss", "search", "watch")
USER_DIMENSIONS = ("user", "user.tier", "user.city", "user.likes", "user.level")
PROPOSITION_DIMENSIONS = ("proposition", "proposition.genres", "proposition.brand", "proposition.tags")
CONTEXT_DIMENSIONS = ("context.device", "context.page", "context.mood")
MISSING_DIMENSION = "user.nowhere"      # nobody has it
WINDOWS = ("1s", "7s", "10s", "30s", "59s", "60s", "5m", "10m", "1h", "90m", "1d", "7d", "30d", "100d")
SHORT_WINDOWS = ("1s", "7s", "30s", "5m", "10m")
ENDLESS_WINDOW = "4000d"                # no stream is longer
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "Europe/Dublin",
         "Africa/Casablanca", "America/St_Johns", "UTC", "Etc/GMT+12")
WORDS = ("basic", "plus", "gold", "on", "no", "1e3", "1995", "true", "null", "", "drama", "a b", "Ä", "mobile", "tv")


class Feature(NamedTuple):
    name: str
    scope: str
    kind: str
    parameters: dict

    def values(self):
        """Names in the vector."""
        return [f"{self.name}_{w}" for w in self.parameters.get("windows", [])] or [self.name]

    def definition(self):
        """The same for equal definitions, 60s and 1m among them; the name does not count."""
        return json.dumps([self.scope, self.kind, {
            name: [milliseconds(w) for w in value] if name == "windows"
            else milliseconds(value) if name in ("window", "within", "half_life") else value
            for name, value in self.parameters.items()}])


def milliseconds(duration):
    return int(duration[:-1]) * {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}[duration[-1]]


def bucket_ms(window):
    return -(-milliseconds(window) // 60)


class Definitions:
    """Makes features one by one. bursts: the stream has bursts of more than 256 values of a dimension.

    `distinct` is sampled above 256 and exact again once nothing of the time above is left in the window. In
    between it can be neither, so with bursts its windows are such that a burst stays for ever or leaves as a whole,
    and no standing is made of it.
    """

    def __init__(self, rng, bursts):
        self.rng = rng
        self.bursts = bursts
        self.features = []
        self.common_windows = rng.sample(WINDOWS, k=6)      # of which most features have theirs

    def make(self, count):
        """At least one feature of each kind; a count first, so that a standing can be made of something."""
        first, *others = KINDS
        others += ["distinct"] * (4 if self.bursts else 0)
        others += self.rng.choices(list(KINDS), weights=[w for w, _ in KINDS.values()], k=count - len(others) - 1)
        self.rng.shuffle(others)
        kinds = [first, *others]
        known = set()
        for i, kind in enumerate(kinds):
            feature = Feature(f"{kind}_{i}", *self.scope_and_parameters(kind))
            if feature.definition() not in known:
                known.add(feature.definition())
                self.features.append(feature)
        return self.features

    def scope_and_parameters(self, kind):
        scope, parameters = KINDS[kind][1](self)
        return scope, kind, parameters

    # ------------------------------------------------------------ parts of definitions

    def scope(self):
        """global, or a product of up to four dimensions, users and propositions themselves a little more often; where
        there are bursts, those in which a user gets too many keys."""
        if self.bursts and self.rng.random() < 0.2:
            return self.rng.choice(["user*proposition", "proposition*user", "user*proposition.tags",
                                    "user*context.page"])
        groups = self.rng.sample([USER_DIMENSIONS, PROPOSITION_DIMENSIONS, CONTEXT_DIMENSIONS, ("user", "proposition")],
                                 k=self.rng.choices(range(5), weights=[10, 45, 32, 10, 3])[0])
        dimensions = [self.rng.choice(group) for group in groups]
        if self.rng.random() < 0.02:
            dimensions.append(MISSING_DIMENSION)
        return "*".join(dict.fromkeys(dimensions)) or "global"

    def event(self):
        return self.rng.choices(EVENTS, weights=[8, 8, 4, 1, 1, 2])[0]

    def window(self):
        return self.rng.choice(self.common_windows)

    def windows(self):
        return self.rng.sample(self.common_windows, k=self.rng.randint(1, 4))

    def of_event(self):
        return self.scope(), {"event": self.event(), "windows": self.windows()}

    def of_value(self):
        event = self.rng.choice(["convert", "convert", "watch", "click"])
        return self.scope(), {"event": event, "windows": self.windows()}

    def rate(self):
        return self.scope(), {
            "of": self.event(), "per": self.rng.choice(["impression", "impression", "search", "click"]),
            "windows": self.windows(), "weight": self.rng.choice(["0", "0", "1", "10", "0.5"]),
            "prior": self.rng.choice(["global", "global", "0", "0.1", "1"])}

    def recency(self):
        return self.scope(), {"event": self.event()}

    def decay(self):
        return self.scope(), {"event": self.event(), "half_life": self.rng.choice(["1s", "90s", "1h", "1d", "30d"])}

    def distinct(self):
        of = self.rng.choice(USER_DIMENSIONS + PROPOSITION_DIMENSIONS + CONTEXT_DIMENSIONS + (MISSING_DIMENSION,))
        if not self.bursts:
            return self.scope(), {"event": self.event(), "of": of, "window": self.window()}
        scope = self.rng.choice(["user", "proposition", "global", "context.device", "user*context.page", self.scope()])
        window = self.rng.choice([self.rng.choice(SHORT_WINDOWS), ENDLESS_WINDOW])
        return scope, {"event": self.rng.choice(["click", "impression"]), "of": of, "window": window}

    def gap(self):
        field = self.rng.choice(["price"] * 6 + ["released", "released", "genres"])
        return "user", {"event": self.event(), "attribute": field, "windows": self.windows()}

    def overlap(self):
        return "user", {"event": self.event(), "attribute": self.rng.choice(["genres", "brand", "tags"]),
                        "last": self.rng.choice(["1", "3", "20", "100"]), "within": self.window()}

    def attribute(self):
        scope, field = self.rng.choice([
            ("user", "tier"), ("user", "level"), ("user", "likes"), ("proposition", "price"), ("proposition", "score"),
            ("proposition", "brand"), ("proposition", "genres"), ("context", "device"), ("context", "mood")])
        if self.rng.random() < 0.4:
            return scope, {"field": field}
        return scope, {"field": field, "values": self.rng.sample(WORDS, k=self.rng.randint(1, len(WORDS)))}

    def age(self):
        scope, field = self.rng.choice([("proposition", "released"), ("proposition", "released"), ("user", "born"),
                                        ("context", "since"), ("proposition", "brand")])
        return scope, {"field": field}

    def time(self):
        return "context", {"part": self.rng.choice(["hour_of_day", "day_of_week", "day_of_month", "month"]),
                           "zone": self.rng.choice(ZONES)}

    def match(self):
        scope, field = self.rng.choice([("proposition", "title"), ("proposition", "title"), ("proposition", "genres"),
                                        ("proposition", "brand"), ("user", "likes")])
        return scope, {"context": self.rng.choice(["query", "query", "mood"]), "attribute": field}

    def standing(self):
        values = [value for feature in self.features if not (self.bursts and feature.kind == "distinct")
                  for value in feature.values()]
        return "candidate", {"of": self.rng.choice(values)}

    def position(self):
        return "candidate", {"at_serving": self.rng.choice(["0", "3", "1.5"])}


# kind: how often beyond the first, how it is made
KINDS = {
    "count": (3, Definitions.of_event), "sum": (3, Definitions.of_value), "mean": (2, Definitions.of_value),
    "min": (2, Definitions.of_value), "max": (2, Definitions.of_value), "rate": (6, Definitions.rate),
    "recency": (2, Definitions.recency), "decay": (2, Definitions.decay), "distinct": (5, Definitions.distinct),
    "gap": (2, Definitions.gap), "overlap": (3, Definitions.overlap), "attribute": (2, Definitions.attribute),
    "age": (1, Definitions.age), "time": (2, Definitions.time), "match": (1, Definitions.match),
    "standing": (3, Definitions.standing), "position": (0, Definitions.position),
}


def as_yaml(features, flow):
    """The file: a line a feature as in features.md, words unquoted where that can be; or in block style."""
    if not flow:
        entries = [{"name": f.name, "scope": f.scope, f.kind: f.parameters} for f in features]
        return yaml.safe_dump({"features": entries}, sort_keys=False, allow_unicode=True)
    return "features:\n" + "".join(
        f"  - {{name: {f.name}, scope: {f.scope}, {f.kind}: {flow_style(f.parameters)}}}\n" for f in features)


def flow_style(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {flow_style(v)}" for name, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow_style, value)) + "]"
    return value if re.fullmatch(r"[\w.*/+]+", value) else json.dumps(value, ensure_ascii=False)
