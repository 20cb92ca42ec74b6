"""A DNS server: a zone in a dictionary, and names that go wrong. UDP alone."""

import ipaddress
import socket
import struct
import threading

TYPES = {"A": 1, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28,
         "TLSA": 52}
NXDOMAIN, SERVFAIL, REFUSED = 3, 2, 5
AD, CD = 0x20, 0x10


def wire(name):
    out = b""
    for label in name.rstrip(".").split("."):
        if label:
            out += bytes([len(label)]) + label.encode()
    return out + b"\0"


def rdata(kind, value):
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind == "MX":
        return struct.pack("!H", value[0]) + wire(value[1])
    if kind == "TXT":
        return bytes([len(value)]) + value.encode()
    if kind == "TLSA":
        return bytes(value[:3]) + bytes.fromhex(value[3])
    return wire(value)


class Names:
    def __init__(self):
        self.records = {}  # (name, type): [rdata]
        self.wrong = {}  # name: an rcode, "silent"; but with CD "bogus", "lost"
        self.authentic = set()

    def add(self, name, kind, value):
        key = name.lower(), TYPES[kind]
        self.records.setdefault(key, []).append(rdata(kind, value))
        if kind == "CNAME":
            self.records[name.lower(), "to"] = value

    def serve(self, address, port=53):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((address, port))
        threading.Thread(target=self.loop, args=(s,), daemon=True).start()

    def loop(self, s):
        while True:
            query, client = s.recvfrom(4096)
            answer = self.answer(query)
            if answer:
                s.sendto(answer, client)

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind = struct.unpack("!H", query[at + 1:at + 3])[0]
        name = ".".join(labels).lower()
        wrong = self.wrong.get(name, 0)
        if wrong == "bogus":
            wrong = 0 if query[3] & CD else SERVFAIL
        if wrong == "silent" or wrong == "lost" and not query[3] & CD:
            return None
        wrong = 0 if wrong == "lost" else wrong
        found, rcode = ([], wrong) if wrong else self.look(name, kind)
        ad = AD if name in self.authentic and query[3] & AD else 0
        return (query[:2] + bytes([0x81, 0x80 | ad | rcode])
                + struct.pack("!HHHH", 1, len(found), 0, 0)
                + query[12:at + 5] + b"".join(found))

    def look(self, name, kind):
        found = []
        while kind != TYPES["CNAME"] and (name, "to") in self.records:
            data = self.records[name, TYPES["CNAME"]][0]
            found.append(record(name, TYPES["CNAME"], data))
            name = self.records[name, "to"].lower()
        found += [record(name, kind, data)
                  for data in self.records.get((name, kind), [])]
        there = any(n == name or n.endswith("." + name)
                    for n, _ in self.records)
        return found, 0 if there else NXDOMAIN


def record(name, kind, data):
    return wire(name) + struct.pack("!HHIH", kind, 1, 60, len(data)) + data
