"""The stand-in for a schema registry is itself right: its rules are those of Avro's specification and of the registry's
documented API, written down here a second time as cases."""
import base64
import http.client
import json
import ssl
import tempfile
import unittest
import urllib.error
import urllib.request
from urllib.parse import quote

import avro_rules
from registry import Refused, RegistryStandIn
from secure import Certificates


def record(name, *fields, **more):
    return {"type": "record", "name": name, "fields": [
        {"name": field[0], "type": field[1], **({"default": field[2]} if len(field) > 2 else {})} for field in fields],
        **more}


def problems(reader, writer):
    parsed = [avro_rules.parse(json.dumps(schema)) for schema in (reader, writer)]
    return " ".join(avro_rules.incompatibilities(*parsed))


class AvroRules(unittest.TestCase):
    def test_readers_read_what_the_specification_lets_them(self):
        enum = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
        one = {"type": "enum", "name": "E", "symbols": ["A"]}
        recursive = record("L", ("value", "int"), ("next", ["null", "L"]))
        cases = [
            ("long", "int"), ("float", "int"), ("double", "int"), ("float", "long"), ("double", "long"),
            ("double", "float"), ("bytes", "string"), ("string", "bytes"), ({"type": "string"}, "string"),
            (["null", "string"], "string"), (["null", "long"], "int"), ("string", ["string"]),
            (["int", "string"], ["string"]), (enum, one), ({**one, "default": "A"}, enum),
            ({"type": "array", "items": "long"}, {"type": "array", "items": "int"}),
            ({"type": "map", "values": "long"}, {"type": "map", "values": "int"}),
            (record("R", ("x", "int")), record("other.R", ("x", "int"))),
            (record("R", ("x", "int"), aliases=["Q"]), record("Q", ("x", "int"))),
            (record("R", ("x", "int")), record("R", ("x", "int"), ("y", "int"))),
            (record("R", ("x", "int"), ("y", "int", 0)), record("R", ("x", "int"))),
            ({"type": "record", "name": "R", "fields": [{"name": "y", "type": "int", "aliases": ["x"]}]},
             record("R", ("x", "int"))),
            (recursive, recursive),
            ({"type": "fixed", "name": "F", "size": 4}, {"type": "fixed", "name": "F", "size": 4}),
        ]
        for reader, writer in cases:
            with self.subTest(reader=reader, writer=writer):
                self.assertEqual("", problems(reader, writer))

    def test_readers_are_refused_what_they_cannot_read(self):
        enum = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
        cases = [
            ("int", "long", "TYPE_MISMATCH"), ("long", "double", "TYPE_MISMATCH"), ("string", "int", "TYPE_MISMATCH"),
            ("string", ["null", "string"], "TYPE_MISMATCH"), (["null", "int"], "string", "MISSING_UNION_BRANCH"),
            ({**enum, "symbols": ["A"]}, enum, "MISSING_ENUM_SYMBOLS"),
            ({"type": "fixed", "name": "F", "size": 4}, {"type": "fixed", "name": "F", "size": 5},
             "FIXED_SIZE_MISMATCH"),
            (record("R", ("x", "int")), record("Q", ("x", "int")), "NAME_MISMATCH"),
            (record("R", ("x", "int"), ("y", "int")), record("R", ("x", "int")), "READER_FIELD_MISSING_DEFAULT_VALUE"),
            ({"type": "array", "items": "int"}, {"type": "array", "items": "string"}, "TYPE_MISMATCH"),
            (record("L", ("v", "int"), ("next", ["null", "L"])), record("L", ("v", "long"), ("next", ["null", "L"])),
             "TYPE_MISMATCH"),
        ]
        for reader, writer, why in cases:
            with self.subTest(reader=reader, writer=writer):
                self.assertIn(why, problems(reader, writer))

    def test_what_is_no_schema_is_refused(self):
        for schema in ["nope", {"type": "record", "name": "R"}, {"type": "enum", "name": "E", "symbols": []}, [["int"]],
                       ["int", "int"], {"type": "array"}, {"type": "fixed", "name": "F"}, {"name": "x"}, 7,
                       record("R", ("x", record("R", ("y", "int")))), record("R", ("x", "int"), ("x", "int")),
                       record("1R", ("x", "int"))]:
            with self.subTest(schema=schema), self.assertRaises(ValueError):
                avro_rules.parse(json.dumps(schema))


