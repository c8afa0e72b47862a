"""Records that could not be used: kept whole, shown, and brought back by `flotilla dead-letters`, once each, on a real
Kafka and a real PostgreSQL.

Where a replay has to be ended at one exact instant, a trigger in PostgreSQL holds it there. A random test prints its
SEED.
"""
import base64
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import fleet as fleets  # noqa: E402
from fleet import Fleet, wait_until  # noqa: E402

CATCH_UP_S = 60
TIME = 1_700_000_000_000
FEATURES = """
features:
  - {name: clicks, scope: user, count: {event: click, windows: [1h]}}
  - {name: spend, scope: user, sum: {event: order, windows: [1h]}}
"""
HOLD = 4711             # the number of the lock that holds a replay


def event(number, **more):
    return {"event_id": f"e{number}", "event": "click", "user_id": "u", "timestamp": TIME, **more}


class Case(unittest.TestCase):
    def setUp(self):
        self.fleet = Fleet(self, FEATURES, **{"postgres.timeout_ms": 60000}).create_topics().migrate()
        self.events = self.fleet.topic("events")

    # ------------------------------------------------------------ letters

    def bury(self, count, value="value || g", key="'k' || g % 7", reason="'undecodable'", first=0, topic=None,
             detail="'byte 1: not JSON'"):
        """Dead letters as the recorder would have stored them, with expressions on g, their offset."""
        self.fleet.rows(
            f"INSERT INTO dead_letters (topic, partition, \"offset\", worker, reason, detail, key, value, headers) "
            f"SELECT '{topic or self.events}', g % 3, g, 'features', {reason}, {detail}, "
            f"convert_to({key}, 'UTF8'), convert_to({value}, 'UTF8'), '[[\"trace\", \"t\"]]' "
            f"FROM generate_series({first}, {first + count - 1}) AS g, (SELECT 'v' AS value) AS v")

    def places(self, count, first=0):
        return [f"{self.events}/{n % 3}/{n}" for n in range(first, first + count)]

    def wait_letters(self, count):
        wait_until(lambda: self.letters() >= count, lambda: f"{self.letters()} letters, not {count}", CATCH_UP_S)

    def letters(self):
        return int(self.fleet.rows("SELECT count(*) FROM dead_letters")[0][0])

    def states(self):
        return Counter(row[0] for row in self.fleet.rows("SELECT state FROM dead_letter_replays"))

    # ------------------------------------------------------------ what is in the topics

    def records(self, topic="events"):
        """All committed records, as kcat sees them; headers as a list of pairs."""
        run = subprocess.run(["kcat", "-b", self.fleet.stack.brokers, "-C", "-q", "-e", "-J", "-X",
                              "isolation.level=read_committed", "-t", self.fleet.topic(topic)], capture_output=True,
                             timeout=60, check=True)
        # It prints bytes that are no text as they are.
        lines = run.stdout.decode("utf-8", "replace").split("\n")
        records = [json.loads(line, strict=False) for line in lines if line]
        for r in records:
            flat = r.get("headers", [])
            r["headers"] = list(zip(flat[::2], flat[1::2]))
        return records

    def arrived(self):
        """The dead letters that records of the topic say they were."""
        return [dict(r["headers"])["flotilla-replay"] for r in self.records()]

    def assertOnce(self, count):
        """Each of so many letters is in the topic once, and that is on record."""
        arrived = Counter(self.arrived())
        self.assertEqual({place: 1 for place in self.places(count)}, dict(arrived))
        self.assertEqual({"sent": count}, dict(self.states()))
        rows = self.fleet.rows("SELECT topic || '/' || partition || '/' || \"offset\", target_partition, target_offset "
                               "FROM dead_letter_replays")
        at = {(r["partition"], r["offset"]): dict(r["headers"])["flotilla-replay"] for r in self.records()}
        self.assertEqual({place: place for place, _, _ in rows},
                         {place: at.get((int(partition), int(offset))) for place, partition, offset in rows})

    # ------------------------------------------------------------ the command

    def command(self, *arguments, status=0, **given):
        run = self.fleet.run("dead-letters", *arguments, **given)
        self.assertEqual(status, run.returncode, f"{arguments}: {run.stdout}{run.stderr}")
        return run

    def replay(self, *arguments, status=0, **given):
        return self.command("replay", "--yes", *arguments, status=status, **given)

    def start_replay(self, *arguments):
        process = subprocess.Popen([fleets.BIN / "flotilla", "dead-letters", "replay", "--yes", *arguments,
                                    *self.fleet.options()], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, encoding="utf-8", env=fleets.environment())
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        process.kill()
        process.wait()
        process.stdout.close()


