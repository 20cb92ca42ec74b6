"""A milter made with Debian's python3-milter: it refuses one known file.
Usage: eicar_milter.py SOCKET"""

import sys

EICAR = (b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR"
         b"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*")


def main():
    import Milter

    class Scanner(Milter.Base):
        def __init__(self):
            self.seen = b""

        @Milter.noreply
        def connect(self, name, family, address):
            return Milter.CONTINUE

        def body(self, chunk):
            self.seen += chunk
            return Milter.CONTINUE

        def eom(self):
            if EICAR in self.seen:
                self.setreply("554", "5.7.1", "100%% EICAR")
                return Milter.REJECT
            self.addheader("X-Scanned", self.getsymval("i"))
            return Milter.ACCEPT

    Milter.factory = Scanner
    Milter.set_flags(Milter.ADDHDRS)
    Milter.runmilter("eicar", sys.argv[1], 60)


if __name__ == "__main__":
    main()
