"""`flotilla models`: from a file to a version, to the plan that rankers follow, and back."""
import json
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import fleet as fleets  # noqa: E402
import models  # noqa: E402
from fleet import Fleet  # noqa: E402

FEATURES = """
features:
  - {name: clicks, scope: user, count: {event: click, windows: [1h]}}
  - {name: price, scope: proposition, attribute: {field: price}}
"""
COLUMNS = ("price", "clicks_1h")
AWAY = {"postgres.url": "postgresql://x@127.0.0.1:1/x"}     # no server listens there
PART_BYTES = 512 * 1024


def small(number=0):
    return models.text(2, [models.stump(0, 0.5 + number, -0.5, 0.25), models.stump(1, 3, 0.125, 2)], names=COLUMNS)


def large(number=0):
    """Three parts."""
    return models.text(2, [models.chain(60, 2, number + n) for n in range(200)], names=COLUMNS)


class Case(unittest.TestCase):
    def setUp(self):
        self.fleet = Fleet(self, FEATURES).create_topics().migrate()

    def models(self, verb, *arguments, status=0, **settings):
        ended = self.fleet.run("models", verb, *arguments, settings=settings.pop("settings", None))
        self.assertEqual(status, ended.returncode, f"{verb} {arguments}: {ended.stdout}{ended.stderr}")
        return ended

    def file(self, text, name="model.json"):
        path = self.fleet.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def register(self, text, *options, status=0, model="shop", **given):
        return self.models("register", "--model", model, "--file", self.file(text), *options, status=status, **given)

    def promote(self, version, *options, **given):
        return self.models("promote", "shop", version, *options, **given)

    def plan(self, model="shop"):
        return json.loads(self.models("plan", model, "--json").stdout)

    def plans(self):
        """Every plan that was ever put, oldest first."""
        return [record for record in self.fleet.tail("models") if record["model"] == "shop"]

    def shelf(self):
        """{version: bytes} of what rankers can load, made of the topic's parts."""
        parts = {}
        for line in self.fleet.tail("model.artifacts"):
            if "model" in line:
                parts[line["version"], line["part"]] = line
            else:
                _, version, part = line["key"].split("\x1f")
                parts.pop((int(version), int(part)), None)
        shelf = {}
        for (version, part), line in sorted(parts.items()):
            self.assertEqual(len([p for p in parts if p[0] == version]), line["parts"])
            shelf[version] = shelf.get(version, b"") + fleets.bytes_of(line["bytes"])
        return shelf

    def rows(self, columns="model, version"):
        return self.fleet.rows(f"SELECT {columns} FROM model_versions ORDER BY model, version")