class Kept(Case):
    """What a dead letter keeps of its record."""

    def test_headers_and_key_come_back_on_the_dead_letter_and_in_the_table(self):
        path = self.fleet.folder / "bad"
        path.write_bytes(b"\xff no event")
        headers = [word for header in ("trace=1", "b=2", "trace=3", "none", "empty=") for word in ("-H", header)]
        self.fleet.kcat("-P", "-t", self.events, "-k", "u", *headers, path)
        self.fleet.kcat("-P", "-t", self.events, "-p", "2", "-H", "no=key", path)
        self.fleet.start("features")
        self.fleet.start("recorder")
        self.wait_letters(2)
        expected = {"u": [("trace", "1"), ("b", "2"), ("trace", "3"), ("none", None), ("empty", "")],
                    None: [("no", "key")]}
        self.assertEqual(expected, {r["key"]: r["headers"] for r in self.records("dead-letters")})
        rows = self.fleet.rows("SELECT convert_from(key, 'UTF8'), headers FROM dead_letters")
        self.assertEqual({key: [list(pair) for pair in pairs] for key, pairs in expected.items()},
                         {key: json.loads(text) for key, text in rows})

    def test_what_the_recorder_itself_cannot_store_keeps_its_headers(self):
        self.fleet.kcat("-P", "-t", self.fleet.topic("features"), "-k", "u", "-H", "a=ä", stdin="no record")
        self.fleet.start("recorder")
        self.wait_letters(1)
        self.assertEqual([["recorder", '[["a", "ä"]]']], self.fleet.rows("SELECT worker, headers FROM dead_letters"))

    def test_too_many_headers_are_cut_said_so_and_not_replayed(self):
        headers = [word for n in range(5) for word in ("-H", f"h{n}={'x' * 20000}")]
        self.fleet.kcat("-P", "-t", self.events, "-k", "u", *headers, stdin="no event")
        self.fleet.start("features")
        self.fleet.start("recorder")
        self.wait_letters(1)
        detail, count = self.fleet.rows("SELECT detail, jsonb_array_length(headers) FROM dead_letters")[0]
        self.assertEqual("3", count)
        self.assertRegex(detail, r" \(the first 3 of 5 headers are kept\)$")
        self.assertIn("0 sent", self.replay().stdout)
        self.assertEqual(1, len(self.records()))


