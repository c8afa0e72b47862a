"""Random values of attributes, contexts and events: plain ones, and every odd one that features.md has a rule for."""
from datetime import datetime, timedelta

SECOND, MINUTE, HOUR, DAY, YEAR = 1000, 60_000, 3_600_000, 86_400_000, 365 * 86_400_000
GENRES = ("drama", "comedy", "noir", "Ä", "a", "ab", "b", "", "on")
ODD_VALUES = (
    None, "", [], ["x", "x", "y"], [""], ["on", "no", "gold"], True, False, "true", 1995.0, 1995, "1995", 0.1, 1e21,
    1.5e17, 1e-5, 1e-7, -0.0, "gold", "1e3", "2024-02-29", "a", "ab", "b", "a*b", "a|b", 'q"\\', "\t", "Ä")
ODD_INSTANTS = (
    "2024-02-30", "2023-02-29", "2024-02-29", "0000-01-01", "0001-01-01", "9999-12-31T23:59:59.999999", "2024-1-1",
    "24-01-01", "2024-01-01t10:00", "2024-01-01T24:00", "2024-01-01T10", "2024-01-01T10:00:60", "2024-01-01T10:00:00.",
    "2024-01-01T10:00:00.1234567", " 2024-01-01", "2024-01-01+0100", "2024-01-01T10:00+24:00", "2024-01-01T10:00z",
    "1704067200000", "-2024-01-01", "")
TERMS = (
    "red", "RED", "Straße", "STRASSE", "ΣΟΦΟΣ", "σοφος", "İstanbul", "istanbul", "e\u0301té", "été", "ÉTÉ", "ǅ", "ǆ",
    "ẞ", "ß", "٣", "3", "x2", "日本", "ⅷ", "ʰa", "𝟙", "Ⴀ", "ⴀ", "Ꭰ", "ꭰ", "𐐀", "𐐨", "a_b", "don't", "🎬", "²", "No.5")
BETWEEN = (" ", "  ", "-", "\u00a0", "\u200d", "·", "\n", "", "\u0301", "_")


def skewed(rng, items):
    """One of them, the first ones much more often."""
    return items[int(len(items) * rng.random() ** 3)]


def some(rng, items, most):
    """Up to `most` of them, repeats included."""
    return [rng.choice(items) for _ in range(rng.randint(0, most))]


def odd_value(rng):
    """Whatever an attribute can be."""
    return rng.choice(ODD_VALUES)


def amount(rng):
    """Cents, small numbers, and large ones of both signs, of which the small must not be lost."""
    return rng.choice([round(rng.uniform(0, 99), 2), round(rng.uniform(-9, 9), 3), rng.randint(-3, 3), -0.0, 0.1,
                       rng.choice([-1, 1]) * rng.choice([1e15, 1e15, 123456789012.25, 1e9])])


def price(rng):
    """Exact to a quarter, so that a gap near 0 does not hang on the last bit of a mean; sometimes no price."""
    if rng.random() < 0.15:
        return odd_value(rng)
    return rng.choice([rng.randint(1, 400) / 4, float(rng.randint(-5, 50)), 1e6])


def instant(rng, now):
    """A date in a form of its own, or something that is none."""
    then = now + rng.randint(-3 * YEAR, YEAR // 4)
    at = datetime(1970, 1, 1) + timedelta(milliseconds=then)
    form = rng.choice([
        lambda: then, lambda: float(then), lambda: then + 0.5, lambda: f"{at:%Y-%m-%d}", lambda: f"{at:%Y-%m-%d}Z",
        lambda: f"{at:%Y-%m-%d}+05:30", lambda: f"{at:%Y-%m-%dT%H:%M}", lambda: f"{at:%Y-%m-%d %H:%M:%S}-23:59",
        lambda: f"{at:%Y-%m-%dT%H:%M:%S.%f}Z", lambda: f"{at:%Y-%m-%dT%H:%M:%S}.5+00:00",
        lambda: rng.choice(ODD_INSTANTS), lambda: odd_value(rng)])
    return form()


def phrase(rng, most=6):
    return "".join(skewed(rng, TERMS) + rng.choice(BETWEEN) for _ in range(rng.randint(0, most)))


def sometimes(rng, attributes):
    """Without some of the fields."""
    return {field: value for field, value in attributes.items() if rng.random() < 0.9}