class Registry(unittest.TestCase):
    def stand_in(self, **settings):
        registry = RegistryStandIn(**settings).start()
        self.addCleanup(registry.stop)
        return registry

    def ask(self, registry, path, body=None, method=None, headers=None, **options):
        """The status and what is answered."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(registry.url + path, data, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30, **options) as answer:
                self.assertEqual("application/vnd.schemaregistry.v1+json", answer.headers["Content-Type"])
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as e:
            with e:
                return e.code, json.loads(e.read())

    def assert_refused(self, registry, path, status, code, body=None):
        got, answer = self.ask(registry, path, body)
        self.assertEqual((status, code), (got, answer["error_code"]), answer)
        self.assertTrue(answer["message"])

    def test_same_schema_has_the_same_id_in_all_subjects(self):
        registry = self.stand_in()
        schema, other = json.dumps(record("A", ("x", "int"))), json.dumps(record("B", ("x", "int")))
        for path, text, number in [("/subjects/one/versions", schema, 1), ("/subjects/two/versions", schema, 1),
                                   ("/subjects/other/versions", other, 2),
                                   ("/subjects/one/versions", json.dumps(json.loads(schema), indent=4), 1)]:
            self.assertEqual((200, {"id": number}), self.ask(registry, path, {"schema": text}))
        self.assertEqual((200, ["one", "other", "two"]), self.ask(registry, "/subjects"))
        self.assertEqual((200, [{"subject": "one", "version": 1}, {"subject": "two", "version": 1}]),
                         self.ask(registry, "/schemas/ids/1/versions"))
        status, answer = self.ask(registry, "/schemas/ids/1?fetchMaxId=false&subject=one")
        self.assertEqual((200, {"schema"}, json.loads(schema)), (status, set(answer), json.loads(answer["schema"])))
        status, answer = self.ask(registry, "/subjects/one", {"schema": schema})
        self.assertEqual((200, "one", 1, 1), (status, answer["subject"], answer["version"], answer["id"]))
        self.assertEqual(2, registry.count("/schemas/ids/1"))
        self.assertEqual(5, registry.count(method="POST"))

    def test_subjects_may_have_any_name(self):
        registry = self.stand_in()
        name = "a/b c?%é"
        registry.register(name, "string")
        self.assertEqual((200, [name]), self.ask(registry, "/subjects"))
        self.assertEqual((200, [1]), self.ask(registry, f"/subjects/{quote(name, safe='')}/versions"))

    def test_errors_have_the_codes_of_the_api(self):
        registry = self.stand_in()
        registry.register("s", record("A", ("x", "int")))
        self.assert_refused(registry, "/schemas/ids/2", 404, 40403)
        self.assert_refused(registry, "/schemas/ids/x", 404, 404)
        self.assert_refused(registry, "/subjects/none/versions", 404, 40401)
        self.assert_refused(registry, "/subjects/none/versions/1", 404, 40401)
        self.assert_refused(registry, "/subjects/s/versions/2", 404, 40402)
        self.assert_refused(registry, "/subjects/s/versions/0", 422, 42202)
        self.assert_refused(registry, "/subjects/none", 404, 40401, {"schema": "\"int\""})
        self.assert_refused(registry, "/subjects/s", 404, 40403, {"schema": "\"int\""})
        self.assert_refused(registry, "/subjects/s/versions", 422, 42201, {"schema": "{\"type\":\"nope\"}"})
        self.assert_refused(registry, "/subjects/s/versions", 422, 42201, {"schema": "{"})
        self.assert_refused(registry, "/subjects/s/versions", 422, 42201, {})
        self.assert_refused(registry, "/config/s", 404, 40408)
        self.assert_refused(registry, "/nowhere", 404, 404)
        self.assert_refused(registry, "/subjects/s", 405, 405)

    def test_levels_of_compatibility_are_checked_against_the_last_or_all_versions(self):
        small, large = record("A", ("x", "int")), record("A", ("x", "int"), ("y", "int"))
        default = record("A", ("x", "int"), ("y", "int", 0))
        cases = [("BACKWARD", small, large, False), ("BACKWARD", large, small, True),
                 ("BACKWARD", small, default, True),
                 ("FORWARD", small, large, True), ("FORWARD", large, small, False), ("FORWARD", default, small, True),
                 ("FULL", small, large, False), ("FULL", small, default, True), ("NONE", small, "int", True)]
        for level, first, second, fits in cases:
            with self.subTest(level=level, first=first, second=second):
                registry = self.stand_in()
                self.assertEqual((200, {"compatibility": level}),
                                 self.ask(registry, "/config/s", {"compatibility": level}, "PUT"))
                registry.register("s", first)
                status, answer = self.ask(registry, "/subjects/s/versions", {"schema": json.dumps(second)})
                self.assertEqual((200, 2) if fits else (409, 409), (status, answer.get("id", answer.get("error_code"))))
        registry = self.stand_in(level="BACKWARD_TRANSITIVE")
        registry.register("s", small)
        registry.register("s", record("A"))
        with self.assertRaises(Refused) as refused:
            registry.register("s", record("A", ("x", "string", "")))
        self.assertIn("{oldSchemaVersion: 1}", refused.exception.message)
        self.assertEqual((200, {"compatibilityLevel": "BACKWARD_TRANSITIVE"}), self.ask(registry, "/config"))
        self.assertEqual((422, 42203), (lambda status, answer: (status, answer["error_code"]))(
            *self.ask(registry, "/config", {"compatibility": "SOME"}, "PUT")))

    def test_references_are_resolved_and_come_with_the_schema(self):
        registry = self.stand_in()
        registry.register("base", record("n.Base", ("x", "int")))
        references = [{"name": "n.Base", "subject": "base", "version": 1}]
        text = json.dumps(record("n.Top", ("b", "n.Base")))
        self.assert_refused(registry, "/subjects/top/versions", 422, 42201, {"schema": text})
        self.assert_refused(registry, "/subjects/top/versions", 422, 42201,
                            {"schema": text, "references": [{**references[0], "version": 2}]})
        self.assertEqual((200, {"id": 2}), self.ask(registry, "/subjects/top/versions",
                                                    {"schema": text, "references": references}))
        for path in ("/schemas/ids/2", "/subjects/top/versions/latest"):
            self.assertEqual(references, self.ask(registry, path)[1]["references"])
        self.assertNotIn("references", self.ask(registry, "/schemas/ids/1")[1])

    def test_other_types_of_schema_are_named_in_answers(self):
        registry = self.stand_in()
        number = registry.register("s", "{\"type\":\"object\"}", schema_type="JSON")
        self.assertEqual("JSON", self.ask(registry, f"/schemas/ids/{number}")[1]["schemaType"])

    def test_faults_come_and_go(self):
        registry = self.stand_in()
        registry.register("s", "string")
        registry.fail(503, times=1, path="/schemas")
        self.assertEqual(200, self.ask(registry, "/subjects")[0])
        self.assertEqual(503, self.ask(registry, "/schemas/ids/1")[0])
        self.assertEqual(200, self.ask(registry, "/schemas/ids/1")[0])
        registry.cut()
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.ask(registry, "/schemas/ids/1")
        registry.hang()
        connection = http.client.HTTPConnection("127.0.0.1", registry.port, timeout=0.2)
        connection.request("GET", "/schemas/ids/1")
        with self.assertRaises(TimeoutError):
            connection.getresponse()
        connection.close()
        registry.recover()
        self.assertEqual(200, self.ask(registry, "/schemas/ids/1")[0])
        registry.stop()
        with self.assertRaises(OSError):
            self.ask(registry, "/schemas/ids/1")
        registry.start()
        self.assertEqual(200, self.ask(registry, "/schemas/ids/1")[0])
        registry.override("/schemas/ids/1", 200, "[]")
        self.assertEqual((200, []), self.ask(registry, "/schemas/ids/1"))
        registry.forget()
        self.assertEqual((200, []), self.ask(registry, "/subjects"))

    def test_users_and_certificates_are_demanded(self):
        with tempfile.TemporaryDirectory() as directory:
            made = Certificates(directory)
            registry = self.stand_in(user="me", password="pa:ss", host="localhost", certificate=made.path("server.crt"),
                                     key=made.path("server.key"), client_ca=made.path("ca.crt"))
            trusting = ssl.create_default_context(cafile=made.path("ca.crt"))
            with self.assertRaises(OSError):
                self.ask(registry, "/subjects", context=trusting)
            trusting.load_cert_chain(made.path("client.crt"), made.path("client.key"))
            login = {"Authorization": "Basic " + base64.b64encode(b"me:pa:ss").decode()}
            self.assertEqual((200, []), self.ask(registry, "/subjects", headers=login, context=trusting))
            self.assertEqual(401, self.ask(registry, "/subjects", context=trusting)[0])


if __name__ == "__main__":
    unittest.main()