class Whole(Case):
    """From a bad event to its feature."""

    def clicks(self):
        return {tuple(r["key"]): r["values"].get("clicks_1h") for r in self.fleet.recorded()}

    def test_a_bad_event_is_listed_shown_repaired_and_counted(self):
        self.fleet.start("features")
        self.fleet.start("recorder")
        bad = json.dumps(event(1)).replace('"timestamp"', '"timestmap"')
        self.fleet.produce("events", [("u", bad.encode()), ("u", json.dumps(event(2)).encode())])
        self.wait_letters(1)
        listed = json.loads(self.command("list", "--json").stdout)
        self.assertEqual([self.events, "schema_mismatch", "none"], [listed[k] for k in ("topic", "reason", "state")])
        place = f"{self.events}/{listed['partition']}/{listed['offset']}"
        self.assertIn(place, self.command("list").stdout)
        shown = self.command("show", f"events/{listed['partition']}/{listed['offset']}").stdout
        for text in (place, "schema_mismatch", '"u"', "timestmap"[:4]):
            self.assertIn(text, shown)
        said = self.replay("--edit", "sed s/timestmap/timestamp/").stdout
        self.assertRegex(said, r"^1 sent in ")
        wait_until(lambda: self.clicks() == {("u",): 2}, self.clicks, CATCH_UP_S)
        shown = self.command("show", place).stdout
        digest = hashlib.sha256(json.dumps(event(1)).encode()).hexdigest()
        self.assertRegex(shown, r"(?m)^replay +sent, in " + re.escape(self.events) + r"/\d/\d+$")
        self.assertIn(digest, shown)
        self.assertIn("sed s/timestmap/timestamp/", shown)
        self.assertRegex(self.replay().stdout, r"^0 sent .*1 already replayed")
        self.fleet.settle()
        self.assertEqual({("u",): 2}, self.clicks())

    def test_what_is_still_bad_becomes_a_letter_of_its_own_and_is_not_sent_in_circles(self):
        self.fleet.start("features")
        self.fleet.start("recorder")
        self.fleet.produce("events", [("u", b"no event")])
        self.wait_letters(1)
        self.assertRegex(self.replay().stdout, r"^1 sent in ")
        self.wait_letters(2)
        self.assertRegex(self.replay("--edit", f"echo '{json.dumps(event(1))}'").stdout, r"^1 sent in ")
        wait_until(lambda: self.clicks() == {("u",): 1}, self.clicks, CATCH_UP_S)
        chain = [[value for name, value in r["headers"] if name == "flotilla-replay"] for r in self.records()]
        self.assertEqual([0, 1, 2], sorted(map(len, chain)))
        self.assertRegex(self.replay().stdout, r"^0 sent .*2 already replayed")


class Listed(Case):
    def setUp(self):
        super().setUp()
        self.bury(30)
        self.bury(5, first=100, reason="'future_timestamp'", detail="'100 s ahead of ' || g", key="'old'")
        self.bury(2, first=200, topic=self.fleet.topic("users"), reason="'missing_key'", detail="'no key'")
        self.fleet.rows("UPDATE dead_letters SET recorded_at = now() - interval '3 hours' WHERE \"offset\" >= 100 "
                        "AND \"offset\" < 200")

    def listed(self, *filters):
        words = [word for f in filters for word in ("--filter", f)]
        lines = self.command("list", "--json", *words).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def test_filters_are_all_to_hold(self):
        for filters, count in (((), 37), (("topic=events",), 35), ((f"topic={self.events}",), 35),
                               (("topic=users",), 2), (("reason=future_timestamp",), 5), (("worker=recorder",), 0),
                               (("topic=events", "offset=28..101"), 4), (("partition=1", "offset=1"), 1),
                               (("detail~ahead",), 5), (("detail~%",), 0), (("key=old",), 5),
                               (("since=1h",), 32), (("until=1h",), 5), (("since=4h", "until=2h"), 5),
                               (("since=2000-01-01T00:00:00Z",), 37), (("until=2000-01-01T00:00:00Z",), 0),
                               (("state=none",), 37), (("state=sent",), 0)):
            with self.subTest(filters):
                self.assertEqual(count, len(self.listed(*filters)))

    def test_filters_that_mean_nothing_are_refused_with_what_there_is(self):
        for text in ("topic", "color=red", "offset=x", "offset=1..", "since=soon", "state=lost", ""):
            with self.subTest(text):
                said = self.command("list", "--filter", text, status=2).stderr
                self.assertTrue(text in said and ("give" in said or "there are" in said), said)

    def test_letters_are_counted_by_what_went_wrong(self):
        self.replay("--filter", "offset=0..9")
        rows = [json.loads(line) for line in self.command("list", "--by", "detail", "--json").stdout.splitlines()]
        self.assertEqual([(30, 10, self.events, "undecodable: byte N: not JSON"),
                          (5, 0, self.events, "future_timestamp: N s ahead of N"),
                          (2, 0, self.fleet.topic("users"), "missing_key: no key")],
                         [(r["letters"], r["sent"], r["topic"], r["what"]) for r in rows])
        table = self.command("list", "--by", "topic").stdout.splitlines()
        self.assertEqual(["35", "10", self.events], table[1].split()[:3])
        self.assertEqual(["2", "0", self.fleet.topic("users")], table[2].split()[:3])
        self.command("list", "--by", "color", status=2)

    def test_the_newest_come_first_and_what_is_left_out_is_said(self):
        said = self.command("list", "--limit", "33")
        lines = said.stdout.splitlines()
        self.assertEqual(34, len(lines))
        self.assertNotIn("future_timestamp", "".join(lines[1:33]))
        self.assertIn("future_timestamp", lines[33])
        self.assertIn("there are more", said.stderr)
        self.assertNotIn("there are more", self.command("list", "--limit", "37").stderr)

    def test_without_its_tables_it_says_what_to_do(self):
        for statement in ("DROP TABLE dead_letter_replays", "DROP TABLE dead_letters"):
            self.fleet.rows(statement)
            for command in (("list",), ("show", "events/0/0"), ("replay", "--yes")):
                with self.subTest(statement=statement, command=command):
                    self.assertIn("flotilla migrate", self.command(*command, status=1).stderr)


