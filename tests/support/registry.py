"""A schema registry for the tests: the REST behaviour of Confluent's, as far as clients use it, on a real socket.

    with RegistryStandIn() as registry:
        registry.register("events-value", {"type": "record", ...})      # as a POST would, without one
        ... registry.url ...
        registry.fail(503)                  # from now on; recover() ends it, as it ends hang() and cut()
        registry.count("/schemas/ids/")     # requests so far

What it answers is what the registry's documentation says: ids that are the same for the same schema in all subjects,
versions for each subject, references, levels of compatibility with checks by Avro's rules (avro_rules.py), error codes.
Schemas that are not Avro are kept as they are and compatible with anything.
"""
import base64
import json
import re
import socket
import ssl
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import avro_rules

CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
LEVELS = ("NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE")
MAX_VERSION = 2**31 - 1


class Refused(Exception):
    """What is answered instead: a status, an error code of the registry, and a sentence."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Schema:
    """A schema with an id. What makes it the same as another is its content, not how it is written."""

    def __init__(self, schema_type, text, references):
        self.type, self.text, self.references = schema_type, text, references
        self.identity = json.dumps([schema_type, text, references], sort_keys=True)
        if schema_type == "AVRO":
            self.text = json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)
            self.identity = json.dumps([schema_type, json.loads(text), references], sort_keys=True)

    def answer(self):
        """As in an answer: the type only where it is not Avro, references only where there are some."""
        fields = {"schema": self.text}
        if self.type != "AVRO":
            fields["schemaType"] = self.type
        if self.references:
            fields["references"] = self.references
        return fields


class Schemas:
    """What is registered, without any HTTP. compatible(reader, writer) gives the reasons why not, as texts; both are
    what avro_rules.parse() made."""

    def __init__(self, level="BACKWARD", compatible=avro_rules.incompatibilities):
        self.level, self.compatible = level, compatible
        self.levels = {}                    # of a subject
        self.ids = {}                       # id: Schema
        self.subjects = {}                  # subject: [id of version 1, ...]

    def id_of(self, schema):
        return next((i for i, known in self.ids.items() if known.identity == schema.identity), None)

    def schema(self, number):
        if number not in self.ids:
            raise Refused(404, 40403, f"Schema {number} not found")
        return self.ids[number]

    def versions(self, subject):
        if subject not in self.subjects:
            raise Refused(404, 40401, f"Subject '{subject}' not found.")
        return self.subjects[subject]

    def version(self, subject, name):
        """Number and id of a version; "latest" and -1 are the last one."""
        if name != "latest" and name != "-1" and not (re.fullmatch(r"[0-9]+", name) and 1 <= int(name) <= MAX_VERSION):
            raise Refused(422, 42202, f"The specified version '{name}' is not a valid version id. Allowed values are "
                                      "between [1, 2^31-1] and the string \"latest\"")
        ids = self.versions(subject)
        number = len(ids) if name in ("latest", "-1") else int(name)
        if number > len(ids):
            raise Refused(404, 40402, f"Version {number} not found.")
        return number, ids[number - 1]

    def parsed(self, schema):
        """An Avro schema with the names that its references define."""
        names = {}
        self.define(schema, names, set())
        try:
            return avro_rules.parse(schema.text, names)
        except ValueError as e:
            raise Refused(422, 42201, f"Invalid schema {schema.text}, details: {e}") from e

    def define(self, schema, names, seen):
        for reference in schema.references:
            at = (reference["subject"], reference["version"])
            if at in seen:
                continue
            seen.add(at)
            try:
                known = self.ids[self.version(at[0], str(at[1]))[1]]
            except Refused as e:
                raise Refused(422, 42201, f"Invalid schema {schema.text} with refs, details: No schema reference found "
                                          f"for subject \"{at[0]}\" and version {at[1]}") from e
            self.define(known, names, seen)
            avro_rules.parse(known.text, names)

    def request(self, body):
        """The schema in the body of a request."""
        if not isinstance(body, dict) or not isinstance(body.get("schema"), str) or not body["schema"]:
            raise Refused(422, 42201, "Empty schema")
        kind = body.get("schemaType") or "AVRO"
        if kind not in ("AVRO", "JSON", "PROTOBUF"):
            raise Refused(422, 42201, f"Invalid schema type {kind}")
        references = body.get("references") or []
        for reference in references:
            if not isinstance(reference, dict) or not {"name", "subject", "version"} <= set(reference):
                raise Refused(422, 42201, f"Invalid reference {reference}")
        references = [{name: r[name] for name in ("name", "subject", "version")} for r in references]
        try:
            schema = Schema(kind, body["schema"], references)
        except ValueError as e:
            raise Refused(422, 42201, f"Invalid schema {body['schema']}, details: {e}") from e
        if kind == "AVRO":
            self.parsed(schema)
        return schema

    def problems(self, schema, subject, level, ids=None):
        """Why a schema cannot be the next version of a subject."""
        ids = self.subjects.get(subject, []) if ids is None else ids
        if level == "NONE" or not ids:
            return []
        numbered = list(enumerate(ids, 1))
        for version, known in reversed(numbered if level.endswith("TRANSITIVE") else numbered[-1:]):
            old = self.ids[known]
            if old.type != schema.type:
                return ["Incompatible because of different schema type"]
            if schema.type != "AVRO":
                continue
            new, before, found = self.parsed(schema), self.parsed(old), []
            if level.startswith(("BACKWARD", "FULL")):
                found += self.compatible(new, before)
            if level.startswith(("FORWARD", "FULL")):
                found += self.compatible(before, new)
            if found:
                return [*found, f"{{oldSchemaVersion: {version}}}", f"{{oldSchema: '{old.text}'}}",
                        f"{{compatibility: '{level}'}}"]
        return []

    def register(self, subject, schema):
        """The id; a new version where the subject has not got it yet."""
        number = self.id_of(schema)
        ids = self.subjects.get(subject, [])
        if number is not None and number in ids:
            return number
        problems = self.problems(schema, subject, self.levels.get(subject, self.level))
        if problems:
            raise Refused(409, 409, "Schema being registered is incompatible with an earlier schema for subject "
                                    f"\"{subject}\", details: [{', '.join(problems)}]")
        if number is None:
            number = max(self.ids, default=0) + 1
            self.ids[number] = schema
        self.subjects.setdefault(subject, []).append(number)
        return number

    def lookup(self, subject, schema):
        ids, number = self.versions(subject), self.id_of(schema)
        if number not in ids:
            raise Refused(404, 40403, "Schema not found")
        return ids.index(number) + 1, number


class Routes:
    """One method a resource: the path's parts, the query and the body in, what is answered out."""

    def __init__(self, schemas):
        self.schemas = schemas
        self.table = [(method, re.compile(pattern), do) for method, pattern, do in [
            ("GET", r"/", lambda query, body: {}),
            ("GET", r"/schemas/types", lambda query, body: ["JSON", "PROTOBUF", "AVRO"]),
            ("GET", r"/schemas/ids/([^/]+)", self.get_schema),
            ("GET", r"/schemas/ids/([^/]+)/schema", self.get_schema_text),
            ("GET", r"/schemas/ids/([^/]+)/subjects", self.get_schema_subjects),
            ("GET", r"/schemas/ids/([^/]+)/versions", self.get_schema_versions),
            ("GET", r"/subjects", lambda query, body: sorted(schemas.subjects)),
            ("POST", r"/subjects/([^/]+)", self.post_subject),
            ("GET", r"/subjects/([^/]+)/versions", self.get_versions),
            ("POST", r"/subjects/([^/]+)/versions", self.post_version),
            ("GET", r"/subjects/([^/]+)/versions/([^/]+)", self.get_version),
            ("GET", r"/subjects/([^/]+)/versions/([^/]+)/schema", self.get_version_text),
            ("POST", r"/compatibility/subjects/([^/]+)/versions/([^/]+)", self.post_compatibility),
            ("GET", r"/config", lambda query, body: {"compatibilityLevel": schemas.level}),
            ("PUT", r"/config", self.put_config),
            ("GET", r"/config/([^/]+)", self.get_subject_config),
            ("PUT", r"/config/([^/]+)", self.put_config),
        ]]

    def answer(self, method, path, query, body):
        allowed = []
        for known, pattern, do in self.table:
            found = pattern.fullmatch(path)
            if found and known == method:
                return do(query, body, *(unquote(part) for part in found.groups()))
            allowed += [known] if found else []
        if allowed:
            raise Refused(405, 405, "HTTP 405 Method Not Allowed")
        raise Refused(404, 404, "HTTP 404 Not Found")

    def schema_of(self, number):
        if not re.fullmatch(r"-?[0-9]+", number) or abs(int(number)) > MAX_VERSION:
            raise Refused(404, 404, "HTTP 404 Not Found")
        return int(number), self.schemas.schema(int(number))

    def get_schema(self, query, _body, number):
        fields = self.schema_of(number)[1].answer()
        if query.get("fetchMaxId") == ["true"]:
            fields["maxId"] = max(self.schemas.ids)
        return fields

    def get_schema_text(self, _query, _body, number):
        return Text(self.schema_of(number)[1].text)

    def get_schema_versions(self, _query, _body, number):
        number, _ = self.schema_of(number)
        return [{"subject": subject, "version": ids.index(number) + 1}
                for subject, ids in sorted(self.schemas.subjects.items()) if number in ids]

    def get_schema_subjects(self, query, body, number):
        return [at["subject"] for at in self.get_schema_versions(query, body, number)]

    def registered(self, subject, version, number):
        return {"subject": subject, "version": version, "id": number, **self.schemas.ids[number].answer()}

    def post_subject(self, _query, body, subject):
        self.schemas.versions(subject)      # an unknown subject is said before a schema that is no good
        return self.registered(subject, *self.schemas.lookup(subject, self.schemas.request(body)))

    def get_versions(self, _query, _body, subject):
        return list(range(1, len(self.schemas.versions(subject)) + 1))

    def post_version(self, _query, body, subject):
        return {"id": self.schemas.register(subject, self.schemas.request(body))}

    def get_version(self, _query, _body, subject, version):
        return self.registered(subject, *self.schemas.version(subject, version))

    def get_version_text(self, _query, _body, subject, version):
        return Text(self.schemas.ids[self.schemas.version(subject, version)[1]].text)

    def post_compatibility(self, _query, body, subject, version):
        schema, level = self.schemas.request(body), self.schemas.levels.get(subject, self.schemas.level)
        _, known = self.schemas.version(subject, version)
        return {"is_compatible": not self.schemas.problems(schema, subject, level, [known])}

    def get_subject_config(self, query, _body, subject):
        level = self.schemas.levels.get(subject)
        if level is None and query.get("defaultToGlobal") == ["true"]:
            level = self.schemas.level
        if level is None:
            raise Refused(404, 40408,
                          f"Subject '{subject}' does not have subject-level compatibility configured")
        return {"compatibilityLevel": level}

    def put_config(self, _query, body, subject=None):
        level = body.get("compatibility") if isinstance(body, dict) else None
        if level not in LEVELS:
            raise Refused(422, 42203, "Invalid compatibility level. Valid values are none, backward, forward, full, "
                                      "backward_transitive, forward_transitive, and full_transitive")
        if subject is None:
            self.schemas.level = level
        else:
            self.schemas.levels[subject] = level
        return {"compatibility": level}


