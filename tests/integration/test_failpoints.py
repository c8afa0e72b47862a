"""Programs that end themselves at a named place (common/base/failpoint.h), and all that follows is as if they had not.

The list of places is held against the source. Random orders print their SEED.
"""
import signal
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "tests/crash"), str(ROOT / "tests/integration")]
import failpoint_build  # noqa: E402
import failpoints  # noqa: E402
import fleet as fleets  # noqa: E402
import models  # noqa: E402
import points  # noqa: E402
import tour  # noqa: E402
from failpoints import Visit  # noqa: E402
from fleet import Fleet, wait_until  # noqa: E402
from test_dead_letters import Case as Letters  # noqa: E402
from test_ranker_faults import PATIENT  # noqa: E402
from test_ranker_faults import Case as Rankers  # noqa: E402

KILLED = -signal.SIGKILL
CLICKS = """
features:
  - {name: clicks, scope: user, count: {event: click, windows: [1h]}}
"""

A_STEP = """
static int save(struct saver *s, struct err *e)
{
    %s
    int rc = db_run(s->db, "COMMIT", e);
    %s
    return rc;
}
"""
BEFORE, AFTER = 'FAILPOINT("saver.before_commit");', 'FAILPOINT_WHEN(!rc, "saver.committed");'
IN_A_FUNCTION = """
static int leave(struct saver *s)
{
    return rd_kafka_consumer_close(s->rk) ? 1 : 0;
}

int saver_end(struct saver *s)
{
    %s
    int rc = leave(s);
    %s
    return rc;
}
"""


def functions(text):
    return list(points.functions_of("saver.c", text))


class Source(unittest.TestCase):
    def test_every_step_of_a_transaction_has_a_failpoint_before_and_after_it(self):
        self.assertEqual([], points.unguarded(points.source()))

    def test_a_step_without_a_failpoint_on_a_side_is_found(self):
        for text in (A_STEP, IN_A_FUNCTION):
            self.assertEqual([], points.unguarded(functions(text % (BEFORE, AFTER))))
            self.assertEqual(1, len(found := points.unguarded(functions(text % (BEFORE, "")))))
            self.assertIn("has no failpoint after it", found[0])
            self.assertEqual(1, len(found := points.unguarded(functions(text % ("", AFTER)))))
            self.assertIn("has no failpoint before it", found[0])
            self.assertNotEqual([], points.unguarded(functions(text % ("", ""))))
            self.assertNotEqual([], points.unguarded(functions(text % (f"/* {BEFORE} */", AFTER))))

    def test_two_steps_need_a_failpoint_between_them(self):
        twice = A_STEP.replace("    %s\n    return", '    rc = db_run(s->db, "BEGIN", e);\n    %s\n    return')
        self.assertEqual(2, len(points.unguarded(functions(twice % (BEFORE, AFTER)))))

    def test_every_failpoint_has_a_name_of_its_own(self):
        self.assertGreater(len(points.points(points.source())), 100)
        with self.assertRaisesRegex(ValueError, "saver.before_commit"):
            points.points(functions(A_STEP % (BEFORE, BEFORE)))

    def test_every_failpoint_is_one_that_a_test_comes_to_and_no_other_is_named(self):
        known = failpoints.all_points()
        self.assertEqual([], [point for point in known if failpoints.way_of(point) is None])
        ways = [failpoints.pattern_of(point) for point in known]
        self.assertEqual([], [pattern for pattern, *_ in failpoints.WAYS if pattern not in ways])


class Workers(unittest.TestCase):
    """Features and recorder, in a world of tests/crash."""

    def setUp(self):
        failpoint_build.use_for(self)

    def test_whoever_dies_at_any_failpoint_changes_no_value_and_no_row(self):
        rng = fleets.seeded(self, 1)
        compared = tour.tour(self, 1, tour.once(rng))
        print(f"{dict(compared)} compared")

    def test_a_failpoint_that_is_none_ends_the_start_with_a_word(self):
        fleet = Fleet(self, CLICKS)
        for wrong in ("committer.before_comit:1:kill", "committer.before_commit:0:kill", "committer.before_commit"):
            worker = fleet.start("features", ready=False, variables={"FAILPOINT": wrong})
            self.assertEqual(1, worker.wait_end())
            self.assertIn("FAILPOINT", worker.text())
            self.assertIn(wrong.partition(":")[0], worker.text())