class Shown(Case):
    def test_the_byte_that_the_detail_names_is_marked(self):
        self.bury(1, value="repeat('x', 20) || '!' || repeat('y', 3000) || '?'", detail="'field a, byte 20: bad'")
        shown = self.command("show", "events/0/0").stdout
        self.assertRegex(shown, r"(?m)^00000010  78 78 78 78>21<79 79")
        self.assertEqual(1, len(re.findall(r">[0-9a-f]{2}<", shown)))
        self.assertIn("\n... ", shown)
        self.assertNotIn("?|", shown)
        whole = self.command("show", "events/0/0", "--all").stdout
        self.assertRegex(whole, r"79 3f +\|y+\?\|")
        self.assertNotIn("\n... ", whole)

    def test_what_can_be_read_of_it_is_shown(self):
        self.bury(1, value=f"'{json.dumps(event(7))}'", reason="'future_timestamp'", key="E'\\n'")
        self.fleet.rows("UPDATE dead_letters SET headers = '[[\"a\", null], [{\"base64\": \"/w==\"}, \"x\"]]'")
        shown = self.command("show", "events/0/0").stdout
        record = json.loads(re.search(r"(?m)^record +(.*)$", shown)[1])
        self.assertEqual(("e7", TIME), (record["event_id"], record["timestamp"]))
        self.assertRegex(shown, r'(?m)^key +"\\n"$')
        self.assertRegex(shown, r'(?m)^headers +"a" = none$')
        self.assertRegex(shown, r'(?m)^ +bytes ff = "x"$')
        self.assertRegex(shown, r"(?m)^replay +none$")

    def test_a_place_that_is_none_is_refused_and_one_without_a_letter_is_said(self):
        for place in ("events", "events/1", "events/x/1", "events/1/-1", "/1/1", "events/1/1/1"):
            with self.subTest(place):
                self.assertIn("topic/partition/offset", self.command("show", place, status=2).stderr)
        self.assertIn(f"{self.events}/1/1", self.command("show", "events/1/1", status=1).stderr)


