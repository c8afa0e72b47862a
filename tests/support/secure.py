"""A Kafka and a PostgreSQL that demand TLS and a login, with certificates, users and rights of their own.

Beside the stack of the run, one of these; it is started when a test first asks for it. Kafka has four listeners:
BROKER, in clear, is the test's own hand (a super user); SECURE is SASL_SSL, MUTUAL wants a client's certificate, and
EXPIRED is SASL_SSL with a certificate that was good for one day of the year 2020. All certificates are of the name
`localhost`, and of no address. Rights and users are given with Kafka's own requests: no program of the fleet has a
part in it.
"""
import atexit
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import urllib.parse
from pathlib import Path

import fleet as fleets
import stack as stacks

PRINCIPALS = 80         # users v0 to v79, whose rights begin empty

# Kafka's numbers, from the message definitions and org.apache.kafka.common.acl.
RESOURCES = {"topic": 2, "group": 3, "cluster": 4, "transactional-id": 5}
PATTERNS = {"literal": 3, "prefixed": 4}
OPERATIONS = {"All": 2, "Read": 3, "Write": 4, "Create": 5, "Delete": 6, "Alter": 7, "Describe": 8,
              "ClusterAction": 9, "DescribeConfigs": 10, "AlterConfigs": 11, "IdempotentWrite": 12}
ALLOW = 3
EVERYTHING = [(resource, "literal", "*", "All") for resource in ("topic", "group", "transactional-id")]
CREATE_ACLS, SCRAM_CREDENTIALS = 30, 51
MECHANISMS = {"SCRAM-SHA-256": (1, "sha256"), "SCRAM-SHA-512": (2, "sha512")}
ITERATIONS = 4096


# ---------------------------------------------------------------- certificates