class Ranker(Rankers):
    def setUp(self):
        super().setUp()
        failpoint_build.use_for(self)

    def test_whoever_dies_at_any_failpoint_leaves_no_request_unanswered(self):
        rng = fleets.seeded(self, 2)
        self.begin(**PATIENT)
        self.fleet.start("ranker", instance="other")
        visits = [Visit(point) for point in failpoints.points_of("ranker", "load", "start", "rebalance", "drain")]
        rng.shuffle(visits)
        for number, visit in enumerate(visits):
            self.die_at(visit, rng, number)
        self.fleet.start("ranker", instance="one")
        self.load(0.5, rng)
        self.assertAllAnswered()

    def die_at(self, visit, rng, number):
        worker = self.fleet.start("ranker", ready=False, variables={"FAILPOINT": str(visit)}, instance="one")
        way = failpoints.way_of(visit.point)[1]
        if way in ("drain", "rebalance"):
            wait_until(lambda: failpoints.is_ready(worker), f"{visit}: it does not start", failpoints.REACH_LIMIT_S)
        if way == "drain":
            worker.process.send_signal(signal.SIGTERM)
        extra = self.fleet.start("ranker", ready=False, instance=f"extra-{number}") if way == "rebalance" else None
        wait_until(lambda: self.load(0.1, rng) or not worker.is_running(), f"{visit} is not reached",
                   failpoints.REACH_LIMIT_S)
        self.assertTrue(failpoints.has_fired(worker, visit), f"{visit}: {worker.text()[-2000:]}")
        if extra:
            extra.wait_ready().stop()


class Commands(Letters):
    def setUp(self):
        failpoint_build.use_for(self)
        super().setUp()

    def die_at(self, visit, *arguments, **given):
        """A command that ends itself."""
        ended = self.fleet.run(*arguments, variables={"FAILPOINT": str(visit)}, **given)
        self.assertEqual(KILLED, ended.returncode, f"{visit}: {ended.stdout}{ended.stderr}")

    # ------------------------------------------------------------ migrate

    def tables(self, database):
        """Everything that migrations make."""
        shown = subprocess.run(["pg_dump", "--schema-only", "--no-comments", self.fleet.stack.postgres_url(database)],
                               capture_output=True, encoding="utf-8", check=True).stdout
        # A dump names itself by a random word, to forbid psql's own commands in it.
        schema = [line for line in shown.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]
        return schema, self.fleet.stack.sql("SELECT version, name, sha256 FROM schema_migrations ORDER BY 1", database)

    def test_migrations_that_were_killed_are_finished_by_the_next_and_make_the_same_tables(self):
        whole = self.tables(self.fleet.database)
        for point in failpoints.points_of("flotilla", "migrate"):
            with self.subTest(point):
                self.fleet.stack.sql(f"DROP DATABASE {self.fleet.database} WITH (FORCE)")
                self.fleet.create_database()
                self.die_at(Visit(point), "migrate")
                if point != "migrations.locked":       # once a run
                    self.die_at(Visit(point, 2), "migrate")
                self.fleet.flotilla("migrate")
                self.assertEqual(whole, self.tables(self.fleet.database))

    # ------------------------------------------------------------ models register

    def test_a_model_whose_registration_was_killed_is_there_or_not_and_can_be_registered_again(self):
        file = self.fleet.folder / "model.json"
        file.write_text(models.text(1, [models.stump(0, 0.5, -0.5, 0.25)], names=("clicks_1h",)), encoding="utf-8")
        for point in failpoints.points_of("flotilla", "register"):
            with self.subTest(point):
                model = point.rpartition(".")[2]
                register = ("models", "register", "--model", model, "--file", file)
                self.die_at(Visit(point), *register)
                committed = point.endswith(".committed")
                rows = f"SELECT version FROM model_versions WHERE model = '{model}' ORDER BY 1"
                self.assertEqual([["1"]] if committed else [], self.fleet.rows(rows))
                self.fleet.flotilla(*register)
                self.assertEqual([["1"], ["2"]] if committed else [["1"]], self.fleet.rows(rows))
                self.fleet.flotilla("models", "promote", model, 1)

    # ------------------------------------------------------------ dead-letters replay

    def test_a_replay_that_was_killed_anywhere_sends_each_letter_once(self):
        count = 0
        for point in failpoints.points_of("flotilla", "replay"):
            aborts = point in ("replay.before_abort", "replay.aborted")
            # A record that Kafka refuses makes it begin its transaction again.
            is_refused = f"[ $DEAD_LETTER_OFFSET = {count + 7} ]"
            refused = ("--edit", f"if {is_refused}; then head -c 3000000 /dev/urandom; else cat; fi")
            self.bury(20, first=count)
            with self.subTest(point):
                self.die_at(Visit(point), "dead-letters", "replay", "--yes", *(refused if aborts else ()))
                self.replay()
            count += 20
        self.assertOnce(count)


if __name__ == "__main__":
    unittest.main()