class Repaired(Case):
    """What the repair command is told, and what may go wrong with it."""

    def test_it_is_told_which_letter_it_has(self):
        self.bury(1, first=5, detail="'it''s bad'")
        out = self.fleet.folder / "told"
        self.replay("--edit", f"env -0 | grep -z ^DEAD_LETTER_ > '{out}'; cat >> '{out}'; echo repaired")
        *variables, value = out.read_bytes().split(b"\0")
        self.assertEqual(b"v5", value)
        told = dict(v.decode().split("=", 1) for v in variables)
        self.assertEqual({"DEAD_LETTER_TOPIC": self.events, "DEAD_LETTER_PARTITION": "2", "DEAD_LETTER_OFFSET": "5",
                          "DEAD_LETTER_REASON": "undecodable", "DEAD_LETTER_DETAIL": "it's bad",
                          "DEAD_LETTER_WORKER": "features", "DEAD_LETTER_HEADERS": '[["trace", "t"]]',
                          "DEAD_LETTER_HAS_VALUE": "yes",
                          "DEAD_LETTER_KEY_BASE64": base64.b64encode(b"k5").decode()}, told)
        record, = self.records()
        self.assertEqual(("k5", "repaired\n", [("trace", "t"), ("flotilla-replay", f"{self.events}/2/5")]),
                         (record["key"], record["payload"], record["headers"]))

    def test_what_it_leaves_is_noted_and_may_be_tried_again(self):
        self.bury(12)
        edit = ('echo "sees $DEAD_LETTER_OFFSET" >&2; case $DEAD_LETTER_OFFSET in 3) exit 65;; 4) exit 1;; '
                '5) kill -9 $$;; 6) sleep 1000;; 7) exec cat /dev/zero;; 8) exit 0;; esac; cat')
        said = self.replay("--edit", edit, "--edit-timeout", "1", status=1)
        self.assertRegex(said.stdout, r"^7 sent in .*, 1 left by the repair command, 4 failed$")
        for n in range(12):
            self.assertIn(f"{self.events}/{n % 3}/{n}: sees {n}\n", said.stderr)
        notes = dict(self.fleet.rows("SELECT \"offset\", note FROM dead_letter_replays WHERE state = 'left'"))
        self.assertEqual({"3", "4", "5", "6", "7"}, set(notes))
        for n, text in (("3", "status 65"), ("4", "status 1"), ("5", "signal 9"), ("6", "after 1000 ms"),
                        ("7", "more than 16777216 bytes")):
            self.assertIn(text, notes[n])
        self.assertFalse(next(r["payload"] for r in self.records() if r["headers"][-1][1].endswith("/8")))
        again = self.replay("--filter", "state=left")
        self.assertRegex(again.stdout, r"^5 sent in ")
        self.assertOnce(12)
        self.assertEqual([["2", "5"], ["1", "7"]], self.fleet.rows(
            "SELECT attempts, count(*) FROM dead_letter_replays GROUP BY 1 ORDER BY 2"))

    def test_a_command_that_does_not_read_is_no_problem(self):
        self.bury(1, value="repeat('x', 500000)")
        self.replay("--edit", "exec <&-; echo short")
        self.assertEqual(["short\n"], [r["payload"] for r in self.records()])

    def test_what_kafka_refuses_is_left_and_the_others_are_sent(self):
        self.bury(20)
        edit = 'if [ $DEAD_LETTER_OFFSET = 7 ]; then head -c 3000000 /dev/urandom; else cat; fi'
        said = self.replay("--edit", edit, status=1)
        self.assertRegex(said.stdout, r"^19 sent in .*, 1 failed$")
        self.assertIn(f"{self.events}/1/7: Kafka does not take it", said.stderr)
        self.assertEqual({"sent": 19, "left": 1}, dict(self.states()))
        self.assertRegex(self.replay().stdout, r"^1 sent in ")
        self.assertOnce(20)

    def test_a_rehearsal_sends_nothing_and_notes_nothing(self):
        self.bury(5)
        said = self.command("replay", "--dry-run", "--edit", "[ $DEAD_LETTER_OFFSET != 2 ] || exit 65")
        self.assertRegex(said.stdout, r"^4 would be sent in .*, 1 left by the repair command$")
        self.assertEqual(([], {}), (self.records(), dict(self.states())))
        self.assertEqual([["0"]], self.fleet.rows("SELECT count(*) FROM dead_letter_replay_runs"))

    def test_without_yes_nobody_is_asked_who_cannot_answer(self):
        self.bury(5)
        self.assertIn("--yes", self.command("replay", status=2).stderr)
        self.assertEqual([], self.records())

    def test_keys_values_and_headers_that_are_none_stay_none(self):
        self.bury(2, topic=self.fleet.topic("users"))
        self.fleet.rows("UPDATE dead_letters SET value = NULL, headers = NULL WHERE \"offset\" = 0")
        self.bury(3, first=10)
        self.fleet.rows("UPDATE dead_letters SET key = NULL WHERE \"offset\" = 10; "
                        "UPDATE dead_letters SET key = '' WHERE \"offset\" = 11")
        self.replay()
        users = {r["key"]: (r["payload"], len(r["headers"])) for r in self.records("users")}
        self.assertEqual({"k0": (None, 1), "k1": ("v1", 2)}, users)
        events = {r["payload"]: (r["key"], r["partition"]) for r in self.records()}
        self.assertEqual((None, 1), events["v10"])
        self.assertEqual("", events["v11"][0])
        self.assertEqual({"v10", "v11", "v12"}, set(events))

    def test_a_letter_that_was_recorded_again_after_a_rebuild_is_sent_once(self):
        self.bury(10)
        self.bury(10)
        self.assertRegex(self.replay().stdout, r"^10 sent in ")
        self.bury(10)
        self.assertRegex(self.replay().stdout, r"^0 sent .*10 already replayed")
        self.assertOnce(10)

    def test_letters_of_another_fleet_in_the_same_database_are_left_alone(self):
        self.bury(3)
        self.bury(3, first=50, topic="another.fleet.events")
        self.assertRegex(self.replay().stdout, r"^3 sent in ")
        self.assertOnce(3)

    def test_copies_of_a_key_go_where_every_producer_puts_them(self):
        self.bury(40, key="'key' || g")
        self.replay()
        for n in range(40):
            self.fleet.kcat("-P", "-t", self.events, "-X", "topic.partitioner=murmur2_random", "-k", f"key{n}",
                            "-H", "flotilla-replay=by-kcat", stdin=f"other{n}")
        where = {}
        for record in self.records():
            where.setdefault(record["key"], set()).add(record["partition"])
        self.assertEqual([1] * 40, [len(partitions) for partitions in where.values()])
        self.assertGreater(len(set.union(*where.values())), 1)