class Certificates:
    """A certification authority and what it has signed, as PEM files in a directory."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.authority("ca")
        self.authority("other-ca")
        self.certificate("server", "localhost")
        self.certificate("expired", "localhost", at="2020-01-01 00:00:00")
        self.certificate("client", "mutual")
        self.key_password = secrets.token_hex(16)
        self.openssl("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", self.path("client.key"), "-out",
                     self.path("client.locked.key"), "-passout", f"pass:{self.key_password}")
        for name in ("server", "expired"):      # as Kafka takes them: a key and its certificates in one file
            self.path(f"{name}.pem").write_bytes(self.path(f"{name}.key").read_bytes()
                                                 + self.path(f"{name}.crt").read_bytes())

    def path(self, name):
        return self.directory / name

    def openssl(self, *arguments, at=None):
        clock = ["faketime", at] if at else []
        run = subprocess.run([*clock, "openssl", *map(str, arguments)], capture_output=True, encoding="utf-8",
                             timeout=60)
        if run.returncode != 0:
            raise RuntimeError(f"openssl {arguments[0]}: {run.stderr}")

    def key(self, name):
        self.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
                     self.path(f"{name}.key"))

    def authority(self, name):
        self.key(name)
        self.openssl("req", "-x509", "-key", self.path(f"{name}.key"), "-subj", f"/CN={name}", "-days", "3650", "-out",
                     self.path(f"{name}.crt"), at="2019-01-01 00:00:00")

    def certificate(self, name, common_name, at=None):
        self.key(name)
        self.openssl("req", "-new", "-key", self.path(f"{name}.key"), "-subj", f"/CN={common_name}", "-out",
                     self.path(f"{name}.csr"))
        self.path(f"{name}.ext").write_text(f"subjectAltName=DNS:{common_name}\n", encoding="utf-8")
        self.openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.path("ca.crt"), "-CAkey",
                     self.path("ca.key"), "-days", "1", "-extfile", self.path(f"{name}.ext"), "-out",
                     self.path(f"{name}.crt"), at=at)


# ---------------------------------------------------------------- Kafka's requests

def text(value):
    data = value.encode()
    return struct.pack(">h", len(data)) + data


def compact(data):
    """Bytes with their length, of the newer requests; none here is longer than 126."""
    return bytes([len(data) + 1]) + data


class Admin:
    """Requests to the broker's clear listener."""

    def __init__(self, brokers):
        host, _, port = brokers.rpartition(":")
        self.address = host, int(port)

    def ask(self, key, version, body, flexible=False):
        header = struct.pack(">hhi", key, version, 1) + text("tests") + (b"\0" if flexible else b"")
        with socket.create_connection(self.address, timeout=60) as s:
            s.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
            with s.makefile("rb") as answer:
                size, = struct.unpack(">i", answer.read(4))
                return answer.read(size)[5 if flexible else 4:]     # behind the request's number, and tags

    def allow(self, entries):
        """[(principal, resource, pattern, name, operation)]: as `flotilla topics acls` names them."""
        body = struct.pack(">i", len(entries)) + b"".join(
            struct.pack(">b", RESOURCES[resource]) + text(name) + struct.pack(">b", PATTERNS[pattern])
            + text(principal) + text("*") + struct.pack(">bb", OPERATIONS[operation], ALLOW)
            for principal, resource, pattern, name, operation in entries)
        answer = self.ask(CREATE_ACLS, 1, body)
        count, = struct.unpack_from(">i", answer, 4)
        at = 8
        for _ in range(count):
            code, length = struct.unpack_from(">hh", answer, at)
            at += 4 + max(length, 0)
            if code:
                raise RuntimeError(f"ACLs were refused with code {code}: {answer!r}")
        if count != len(entries):
            raise RuntimeError(f"{len(entries)} ACLs were given, {count} answered")

    def scram_user(self, name, password):
        """A user for both mechanisms of SCRAM, a request each; passwords are salted here, as RFC 5802 has it."""
        for number, algorithm in MECHANISMS.values():
            salt = os.urandom(16)
            salted = hashlib.pbkdf2_hmac(algorithm, password.encode(), salt, ITERATIONS)
            row = compact(name.encode()) + struct.pack(">bi", number, ITERATIONS) + compact(salt) + compact(salted)
            answer = self.ask(SCRAM_CREDENTIALS, 0, b"\x01\x02" + row + b"\0\0", flexible=True)
            code, = struct.unpack_from(">h", answer, 5 + len(compact(name.encode())))
            if code:
                raise RuntimeError(f"the user {name} was refused with code {code}: {answer!r}")


# ---------------------------------------------------------------- the stack