class Text(str):
    """An answer that is sent as it is."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format, *args):   # the name is the base class's
        pass

    def setup(self):
        super().setup()
        self.server.stand_in.connected(self.connection, True)

    def finish(self):
        try:
            super().finish()
        except OSError:
            pass
        self.server.stand_in.connected(self.connection, False)

    def handle(self):
        try:
            super().handle()
        except OSError:                     # the peer went away, or its TLS is not ours
            self.close_connection = True

    def send(self, status, text, headers=()):
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, code, message, headers=()):
        self.send(status, json.dumps({"error_code": code, "message": message}), headers)

    def body(self):
        try:
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return json.loads(text) if text else None
        except ValueError as e:
            raise Refused(400, 400, f"Unable to process JSON: {e}") from e

    def serve(self):
        registry = self.server.stand_in
        url = urlsplit(self.path)
        try:
            body = self.body()
            if not registry.admits(self.command, url.path, url.query, body):
                self.close_connection = True
                return
            if not registry.knows(self.headers.get("Authorization")):
                self.refuse(401, 401, "Unauthorized", [("WWW-Authenticate", 'Basic realm="SchemaRegistry"')])
                return
            answer = registry.answer(self.command, url.path, parse_qs(url.query), body)
            self.send(200, answer if isinstance(answer, Text) else json.dumps(answer))
        except Refused as e:
            self.refuse(e.status, e.code, e.message)

    do_GET = do_POST = do_PUT = do_DELETE = serve


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, stand_in, address, context):
        self.stand_in, self.context = stand_in, context
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, Handler)

    def get_request(self):
        connection, address = super().get_request()
        if self.context:
            # The handshake is done by the connection's own thread, when it first reads.
            connection = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request, client_address):
        pass


class RegistryStandIn:
    """A registry on a free port of the loopback, that can be made to misbehave. All methods: any thread.

    user and password: basic authentication. certificate and key (paths of PEM files): TLS; client_ca: clients must show
    a certificate signed by it. level and compatible: see Schemas.
    """

    def __init__(self, *, user=None, password=None, certificate=None, key=None, client_ca=None, level="BACKWARD",
                 compatible=avro_rules.incompatibilities, host="127.0.0.1", port=0):
        self.credentials = None if user is None else f"{user}:{password}"
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate, key)
            if client_ca:
                self.context.load_verify_locations(client_ca)
                self.context.verify_mode = ssl.CERT_REQUIRED
        self.host, self.port = host, port
        self.schemas = Schemas(level, compatible)
        self.routes = Routes(self.schemas)
        self.requests = Counter()           # "GET /schemas/ids/1": how many; without the query
        self.seen = []                      # (method, path, query, body) in the order they came
        self.overridden = {}                # path: (status, text)
        self.lock = threading.RLock()
        self.fault, self.fault_left, self.fault_path = None, None, ""
        self.resumed = threading.Event()
        self.connections = set()
        self.server = self.thread = None

    # ---------------------------------------------------------------- life

    def start(self):
        self.server = Server(self, (self.host, self.port), self.context)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        return self

    def stop(self):
        """Nothing listens any more, and open connections are closed. start() listens on the same port again, with
        everything that was registered."""
        if not self.server:
            return
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.server = None
        self.resumed.set()
        with self.lock:
            for connection in self.connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.context else 'http'}://{host}:{self.port}"

    # ---------------------------------------------------------------- what tests say and ask

    def register(self, subject, schema, references=(), schema_type="AVRO"):
        """The id of a schema (a text, or what is written as JSON). Refused is raised where HTTP would tell."""
        with self.lock:
            text = schema if isinstance(schema, str) and schema[:1] in '{["' else json.dumps(schema)
            return self.schemas.register(subject, self.schemas.request(
                {"schema": text, "schemaType": schema_type, "references": list(references)}))

    def override(self, path, status, text):
        """Answers requests for a path with a text of the test's own."""
        with self.lock:
            self.overridden[path] = (status, text)

    def fail(self, status=500, times=None, path=""):
        """Requests (the next `times` of them, those whose path begins so) are answered with an error."""
        self.begin(status, times, path)

    def hang(self, times=None, path=""):
        """They are not answered until recover() or stop(), which end their connections."""
        self.begin("hang", times, path)

    def cut(self, times=None, path=""):
        """Their connections are closed instead of an answer."""
        self.begin("cut", times, path)

    def recover(self):
        with self.lock:
            self.fault = None
            self.resumed.set()

    def forget(self):
        """Nothing is registered any more."""
        with self.lock:
            self.schemas.ids.clear()
            self.schemas.subjects.clear()
            self.schemas.levels.clear()

    def count(self, path="", method=""):
        """Requests whose path begins so, those that were not answered included."""
        with self.lock:
            return sum(n for request, n in self.requests.items()
                       if request.startswith(method) and request.split(" ", 1)[1].startswith(path))

    # ---------------------------------------------------------------- what the handler asks

    def begin(self, fault, times, path):
        with self.lock:
            self.fault, self.fault_left, self.fault_path = fault, times, path
            self.resumed = threading.Event()

    def fault_now(self, path):
        with self.lock:
            if self.fault is None or self.fault_left == 0 or not path.startswith(self.fault_path):
                return None, None
            if self.fault_left is not None:
                self.fault_left -= 1
            return self.fault, self.resumed

    def admits(self, method, path, query, body):
        """False: the connection is to be closed without an answer."""
        with self.lock:
            self.requests[f"{method} {path}"] += 1
            self.seen.append((method, path, query, body))
        fault, resumed = self.fault_now(path)
        if fault == "hang":
            resumed.wait()
        if isinstance(fault, int):
            raise Refused(fault, 50001 if fault == 500 else fault, f"The stand-in was told to answer {fault}")
        return fault is None

    def knows(self, authorization):
        if self.credentials is None:
            return True
        return authorization == "Basic " + base64.b64encode(self.credentials.encode()).decode()

    def answer(self, method, path, query, body):
        with self.lock:
            if path in self.overridden:
                status, text = self.overridden[path]
                if status == 200:
                    return Text(text)
                raise Refused(status, status, text)
            return self.routes.answer(method, path, query, body)

    def connected(self, connection, now):
        with self.lock:
            (self.connections.add if now else self.connections.discard)(connection)