class Rights(Case):
    def test_an_operator_may_replay_and_nothing_else(self):
        user = f"operator_{self.fleet.database}"
        sql = self.fleet.stack.sql
        sql(f"CREATE ROLE {user} LOGIN IN ROLE flotilla_operator")
        self.addCleanup(sql, f"DROP ROLE {user}")
        self.bury(5)
        settings = {"postgres.url": self.fleet.stack.postgres_url(self.fleet.database, user)}
        self.command("list", settings=settings)
        self.command("show", "events/0/0", settings=settings)
        self.replay("--edit", "cat", settings=settings)
        self.assertOnce(5)
        run = self.fleet.rows("SELECT actor, command, filter, fleet FROM dead_letter_replay_runs")
        self.assertEqual([[user, "cat", "", self.fleet.prefix]], run)
        for statement in ("DELETE FROM dead_letters", "DELETE FROM dead_letter_replays",
                          "UPDATE dead_letters SET key = ''", "DELETE FROM dead_letter_replay_runs",
                          "UPDATE dead_letter_replay_runs SET actor = 'me'", "SELECT * FROM consumer_offsets",
                          "INSERT INTO feature_values VALUES ('', '{}', now(), '{}')"):
            with self.subTest(statement), self.assertRaisesRegex(RuntimeError, "permission denied"):
                sql(statement, self.fleet.database, user)

    def test_a_reader_may_list_and_not_replay(self):
        user = f"reader_{self.fleet.database}"
        self.fleet.stack.sql(f"CREATE ROLE {user} LOGIN IN ROLE flotilla_reader")
        self.addCleanup(self.fleet.stack.sql, f"DROP ROLE {user}")
        self.bury(5)
        settings = {"postgres.url": self.fleet.stack.postgres_url(self.fleet.database, user)}
        self.command("list", settings=settings)
        self.assertIn("flotilla_operator", self.replay(settings=settings, status=1).stderr)
        self.assertEqual([], self.records())