class Registry(Case):
    def test_a_file_becomes_a_version_and_comes_back_byte_for_byte(self):
        said = self.register(small(), "--note", "first", "--metrics", self.file('{"auc": 0.7}', "metrics.json"))
        self.assertIn("registered shop version 1: 2 trees, depth 1, 2 columns, reg:squarederror", said.stdout)
        listed = [json.loads(line) for line in self.models("list", "--json").stdout.splitlines()]
        self.assertEqual(1, len(listed))
        for name, value in {"model": "shop", "version": 1, "note": "first", "metrics": {"auc": 0.7},
                            "features": list(COLUMNS), "trees": 2, "bytes": len(small()), "serves": ""}.items():
            self.assertEqual(value, listed[0][name], name)
        self.assertEqual(listed[0], json.loads(self.models("show", "shop", "--json").stdout))
        copy = self.fleet.folder / "copy.json"
        self.models("export", "shop", 1, "--to", copy)
        self.assertEqual(small(), copy.read_text())

    def test_people_are_shown_the_same(self):
        self.register(small())
        self.assertRegex(self.models("list", "shop").stdout, r"(?m)^shop +1 ")
        shown = self.models("show", "shop", 1).stdout
        for part in ("shop version 1", "trees       2, depth 1", "SHA-256 ", "price", "clicks_1h"):
            self.assertIn(part, shown)

    def test_what_a_version_was_trained_on_and_how_good_it_was_is_shown(self):
        self.register(small())
        self.fleet.rows("""
            INSERT INTO model_versions (model, version, os_user, artifact, sha256, size, objective, trees, depth,
                features, fingerprints, canary_rows, canary_margins, calibration, parameters, drift_reference, labels,
                label_window_ms, training_from, training_to, validation_from, test_from, training_requests,
                training_rows, training_positives, parent)
            SELECT model, 2, os_user, artifact, sha256, size, objective, trees, depth, features, fingerprints,
                canary_rows, canary_margins, '{"kind":"platt","slope":1.5,"intercept":-0.25}', '{"eta": 0.05}',
                '{"bins": [1, 2]}', 'click=1,convert=5', 3600000, '2025-01-01', '2025-01-31', '2025-01-21',
                '2025-01-25', 1200, 34567, 890, 1 FROM model_versions""")
        self.fleet.rows("""
            INSERT INTO model_metrics (model, version, place, scorer, segment, metric, value, low, high, n) VALUES
                ('shop', 2, 1, 'model', '', 'ndcg@10', 0.6125, 0.5, 0.75, 100),
                ('shop', 2, 2, 'rules', '', 'ndcg@10', 0.5875, 0.25, 0.6875, 100),
                ('shop', 2, 3, 'model', 'user=cold', 'ndcg@10', 0.4375, NULL, NULL, 7),
                ('shop', 2, 4, 'model', '', 'auc', NULL, NULL, NULL, 0)""")
        self.assertRegex(self.models("list", "shop").stdout, r"(?m)^shop +2 .* ndcg@10 0\.6125\b")
        shown = self.models("show", "shop", 2).stdout
        for part in ("calibration platt", "parent      version 1", 'parameters  {"eta": 0.05}',
                     "1,200 requests, 34,567 candidates, 890 of them positive", "click=1,convert=5, within 60 min",
                     "from        2025-01-01 00:00:00 UTC", "test        2025-01-25 00:00:00 UTC"):
            self.assertIn(part, shown)
        for line in (r"model +all +ndcg@10 +0\.6125 +0\.5000 +0\.7500 +100", r"rules +all +ndcg@10 +0\.5875 ",
                     r"model +user=cold +ndcg@10 +0\.4375 +- +- +7"):
            self.assertRegex(shown, line)
        self.assertNotIn("auc", shown)
        told = json.loads(self.models("show", "shop", 2, "--json").stdout)
        self.assertEqual({"kind": "platt", "slope": 1.5, "intercept": -0.25}, told["calibration"])
        self.assertEqual(({"eta": 0.05}, {"bins": [1, 2]}, 1),
                         (told["parameters"], told["drift_reference"], told["parent"]))
        self.assertEqual({"requests": 1200, "rows": 34567, "positives": 890, "labels": "click=1,convert=5",
                          "label_window_ms": 3600000, "from_ms": 1735689600000, "to_ms": 1738281600000,
                          "validation_from_ms": 1737417600000, "test_from_ms": 1737763200000}, told["training"])
        self.assertEqual(["ndcg@10", "ndcg@10", "ndcg@10", "auc"], [row["metric"] for row in told["report"]])
        self.assertEqual({"scorer": "model", "segment": "user=cold", "metric": "ndcg@10", "value": 0.4375, "low": None,
                          "high": None, "n": 7}, told["report"][2])
        with self.assertRaisesRegex(RuntimeError, "never changed or removed"):
            self.fleet.rows("DELETE FROM model_metrics")

    def test_the_same_file_again_is_version_two(self):
        self.register(small())
        self.register(small())
        self.register(small(), model="search")
        self.assertEqual([["search", "1"], ["shop", "1"], ["shop", "2"]], self.rows())

    def test_columns_are_the_files_or_those_given_or_all_values_in_order(self):
        nameless = models.text(2, [models.stump(0, 0.5, 1, 2)])
        self.register(small())
        self.register(nameless, "--columns", "price,clicks_1h")
        self.register(nameless)
        self.register(small(), "--columns", "price,clicks_1h")
        self.assertEqual([["{price,clicks_1h}"], ["{price,clicks_1h}"], ["{clicks_1h,price}"],
                          ["{price,clicks_1h}"]], self.rows("features"))

    def test_canary_rows_are_kept_with_a_margin_each(self):
        self.register(small())
        self.assertEqual([[str(16 * 2 * 4), str(16 * 4)]],
                         self.rows("octet_length(canary_rows), octet_length(canary_margins)"))

    def test_what_cannot_be_served_is_refused_by_its_name(self):
        stump = [models.stump(0, 0.5, 1, 2)]
        categorical = models.document(2, stump, names=COLUMNS)
        nodes = categorical["learner"]["gradient_booster"]["model"]["trees"][0]
        nodes.update(split_type=[1, 0, 0], categories=[1], categories_nodes=[0], categories_segments=[0],
                     categories_sizes=[1])
        for text, options, part in (
                (models.text(2, stump, names=COLUMNS, booster="dart"), (), "dart"),
                (json.dumps(categorical), (), "categorical"),
                (models.text(2, stump, names=COLUMNS, objective="survival:cox"), (), "survival:cox"),
                (small()[:-9], (), "model file"),
                ("no model", (), "model file"),
                (models.text(2, stump, names=("price", "prize")), (), "column 1 is prize"),
                (models.text(3, stump), (), "the model has 3 columns, and the definitions have 2"),
                (models.text(2, stump), ("--columns", "price"), "--columns has 1"),
                (models.text(2, stump), ("--columns", "price,"), "column 1 is ,"),
                (small(), ("--columns", "clicks_1h,price"), "column 0 is price in the file"),
                (small(), ("--metrics", self.file("[1]", "list.json")), "no JSON object")):
            with self.subTest(part):
                self.assertIn(part, self.register(text, *options, status=3).stderr)
        self.assertEqual([], self.rows())

    def test_wrong_usage_is_2_and_what_is_not_there_is_1(self):
        self.register(small(), model="rules", status=2)
        self.register(small(), model="a/b", status=2)
        self.models("register", "--model", "shop", status=2)
        self.models("export", "shop", "x", "--to", "/dev/null", status=2)
        self.models("export", "shop", 1, status=2)
        self.models("register", "--model", "shop", "--file", "/no/such/file", status=1)
        self.assertIn("none is registered yet", self.models("show", "shop", status=1).stderr)
        self.register(small())
        self.assertIn("model shop has no version 2: the newest is 1",
                      self.models("show", "shop", 2, status=1).stderr)
        self.assertIn("there are shop", self.models("show", "search", status=1).stderr)

    def test_a_version_is_never_changed_or_removed(self):
        self.register(small())
        for statement in ("UPDATE model_versions SET note = 'x'", "DELETE FROM model_versions",
                          "TRUNCATE model_versions CASCADE"):
            with self.subTest(statement), self.assertRaisesRegex(RuntimeError, "never changed or removed"):
                self.fleet.rows(statement)

    def test_operators_register_and_readers_read(self):
        sql = self.fleet.stack.sql
        for role in ("operator", "reader"):
            sql(f"CREATE ROLE {role}_{self.fleet.database} LOGIN IN ROLE flotilla_{role}")
            self.addCleanup(sql, f"DROP ROLE {role}_{self.fleet.database}")

        def as_(role):
            return {"postgres.url": self.fleet.stack.postgres_url(self.fleet.database,
                                                                  f"{role}_{self.fleet.database}")}
        self.assertIn("flotilla_operator", self.register(small(), status=1, settings=as_("reader")).stderr)
        self.register(small(), settings=as_("operator"))
        self.assertEqual([["shop", "1", f"operator_{self.fleet.database}"]], self.rows("model, version, actor"))
        self.models("show", "shop", settings=as_("reader"))


