"""TLS clients that never send a word: through libssl, since Python's ssl has
neither new keys nor a second handshake, and by hand where libssl is polite.
"""

import ctypes
import ctypes.util
import hmac
import itertools
import socket
import struct

from daemon import DEADLINE

GCM = b"ECDHE-ECDSA-AES128-GCM-SHA256"
TLS12, TLS13 = 0x0303, 0x0304
SET_MIN_VERSION, SET_MAX_VERSION = 123, 124  # of SSL_ctrl
GET_TAG = 16  # of EVP_CIPHER_CTX_ctrl
BATCH = 100
HELLO = (b"\x01\x00\x00\x29\x03\x03" + bytes(32) + b"\x00"  # no session
         b"\x00\x02\xc0\x2b" b"\x01\x00")


def library(name, **pointers):
    lib = ctypes.CDLL(ctypes.util.find_library(name))
    for function in pointers["returns"]:
        getattr(lib, function).restype = ctypes.c_void_p
    return lib


ssl = library("ssl", returns=["TLS_client_method", "SSL_CTX_new", "SSL_new",
                              "SSL_get_session"])
crypto = library("crypto", returns=["EVP_CIPHER_CTX_new", "EVP_aes_128_gcm"])
P = ctypes.c_void_p


class Attacker:
    """Greeted in clear, then inside TLS of this version."""

    def __init__(self, port, source, version):
        self.socket = socket.create_connection(
            ("127.0.0.1", port), DEADLINE, source_address=(source, 0))
        self.socket.settimeout(None)  # libssl waits in the kernel
        self.ctx = self.ssl = None
        self.secured = self.start(version)

    def start(self, version):
        for said in b"", b"STARTTLS\r\n":
            self.socket.sendall(said)
            if not self.socket.recv(512).startswith(b"220 "):
                return False
        self.ctx = P(ssl.SSL_CTX_new(P(ssl.TLS_client_method())))
        self.ssl = P(ssl.SSL_new(self.ctx))
        for what in SET_MIN_VERSION, SET_MAX_VERSION:
            ssl.SSL_ctrl(self.ssl, what, ctypes.c_long(version), None)
        ssl.SSL_set_cipher_list(self.ssl, GCM)
        ssl.SSL_set_fd(self.ssl, self.socket.fileno())
        return ssl.SSL_connect(self.ssl) == 1

    def close(self):
        if self.ssl:
            ssl.SSL_free(self.ssl)
            ssl.SSL_CTX_free(self.ctx)
        self.socket.close()

    def new_keys(self):
        """KeyUpdate after KeyUpdate (TLS 1.3), until it is thrown out."""
        while (ssl.SSL_key_update(self.ssl, 0) == 1
               and ssl.SSL_do_handshake(self.ssl) == 1):
            pass

    def hellos(self):
        """ClientHello after ClientHello (TLS 1.2), likewise."""
        key, salt = self.write_key()
        cipher = P(crypto.EVP_CIPHER_CTX_new())
        try:
            for n in itertools.count(1, BATCH):  # Finished was 0
                self.socket.sendall(b"".join(
                    seal(cipher, key, salt, i) for i in range(n, n + BATCH)))
        except OSError:
            pass
        finally:
            crypto.EVP_CIPHER_CTX_free(cipher)

    def write_key(self):
        def get(function, of, size):
            octets = ctypes.create_string_buffer(size)
            assert function(of, octets, ctypes.c_size_t(size)) == size
            return octets.raw

        session = P(ssl.SSL_get_session(self.ssl))
        master = get(ssl.SSL_SESSION_get_master_key, session, 48)
        seed = (b"key expansion" + get(ssl.SSL_get_server_random, self.ssl, 32)
                + get(ssl.SSL_get_client_random, self.ssl, 32))
        block, a = b"", seed
        while len(block) < 40:
            a = hmac.digest(master, a, "sha256")
            block += hmac.digest(master, a + seed, "sha256")
        return block[:16], block[32:36]


def seal(cipher, key, salt, number):
    """HELLO as the record of this number (RFC 5246 6.2.3.3, RFC 5288)."""
    n = ctypes.c_int()
    out = ctypes.create_string_buffer(len(HELLO))
    tag = ctypes.create_string_buffer(16)
    nonce = struct.pack(">Q", number)
    head = nonce + struct.pack(">BHH", 0x16, TLS12, len(HELLO))
    crypto.EVP_EncryptInit_ex(cipher, P(crypto.EVP_aes_128_gcm()), None, key,
                              salt + nonce)
    crypto.EVP_EncryptUpdate(cipher, None, ctypes.byref(n), head, len(head))
    crypto.EVP_EncryptUpdate(cipher, out, ctypes.byref(n), HELLO, len(HELLO))
    crypto.EVP_EncryptFinal_ex(cipher, out, ctypes.byref(n))
    crypto.EVP_CIPHER_CTX_ctrl(cipher, GET_TAG, 16, tag)
    body = nonce + out.raw + tag.raw
    return struct.pack(">BHH", 0x16, TLS12, len(body)) + body