class SecureStack(stacks.Stack):
    """The servers, their certificates, and every secret that was made for them."""

    def __init__(self):
        self.files = Path(tempfile.mkdtemp(prefix="flotilla-test-keys."))
        self.certificates = Certificates(self.files)
        self.ports = {name: stacks.free_port() for name in ("secure", "mutual", "expired")}
        self.passwords = {f"v{i}": secrets.token_hex(12) for i in range(PRINCIPALS)}
        self.passwords["all"] = secrets.token_hex(12)
        self.scram_password = secrets.token_hex(12)
        self.postgres_password = "p@ss:w/rd?" + secrets.token_hex(8)
        self.guard = stacks.Guard()
        try:
            stacks.run_script("up", self.guard.directory, KAFKA_PROPERTIES=self.properties(),
                              KAFKA_LISTENERS=self.listeners())
            super().__init__(self.guard.directory)
            self.admin = Admin(self.brokers)
            self.admin.scram_user("scram", self.scram_password)
            self.admin.allow([(f"User:{user}", *right) for user in ("all", "scram", "mutual")
                              for right in EVERYTHING])
            self.lock_postgres()
        except BaseException:
            self.close()
            raise

    def properties(self):
        """Lines for server.properties, which stand behind its own."""
        names = {"BROKER": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", "SECURE": "SASL_SSL", "MUTUAL": "SSL",
                 "EXPIRED": "SASL_SSL"}
        users = " ".join(f'user_{name}="{password}"' for name, password in self.passwords.items())
        plain = f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        lines = [
            stacks.KAFKA_PROPERTIES,
            "listener.security.protocol.map=" + ",".join(f"{name}:{kind}" for name, kind in names.items()),
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users=User:ANONYMOUS",
            "ssl.truststore.type=PEM", f"ssl.truststore.location={self.certificates.path('ca.crt')}",
            "ssl.keystore.type=PEM", f"ssl.keystore.location={self.certificates.path('server.pem')}",
            "listener.name.mutual.ssl.client.auth=required",
            "listener.name.mutual.ssl.principal.mapping.rules=RULE:^CN=([^,]*).*$/$1/,DEFAULT",
            "listener.name.expired.ssl.keystore.type=PEM",
            f"listener.name.expired.ssl.keystore.location={self.certificates.path('expired.pem')}",
        ]
        for name in ("secure", "expired"):
            lines += [f"listener.name.{name}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
                      f"listener.name.{name}.plain.sasl.jaas.config={plain}",
                      f"listener.name.{name}.scram-sha-256.sasl.jaas.config={scram}",
                      f"listener.name.{name}.scram-sha-512.sasl.jaas.config={scram}"]
        return "\n".join(lines)

    def listeners(self):
        return ",".join(f"{name.upper()}://localhost:{port}" for name, port in self.ports.items())

    def lock_postgres(self):
        """From now on the fleet's roles need TLS and a password; postgres is the test's own hand."""
        data = Path(self.env["PGDATA"])
        owner = data.stat()
        for name in ("server.crt", "server.key"):
            shutil.copyfile(self.certificates.path(name), data / name)
            os.chmod(data / name, 0o600)
            os.chown(data / name, owner.st_uid, owner.st_gid)
        for role in ("flotilla", "recorder"):
            quoted = self.postgres_password.replace("'", "''")
            self.sql(f"SET password_encryption = 'scram-sha-256'; ALTER ROLE {role} PASSWORD '{quoted}'")
        (data / "pg_hba.conf").write_text("hostnossl all postgres 127.0.0.1/32 trust\n"
                                          "hostssl all flotilla,recorder 127.0.0.1/32 scram-sha-256\n",
                                          encoding="utf-8")
        self.sql("ALTER SYSTEM SET ssl = on")
        self.sql("SELECT pg_reload_conf()")

    # ------------------------------------------------------------ what a program needs to come in

    def login(self, listener="secure", **more):
        """Settings of a fleet: where the brokers are, and what they are to be trusted by."""
        return {"kafka.brokers": f"localhost:{self.ports[listener]}", "kafka.security.protocol": "SASL_SSL",
                "kafka.ssl.ca.location": self.certificates.path("ca.crt"), **more}

    def plain(self, user="all", **more):
        return self.login(**{"kafka.sasl.mechanisms": "PLAIN", "kafka.sasl.username": user,
                             "kafka.sasl.password": self.passwords[user], **more})

    def scram(self, mechanism, **more):
        return self.login(**{"kafka.sasl.mechanisms": mechanism, "kafka.sasl.username": "scram",
                             "kafka.sasl.password": self.scram_password, **more})

    def mutual(self, **more):
        return self.login("mutual", **{"kafka.security.protocol": "SSL",
                                       "kafka.ssl.certificate.location": self.certificates.path("client.crt"),
                                       "kafka.ssl.key.location": self.certificates.path("client.locked.key"),
                                       "kafka.ssl.key.password": self.certificates.key_password, **more})

    def newer_librdkafka(self):
        """A directory for LD_LIBRARY_PATH with the librdkafka of the tests' Python client: that of Debian 12 cannot
        log in to Kafka 4 with SCRAM."""
        import confluent_kafka
        libraries = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
        library, = libraries.glob("librdkafka-*.so.1")
        link = self.files / "newer" / "librdkafka.so.1"
        if not link.exists():
            link.parent.mkdir()
            link.symlink_to(library)
        return link.parent

    def secure_url(self, database, user="flotilla", password=None, host="localhost", ca="ca.crt", mode="verify-full"):
        quoted = urllib.parse.quote(password or self.postgres_password, safe="")
        return (f"postgresql://{user}:{quoted}@{host}:{self.env['POSTGRES_PORT']}/{database}"
                f"?sslmode={mode}&sslrootcert={self.certificates.path(ca)}")

    def secrets(self):
        """All that nothing may ever show, in every form that was given to a program."""
        return [*self.passwords.values(), self.scram_password, self.certificates.key_password,
                self.postgres_password, urllib.parse.quote(self.postgres_password, safe="")]

    def close(self):
        self.guard.close()
        shutil.rmtree(self.files, ignore_errors=True)