class Plans(Case):
    def test_promoted_versions_are_on_the_topic_and_others_are_not(self):
        for number in range(3):
            self.register(large(number) if number == 1 else small(number))
        said = self.promote(1, "--reason", "first").stdout
        self.assertIn("champion: rules -> version 1", said)
        self.assertEqual({1: small(0).encode()}, self.shelf())
        self.promote(2)
        self.assertEqual({1: small(0).encode(), 2: large(1).encode()}, self.shelf())
        self.assertGreater(len(large(1)), 2 * PART_BYTES)
        said = self.promote(3).stdout
        self.assertIn("version 1: no ranker needs to load it any more", said)
        self.assertEqual({2: large(1).encode(), 3: small(2).encode()}, self.shelf())
        self.assertEqual([(1, 0), (2, 1), (3, 2)], [(p["champion"], p["previous"]) for p in self.plans()])
        self.assertEqual("first", self.plans()[0]["reason"])
        self.assertTrue(self.plans()[0]["actor"])
        self.assertIn("champion", self.models("list").stdout)

    def test_rollback_needs_no_postgresql(self):
        self.register(small(0))
        self.register(large(1))
        self.promote(1)
        self.promote(2)
        self.assertIn("champion: version 2 -> version 1",
                      self.models("rollback", "shop", settings=AWAY).stdout)
        self.assertEqual((1, 2), (self.plan()["champion"], self.plan()["previous"]))
        self.models("rollback", "shop", settings=AWAY)
        self.assertEqual((2, 1), (self.plan()["champion"], self.plan()["previous"]))
        self.assertEqual({1: small(0).encode(), 2: large(1).encode()}, self.shelf())
        copy = self.fleet.folder / "copy.json"
        self.models("export", "shop", 2, "--to", copy)
        self.assertEqual(large(1), copy.read_text())

    def test_the_first_champion_is_rolled_back_to_rules(self):
        self.assertIn("has no champion", self.models("rollback", "shop", status=1).stderr)
        self.register(small())
        self.promote(1)
        self.models("rollback", "shop")
        self.assertEqual((0, 1), (self.plan()["champion"], self.plan()["previous"]))
        self.promote(0)
        self.assertEqual(2, len(self.plans()))      # it is the plan already

    def test_a_version_that_is_not_there_changes_nothing(self):
        self.register(small())
        self.promote(1)
        self.assertIn("has no version 9", self.promote(9, status=1).stderr)
        self.models("plan", "shop", "--challenger", "name=a,version=9,mode=ab,share=0.5", status=1)
        self.assertIn("not on topic", self.promote(9, status=1, settings=AWAY).stderr)
        self.promote("x", status=2)
        self.assertEqual([1], [p["champion"] for p in self.plans()])
        self.assertEqual([1], list(self.shelf()))

    def test_more_than_five_challengers_at_once(self):
        for number in range(8):
            self.register(small(number))
        self.promote(1)
        options = [word for version in range(2, 8) for word in
                   ("--challenger", f"name=c{version},version={version},mode=ab,share=0.1")]
        self.models("plan", "shop", *options, "--challenger", "name=dark,version=8,mode=shadow")
        plan = self.plan()
        self.assertEqual([(f"c{v}", v, "ab", 0.1) for v in range(2, 8)] + [("dark", 8, "shadow", 0)],
                         [(c["name"], c["version"], c["mode"], c["share"]) for c in plan["challengers"]])
        self.assertEqual(list(range(1, 9)), list(self.shelf()))
        shown = self.models("plan", "shop").stdout
        self.assertRegex(shown, r"champion +1 +40 %")
        self.assertRegex(shown, r"dark +8 +shadow +-")
        # One grows, one ends, one wins.
        self.models("plan", "shop", "--challenger", "name=c2,share=0.2", "--remove", "c3", "--salt", "2")
        said = self.promote(4).stdout
        self.assertIn("challenger c4: removed", said)
        plan = self.plan()
        self.assertEqual([("c2", 0.2), ("c5", 0.1), ("c6", 0.1), ("c7", 0.1), ("dark", 0)],
                         [(c["name"], c["share"]) for c in plan["challengers"]])
        self.assertEqual("2", plan["salt"])
        self.assertEqual([1, 2, 4, 5, 6, 7, 8], list(self.shelf()))

    def test_plans_that_cannot_be_followed_are_refused(self):
        self.register(small())
        self.promote(1)
        for options, part in (
                (("--challenger", "name=a,version=1,mode=ab,share=0.6", "--challenger",
                  "name=b,version=1,mode=ab,share=0.5"), "the shares add up to 1.1"),
                (("--challenger", "name=a,version=1,mode=blue"), "give shadow, canary or ab"),
                (("--challenger", "name=a,version=1,mode=ab,share=x"), "share \"x\" is no number"),
                (("--challenger", "name=a,mode=ab"), "name, version and mode are needed"),
                (("--challenger", "name=a,color=red"), "--challenger has no \"color\""),
                (("--challenger", "name=champion,version=1,mode=ab"), "is not champion"),
                (("--remove", "a"), "there is no challenger a")):
            with self.subTest(part):
                self.assertIn(part, self.models("plan", "shop", *options, status=2).stderr)
        self.assertEqual(1, len(self.plans()))

    def test_a_model_without_a_plan_cannot_be_pinned(self):
        self.assertIn("model nobody has no plan", self.models("pin", "nobody", status=1).stderr)
        self.assertEqual([], self.plans())

    def test_a_pin_is_in_the_plan_until_it_is_taken_off(self):
        self.register(small())
        self.promote(1)
        self.models("pin", "shop", "--reason", "sale")
        self.assertTrue(self.plan()["pinned"])
        self.assertIn("(pinned)", self.models("plan", "shop").stdout)
        self.models("unpin", "shop")
        self.assertFalse(self.plan()["pinned"])
        self.assertEqual(1, self.plan()["champion"])

    def test_a_model_without_a_plan_is_ranked_by_rules(self):
        self.assertIn("rules rank", self.models("plan", "shop", status=1).stderr)

    def test_a_topic_that_lost_parts_is_put_right(self):
        self.register(large())
        self.promote(1)
        self.fleet.produce_tombstone("model.artifacts", "shop\x1f1\x1f1")
        self.promote(1)
        self.assertEqual({1: large().encode()}, self.shelf())
        self.assertEqual(1, len(self.plans()))

    def test_definitions_that_have_changed_are_told_when_a_version_is_promoted(self):
        self.register(small())
        self.fleet.define(FEATURES.replace("event: click", "event: view"))
        said = self.promote(1)
        self.assertRegex(said.stderr, "version 1 cannot be used .*: clicks_1h: the model was trained on fingerprint")
        self.assertEqual(1, self.plan()["champion"])

    def test_where_no_ranker_runs_status_says_so(self):
        self.assertIn("no ranker runs", self.models("status", status=3).stderr)


if __name__ == "__main__":
    unittest.main()