class Killed(Case):
    """kill -9 at any instant, and then a replay that is left alone: each letter is in the topic once."""

    COUNT = 250

    def setUp(self):
        super().setUp()
        self.bury(self.COUNT)

    @contextmanager
    def held(self, when):
        """Replays wait before they INSERT, or UPDATE, a row of a letter, until this ends."""
        self.fleet.rows(f"""
            CREATE OR REPLACE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_advisory_xact_lock_shared({HOLD}); RETURN NEW; END $$;
            CREATE TRIGGER hold BEFORE {when} ON dead_letter_replays FOR EACH ROW EXECUTE FUNCTION hold()""")
        holder = subprocess.Popen(["psql", "-Xqt", self.fleet.stack.postgres_url(self.fleet.database)],
                                  stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, encoding="utf-8")
        try:
            holder.stdin.write(f"SELECT pg_advisory_lock({HOLD});\n")
            holder.stdin.flush()
            wait_until(lambda: self.locks("granted"), "the lock is not had", 30)
            yield holder
        finally:
            holder.stdin.close()
            holder.wait()
            self.fleet.rows("DROP TRIGGER hold ON dead_letter_replays")

    def locks(self, condition):
        return self.fleet.rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory' "
                               f"AND objid = {HOLD} AND {condition}")

    def wait_held(self):
        wait_until(lambda: self.locks("NOT granted"), "no replay is waiting", CATCH_UP_S)

    def kafka(self, number):
        """Sends a signal to the server."""
        pid = (Path(self.fleet.stack.directory) / "kafka/pid").read_text(encoding="ascii").split()[0]
        os.kill(int(pid), number)

    def test_by_its_repair_command_at_a_call(self):
        counter = self.fleet.folder / "calls"
        for call in (1, 50, 100, 101, 120, 30):
            counter.write_text("")
            self.replay("--edit", f"echo >> '{counter}'; [ $(wc -l < '{counter}') -lt {call} ] || kill -9 $PPID; cat",
                        status=-9)
        self.replay("--edit", "cat")
        self.assertOnce(self.COUNT)

    def test_after_the_rows_and_before_the_records(self):
        with self.held("INSERT") as holder:
            replay = self.start_replay()
            self.wait_held()
            self.addCleanup(self.kafka, signal.SIGCONT)
            self.kafka(signal.SIGSTOP)
            holder.stdin.close()
            wait_until(lambda: self.states() == {"sending": 100}, self.states, CATCH_UP_S)
            self.end(replay)
            self.kafka(signal.SIGCONT)
        self.assertIn("100 of an earlier replay found not to be sent", self.replay().stdout)
        self.assertOnce(self.COUNT)

    def test_after_the_records_and_before_the_rows_say_so(self):
        with self.held("UPDATE"):
            replay = self.start_replay()
            self.wait_held()
            self.assertEqual(100, len(self.records()))
            self.end(replay)
            # The server has not heard of it yet, and the row is still locked.
            pid, = self.locks("NOT granted")[0]
            self.fleet.stack.sql(f"SELECT pg_terminate_backend({pid})")
        self.assertEqual({"sending": 100}, dict(self.states()))
        self.assertIn("100 of an earlier replay found to be sent", self.replay().stdout)
        self.assertOnce(self.COUNT)
        notes = self.fleet.rows("SELECT count(*) FROM dead_letter_replays WHERE note LIKE '%found in the topic%'")
        self.assertEqual([["100"]], notes)

    def test_postgresql_after_the_records_and_before_the_rows_say_so_it_goes_on(self):
        self.addCleanup(self.fleet.stack.run, "postgres-start")
        with self.held("UPDATE"):
            replay = self.start_replay()
            self.wait_held()
            self.fleet.stack.run("postgres-kill")
            self.fleet.stack.run("postgres-start")
            self.assertEqual(0, replay.wait(timeout=120), replay.stdout.read())
        self.assertOnce(self.COUNT)

    def test_at_random(self):
        rng = fleets.seeded(self, 1)
        kills, count = 0, 4 * self.COUNT
        self.bury(count - self.COUNT, first=self.COUNT)
        while self.states().get("sent", 0) < count:
            self.assertLess(kills, 200)
            replay = self.start_replay(*(["--edit", "cat"] if rng.random() < 0.5 else []))
            if rng.random() < 0.7:      # somewhere between the rows and the end of the batch
                wait_until(lambda: self.states().get("sending") or replay.poll() is not None, "nothing happens", 60)
                time.sleep(rng.uniform(0, 0.03))
            else:
                time.sleep(rng.uniform(0, 0.5))
            self.end(replay)
            kills += 1
            if rng.random() < 0.1:      # so that it gets on, however slow the machine is
                self.replay("--filter", f"offset={rng.randrange(count)}")
        print(f"{kills} kills")
        self.replay()
        self.assertOnce(count)

    def test_kafka_is_killed_meanwhile(self):
        rng = fleets.seeded(self, 2)
        self.addCleanup(self.fleet.stack.run, "kafka-start")
        replay = self.start_replay("--edit", "sleep 0.01; cat")
        wait_until(lambda: self.states(), "nothing happens", 60)
        time.sleep(rng.uniform(0, 0.5))
        self.fleet.stack.run("kafka-kill")
        self.fleet.stack.run("kafka-start")
        print(replay.wait(timeout=200), replay.stdout.read())
        self.replay()
        self.assertOnce(self.COUNT)

    def test_a_second_replay_ends_the_first_which_says_so(self):
        marker = self.fleet.folder / "second"
        options = " ".join(f"'{word}'" for word in self.fleet.options())
        second = f"'{fleets.BIN}/flotilla' dead-letters replay --yes {options}"
        said = self.replay("--edit-timeout", "60", "--edit",
                           f"[ -e '{marker}' ] || {{ touch '{marker}'; {second}; }} >&2; cat", status=1)
        self.assertIn("another replay has begun", said.stderr)
        self.assertIn(f"{self.COUNT} sent in", said.stderr)
        self.assertRegex(said.stdout, r"^0 sent ")
        self.assertOnce(self.COUNT)

    def test_one_that_was_paused_and_replaced_writes_nothing_when_it_wakes(self):
        rng = fleets.seeded(self, 3)
        # The session of one that is paused with rows locked is ended by the server after four times this.
        self.fleet.settings["postgres.timeout_ms"] = 3000
        for round_ in range(6):
            self.bury(self.COUNT, first=(round_ + 1) * self.COUNT)
            paused = self.start_replay()
            if round_ % 2:
                wait_until(lambda: self.states().get("sending") or paused.poll() is not None, "nothing happens", 60)
            else:
                time.sleep(rng.uniform(0, 0.3))
            paused.send_signal(signal.SIGSTOP)
            try:
                self.replay()
            finally:
                paused.send_signal(signal.SIGCONT)
            print(round_, paused.wait(timeout=120), paused.stdout.read())
        self.replay()
        self.assertOnce(self.COUNT * 7)

    def test_one_that_was_paused_after_the_rows_and_before_the_records_cannot_send_them_when_it_wakes(self):
        with self.held("INSERT") as holder:
            paused = self.start_replay()
            self.wait_held()
            self.addCleanup(self.kafka, signal.SIGCONT)
            self.kafka(signal.SIGSTOP)
            holder.stdin.close()
            wait_until(lambda: self.states() == {"sending": 100}, self.states, CATCH_UP_S)
            paused.send_signal(signal.SIGSTOP)
            self.kafka(signal.SIGCONT)
        self.assertRegex(self.replay().stdout, rf"^{self.COUNT} sent .* 100 of an earlier replay found not to be sent")
        paused.send_signal(signal.SIGCONT)
        self.assertEqual(1, paused.wait(timeout=120))
        self.assertIn("another replay has begun", paused.stdout.read())
        self.assertOnce(self.COUNT)

    def test_where_the_log_does_not_reach_back_it_says_so_and_sends_nothing(self):
        with self.held("UPDATE"):
            replay = self.start_replay()
            self.wait_held()
            self.end(replay)
            pid, = self.locks("NOT granted")[0]
            self.fleet.stack.sql(f"SELECT pg_terminate_backend({pid})")
        offsets = {"partitions": [{"topic": self.events, "partition": p, "offset": -1} for p in range(4)], "version": 1}
        path = self.fleet.folder / "offsets.json"
        path.write_text(json.dumps(offsets))
        self.fleet.stack.kafka_tool("org.apache.kafka.tools.DeleteRecordsCommand", "--offset-json-file", str(path))
        said = self.replay(status=1).stderr
        self.assertIn("dead_letter_replays", said)
        self.assertEqual([], self.records())
        self.assertEqual({"sending": 100}, dict(self.states()))


if __name__ == "__main__":
    unittest.main()