_stack = None
_starting = threading.Lock()


def stack():
    """The stack of this run; tests ask for it from several threads."""
    global _stack
    with _starting:
        if _stack is None:
            _stack = SecureStack()
            atexit.register(stop)
        return _stack


def stop():
    """Stops and removes what stack() has started."""
    global _stack
    old, _stack = _stack, None
    if old:
        old.close()


# ---------------------------------------------------------------- fleets

class SecureFleet(fleets.Fleet):
    """A fleet on these servers. Its settings are in files that only the owner may read, as they have secrets among
    them. At its end, nothing that its programs said or showed may have one of those in it."""

    def __init__(self, test, login, features=None, partitions=2, **settings):
        self.test = test
        self.said = []          # (what, text) of commands, and of windows of workers
        super().__init__(test, features, partitions, stack(), **settings)
        self.settings.update({**login, "postgres.url": self.stack.secure_url(self.database), **settings})

    def options(self, settings=None):
        all_settings = {**self.settings, **(settings or {})}
        lines = "".join(f"{name}: {json.dumps(str(value))}\n" for name, value in all_settings.items()
                        if value is not None)
        path = self.folder / f"settings {hashlib.sha256(lines.encode()).hexdigest()[:12]}.yaml"
        path.touch(mode=0o600)
        path.write_text(lines, encoding="utf-8")
        return ["--config", path]

    def create_topics_as(self, login):
        """For a fleet whose own login cannot do it."""
        self.flotilla("topics", "create", settings=login)
        return self

    def run(self, *arguments, **given):
        ended = super().run(*arguments, **given)
        self.said.append((f"flotilla {' '.join(map(str, arguments))}", ended.stdout + ended.stderr))
        return ended

    def check(self, program, **settings):
        """--check of a worker, however it ends."""
        ended = subprocess.run([fleets.BIN / f"flotilla-{program}", "--check", *self.options(settings)],
                               capture_output=True, encoding="utf-8", env=fleets.environment(), timeout=60)
        self.said.append((f"flotilla-{program} --check", ended.stdout + ended.stderr))
        return ended

    def watch(self, worker):
        """Notes what can be seen of a worker from outside, as long as it runs."""
        with contextlib.suppress(OSError):
            self.said.append((f"command line of {worker.name}",
                              Path(f"/proc/{worker.process.pid}/cmdline").read_text(encoding="utf-8")))
        if worker.is_running():
            self.said += [(f"{path} of {worker.name}", worker.get(path)[1])
                          for path in ("/status", "/metrics", "/readyz", "/healthz")]

    def start(self, name, ready=True, **settings):
        worker = super().start(name, ready, **settings)
        self.watch(worker)
        return worker

    def remove(self):
        for worker in self.workers:
            self.watch(worker)
        super().remove()
        self.said += [(str(worker.log), worker.text()) for worker in self.workers]
        for what, text in self.said:
            for secret in self.stack.secrets():
                self.test.assertNotIn(secret, text, f"a secret is in {what}")
