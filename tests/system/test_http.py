"""Mail goes to a web server as a POST, and what that says is what the client
hears. The receiver is that of README, with another way to take mail."""

import http.server
import pathlib
import ssl
import subprocess
import textwrap
import threading

import pytest

import receiver
from daemon import TOP, free_port, wait_for


class Server:
    """What it took is in `taken`; answers come from `say`, then 200."""

    def __init__(self, port=0, tls=None):
        self.taken, self.say = [], []
        outer = self

        class Handler(receiver.Receiver):
            def take(self, envelope, body):
                if outer.say:
                    return outer.say.pop(0)
                outer.taken.append((envelope, body, self.headers))
                return 200, ""

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", port),
                                                    Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self.http.socket = context.wrap_socket(self.http.socket,
                                                   server_side=True)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def serve():
    servers = []

    def launch(**kwargs):
        servers.append(Server(**kwargs))
        return servers[-1]

    yield launch
    for s in servers:
        s.stop()


def test_readme_has_the_receiver():
    code = pathlib.Path(receiver.__file__).read_text().split('"""\n\n', 1)[1]
    assert textwrap.indent(code, "    ") in (TOP / "README.md").read_text()


def before(start, url, more="", **kwargs):
    """A daemon in front of it, with the receiver's key."""
    folder = start.folder()
    secret = folder / "secret"
    secret.write_bytes(receiver.KEY + b"\n")
    secret.chmod(0o644)
    return start(domains=f"""
domain "example.org" {{{{ catch-all = "route:app" }}}}
route "app" {{{{ to = "{url}" secret-file = "{secret}" {more} }}}}
""", **kwargs)


def test_a_message(start, serve):
    s = serve()
    d = before(start, f"http://127.0.0.1:{s.port}/mail?x=1")
    with d.client() as c:
        first = c.deliver("Subject: x\r\n\r\n.dot\r\n", "a@example.org",
                          "b@example.org")
        again = c.deliver("y\r\n", "a@example.org")
        assert first.code == again.code == 250
    (envelope, body, head), (_, _, second) = s.taken
    assert envelope["id"] == first.id
    assert envelope["from"] == "sender@example.com"
    assert envelope["to"] == ["a@example.org", "b@example.org"]
    assert envelope["client"] == "127.0.0.1" and envelope["login"] is None
    assert body.startswith(b"Return-Path: <sender@example.com>\r\nReceived: ")
    assert body.endswith(b"\r\nSubject: x\r\n\r\n.dot\r\n")
    assert b"\n" not in body.replace(b"\r\n", b"")
    assert head["webhook-id"].startswith(f"{first.id}-")
    assert head["Content-Type"] == "message/rfc822"
    assert second["webhook-id"].startswith(f"{again.id}-")
    assert not d.files()


def test_a_large_message(start, serve):
    """It is in a file, and is read twice: once for its signature."""
    s = serve()
    d = before(start, f"http://127.0.0.1:{s.port}/")
    line = "0123456789" * 9 + "\r\n"
    with d.client() as c:
        assert c.deliver(line * 100000, "a@example.org").code == 250
    assert s.taken[0][1].endswith((line * 100000).encode())


def test_what_it_says(start, serve):
    s = serve()
    d = before(start, f"http://127.0.0.1:{s.port}/")
    s.say = [(422, "552 5.2.2 Full\n"), (413, ""), (503, ""), (400, "Bad")]
    with d.client() as c:
        for want in "552 5.2.2", "552 5.3.4", "451 4.3.0", "451 4.3.0":
            assert c.deliver("x\r\n", "a@example.org").status == want
        assert c.deliver("x\r\n", "a@example.org").code == 250
    assert len(s.taken) == 1


def test_a_wrong_key_is_no_fault_of_the_mail(start, serve, monkeypatch):
    s = serve()
    d = before(start, f"http://127.0.0.1:{s.port}/")
    monkeypatch.setattr(receiver, "KEY", b"another")
    with d.client() as c:
        assert c.deliver("x\r\n", "a@example.org").status == "451 4.3.5"
    wait_for("complaint", lambda: "error route-misconfigured route=app "
             'reply="HTTP 401"' in d.log())
    assert not s.taken


def test_it_is_not_there(start, serve):
    """The client hears so; and it comes back."""
    port = free_port()
    d = before(start, f"http://127.0.0.1:{port}/")
    with d.client() as c:
        assert c.deliver("x\r\n", "a@example.org").status == "451 4.4.1"
    wait_for("down", lambda: " route-down route=app " in d.log())
    s = serve(port=port)

    def is_taken():
        with d.client() as c:
            c.ask("MAIL FROM:<x@example.com>")
            if c.ask("RCPT TO:<a@example.org>").code != 250:
                return False
            c.ask("DATA")
            c.send("x\r\n.\r\n")
            return c.reply().code == 250

    wait_for("it comes back", is_taken)
    assert len(s.taken) == 1


@pytest.mark.parametrize("name,code", [("localhost", 250), ("else", 451)])
def test_tls(start, serve, name, code):
    folder = start.folder()
    pem = folder / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", "-days", "9",
         "-addext", f"subjectAltName=DNS:{name}", "-keyout", folder / "key",
         "-out", folder / "cert"], check=True, capture_output=True)
    pem.write_bytes((folder / "cert").read_bytes()
                    + (folder / "key").read_bytes())
    (folder / "cert").chmod(0o644)
    s = serve(tls=pem)
    d = before(start, f"https://localhost:{s.port}/",
               f'ca = "{folder / "cert"}"')
    with d.client() as c:
        assert c.deliver("x\r\n", "a@example.org").code == code
    assert len(s.taken) == (code == 250)
