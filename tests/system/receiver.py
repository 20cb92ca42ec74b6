"""Takes mail that smtpd posts. README has all that follows."""

import base64
import hashlib
import hmac
import http.server
import json
import time

KEY = b"write your own"  # of whsec_...: base64.b64decode("...")


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        h = self.headers
        body = self.rfile.read(int(h["Content-Length"]))
        head = f"{h['webhook-id']}.{h['webhook-timestamp']}.".encode()
        want = base64.b64encode(hmac.digest(KEY, head + body, hashlib.sha256))
        good = (hmac.compare_digest(str(h["webhook-signature"]).encode(),
                                    b"v1," + want)
                and abs(time.time() - int(h["webhook-timestamp"])) < 300)
        code, text = (self.take(json.loads(h["Smtp-Envelope"]), body) if good
                      else (401, "not signed by us"))
        self.send_response(code)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(text.encode())

    def take(self, envelope, body):
        print(self.headers["webhook-id"], envelope["to"], len(body))
        return 200, ""  # or 422, "552 5.2.2 Full": the sender hears that


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", 8080),
                                    Receiver).serve_forever()
