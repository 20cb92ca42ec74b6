# smtpd: build, run, test, install. GNU make, Linux.
#
#	make            build/smtpd
#	make run        the same, started on 127.0.0.1:2525 and 2587
#	make check      every test and every lint
#	make install    DESTDIR and PREFIX are honoured
#
# For those who work on it: make test (the unit tests), lint, format, fuzz
# (FUZZ_SECONDS=600 of CPU for each target), coverage (ROOM=proto), peers.
#
# Variants: CC=clang, WERROR=1, SAN=1 (Address- and UndefinedBehaviorSanitizer),
# COV=1 (coverage), FUZZ=1 (libFuzzer). Each has a directory of its own, so
# that no object is ever shared between two of them. HTTP=0 leaves libcurl out,
# and with it the destinations http: and https:; REDIS=0 leaves hiredis out, and
# with it the greylist that several machines share.

# The one place where the version is written.
VERSION = 0.1.0

PREFIX = /usr/local
DESTDIR =

ifeq ($(origin CC),default)
CC = gcc
endif
ifdef FUZZ
CC = clang
endif

# --- variants ---

CFLAGS = -O2 -g
WARN = -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion \
	-Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual \
	-Wwrite-strings -Wvla -Wformat=2 -Wundef
ifdef WERROR
WARN += -Werror
endif
ifeq ($(HTTP),0)
WITHOUT = -DSMTPD_NO_HTTP
LEFT_OUT = $(wildcard src/dest/http*.c tests/unit/dest_http*.c)
else
LIBS_http = -lcurl
NEED_http = libcurl4-openssl-dev
endif
ifeq ($(REDIS),0)
WITHOUT += -DSMTPD_NO_REDIS
LEFT_OUT += $(wildcard src/policy/redis*.c tests/unit/*_redis*.c)
else
LIBS_redis = -lhiredis
NEED_redis = libhiredis-dev
endif

SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
# Reports and profiles are files that no sandbox lets out.
OPEN = -DSMTPD_NO_SANDBOX

ifeq ($(CC) $(SAN)$(FUZZ)$(COV),clang )
BUILD = build/clang
MODE = -fPIE
LDMODE = -pie
else ifdef SAN
BUILD = build/san
MODE = -O1 $(SANITIZE) $(OPEN)
else ifdef FUZZ
BUILD = build/fuzz
MODE = -O1 $(SANITIZE) -fsanitize=fuzzer-no-link $(OPEN)
else ifdef COV
BUILD = build/cov
# Behind -O2 of CFLAGS: without optimisation a line is a line.
MODE = -O0 --coverage $(OPEN)
else
BUILD = build
MODE = -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
LDMODE = -pie -Wl,-z,relro,-z,now
endif

COMPILE = $(CC) -std=gnu11 $(CFLAGS) $(MODE) $(WARN) -Iinclude -Isrc \
	-D_GNU_SOURCE -DSMTPD_VERSION='"$(VERSION)"' -pthread -MMD -MP $(WITHOUT) \
	$(CPPFLAGS)
LINK = $(CC) $(CFLAGS) $(MODE) $(LDMODE) -pthread $(LDFLAGS)

# By hand: libevent_openssl.pc would pull monolithic -levent in beside core.
LIBS = -levent_core -lconfuse -lssl -lcrypto -lcrypt -lidn2 -lresolv -lcares \
	$(LIBS_http) $(LIBS_redis)

# --- smtpd: one library per room, so that tests link only their own ---

ROOMS = base proto io mail dest rcpt journal deliver policy config session
sources = $(sort $(filter-out $(LEFT_OUT),$(wildcard src/$(1)/*.c)))
objects = $(patsubst src/%.c,$(BUILD)/obj/%.o,$(1))

DAEMON_SRC = $(sort $(filter-out src/main.c,$(wildcard src/*.c src/tools/*.c)))

# What a room may use stands behind it: the linker reads from left to right.
archives = $(1:%=$(BUILD)/lib%.a)
LIB_base    = $(call archives,base)
LIB_proto   = $(call archives,proto base)
LIB_io      = $(call archives,io proto base)
LIB_mail    = $(call archives,mail io proto base)
LIB_dest    = $(call archives,dest mail io proto base)
LIB_rcpt    = $(call archives,rcpt dest mail io proto base)
LIB_journal = $(call archives,journal io proto base)
LIB_deliver = $(call archives,deliver journal rcpt dest mail io proto base)
LIB_policy  = $(call archives,policy mail io proto base)
LIB_config  = $(call archives,config policy) $(LIB_deliver)
LIB_session = $(call archives,session) $(LIB_config)
LIB_daemon  = $(call archives,daemon) $(LIB_session)

LIBS_proto   = -lresolv
LIBS_io      = -levent_core -lssl -lcrypto -lidn2 -lresolv -lcares
LIBS_mail    = $(LIBS_io)
LIBS_dest    = $(LIBS_io) $(LIBS_http)
LIBS_rcpt    = $(LIBS_io) $(LIBS_http)
LIBS_journal = $(LIBS_io)
LIBS_deliver = $(LIBS_io) $(LIBS_http)
LIBS_policy  = $(LIBS_io) -lcrypt $(LIBS_redis)
LIBS_config  = $(LIBS)
LIBS_session = $(LIBS)
LIBS_daemon  = $(LIBS)

.PHONY: all build
all build: $(BUILD)/smtpd

$(BUILD)/smtpd: $(BUILD)/obj/main.o $(LIB_daemon)
	$(LINK) -o $@ $^ $(LIBS)

# The sandbox's two files once more, for two binaries of the tests: strict/ ends
# a worker at a call that its filter does not know; hole/ is one whose workers
# do whatever a client tells them to.
define twice
$(BUILD)/obj/$(1)/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(COMPILE) $(2) -c -o $$@ $$<
endef
$(eval $(call twice,strict,-DSMTPD_STRICT))
$(eval $(call twice,hole,-DSMTPD_HOLE))
$(BUILD)/strict/smtpd: $(BUILD)/obj/main.o $(BUILD)/obj/strict/io/seccomp.o \
    $(LIB_daemon)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(LIBS)
$(BUILD)/hole/smtpd: $(BUILD)/obj/main.o $(BUILD)/obj/tests/hole/hole.o \
    $(BUILD)/obj/hole/io/landlock.o $(LIB_daemon)
	@mkdir -p $(@D)
	$(LINK) -Wl,--wrap=session_new -o $@ $^ $(LIBS)

# ar never forgets a member: begin anew, or a removed file lives on.
define library
$(BUILD)/lib$(1).a: $(call objects,$(2))
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach f,$(ROOMS),$(eval $(call library,$(f),$(call sources,$(f)))))
$(eval $(call library,daemon,$(DAEMON_SRC)))

$(BUILD)/obj/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

# Holds the command line; changes only when that does, and then all follows.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(COMPILE) $(LINK)' | cmp -s - $@ || \
		echo '$(COMPILE) $(LINK)' > $@
.PHONY: FORCE
FORCE:

# --- tests: tests/unit/<room>_<module>.c; other files there are helpers ---

TESTED = $(ROOMS) daemon
UNIT_SRC = $(sort $(wildcard $(TESTED:%=tests/unit/%_*.c)))
UNITS = $(patsubst tests/unit/%.c,$(BUILD)/tests/%, \
	$(filter-out $(LEFT_OUT),$(UNIT_SRC)))
HELPERS = $(filter-out $(UNIT_SRC),$(sort $(wildcard tests/unit/*.c)))
HELPER_LIB = $(if $(HELPERS),$(BUILD)/tests/libhelpers.a)

.PHONY: units test
units: $(UNITS)

$(BUILD)/obj/tests/%.o: tests/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -Itests/unit -c -o $@ $<

$(BUILD)/tests/libhelpers.a: $(HELPERS:tests/%.c=$(BUILD)/obj/tests/%.o)
	@mkdir -p $(@D)
	@rm -f $@
	ar rcs $@ $^

define units
$(BUILD)/tests/$(1)_%: $(BUILD)/obj/tests/unit/$(1)_%.o $(HELPER_LIB) \
    $(LIB_$(1))
	@mkdir -p $$(@D)
	$$(LINK) -o $$@ $$+ $$(LIBS_$(1)) -lcmocka
endef
$(foreach f,$(TESTED),$(eval $(call units,$(f))))

# As many at a time as there are processors, each one's output whole.
test: $(UNITS)
	@printf '%s\n' $^ | xargs -n1 -P"$$(nproc)" sh -c 'out=$$("$$0" 2>&1); \
	    status=$$?; printf "%s\n%s\n" "$$0" "$$out"; exit $$status'

# --- fuzzing: tests/fuzz/fuzz_<name>.c, its corpus in tests/fuzz/<name>/ ---

FUZZ_SECONDS = 600
FUZZERS = $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/*.c))

.PHONY: fuzzers fuzz corpora
ifdef FUZZ
fuzzers: $(FUZZERS)
$(FUZZERS): build/fuzz/%: build/fuzz/obj/tests/fuzz/%.o $(HELPER_LIB) \
    $(LIB_daemon)
	$(LINK) -fsanitize=fuzzer -o $@ $^ $(LIBS_daemon)
else ifdef SAN
# To read a corpus once takes no coverage, and so none of its objects.
corpora: $(FUZZERS:build/fuzz/%=build/san/corpus/%)
build/san/corpus/%: build/san/obj/tests/fuzz/%.o $(HELPER_LIB) $(LIB_daemon)
	@mkdir -p $(@D)
	$(LINK) -fsanitize=fuzzer -o $@ $^ $(LIBS_daemon)
else
fuzzers:
	@$(MAKE) FUZZ=1 fuzzers
fuzz: fuzzers
	@for f in $(FUZZERS); do n=$${f##*/fuzz_}; \
	    mkdir -p build/fuzz/corpus/$$n && \
	    $$f -max_total_time=$(FUZZ_SECONDS) -max_len=2048 \
	        -print_final_stats=1 build/fuzz/corpus/$$n tests/fuzz/$$n || \
	    exit; done
endif

# --- make run, make check: they install what they need, then do it ---

NEED_BUILD = gcc libc-ares-dev libc6-dev libevent-dev libconfuse-dev \
	libcrypt-dev libidn2-dev libssl-dev uthash-dev $(NEED_http) \
	$(NEED_redis)
NEED_CHECK = $(NEED_BUILD) clang clang-format clang-tidy cppcheck curl \
	e2fsprogs gsasl iproute2 libclang-rt-dev libcmocka-dev libnet-ssleay-perl \
	mandoc mount msmtp nftables openssl procps python3 python3-jsonschema \
	python3-milter python3-pytest strace swaks util-linux xfsprogs $(PEERS:%=+%) \
	$(BENCH_PEERS:%=+%)

# Unpacked, not installed: they would start, and one be the system's mailer.
# + is for the libraries that they need. Apart, since each has a sendmail.
PEERS = postfix dovecot-core dovecot-lmtpd haproxy nginx nsd opendkim opendmarc \
	openssh-server prometheus redis-server redis-tools rspamd
BENCH_PEERS = opensmtpd exim4-daemon-light chasquid

.PHONY: need-build need-check peers run check check-quick bench lint format
.PHONY: coverage
need-build:
	@tests/need smtpd $(NEED_BUILD)
need-check:
	@tests/need "the tests" $(NEED_CHECK)

# A longer list is unpacked anew.
build/%/.list: FORCE
	@mkdir -p $(@D)
	@echo '$(unpack)' | cmp -s - $@ || echo '$(unpack)' > $@

peers: build/peers/.done
# promtool is in prometheus, or has a package of its own.
build/peers/.done: unpack = $(strip $(PEERS) \
	$(shell apt-cache pkgnames promtool 2>/dev/null))
build/bench-peers/.done: unpack = $(BENCH_PEERS)
build/peers/.done build/bench-peers/.done: %/.done: %/.list
	@! command -v apt-get >/dev/null || \
	    { cd $(@D) && apt-get download -qq $(unpack) && \
	    for p in *.deb; do dpkg -x "$$p" .; done && rm -f *.deb && \
	    touch .done; }

run: need-build
	@$(MAKE) -s build/smtpd
	@tests/run

check: need-check
	@$(MAKE) -s peers
	-@$(MAKE) -s build/bench-peers/.done
	@tests/check

# Without other servers and without faults of the disk.
check-quick: need-check
	@tests/check quick

lint: need-check
	@$(MAKE) -s build/smtpd
	@status=0; for l in $(sort $(wildcard tests/lint/*)); do \
	    echo "$$l"; $$l || status=1; done; exit $$status

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

# Ratios of one run: see tests/bench/README.md. BENCH_BASE: an older smtpd.
BENCH_BIN = build/bench/canned build/bench/crowd build/bench/hello build/bench/mda
LIBS_canned = -levent_core
LIBS_hello = -lssl -lcrypto
LIBS_mda = -static-pie
$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(LIBS_$*)

bench: need-check
	@$(MAKE) -s build/smtpd $(BENCH_BIN) peers
	-@$(MAKE) -s build/bench-peers/.done
	@tests/bench/tls
	-@tests/bench/price $(BENCH_BASE)
	@tests/bench/crowd
	@tests/bench/run

# What a room's own unit tests reach of it: of each file, also of one that no
# test is linked with, and of all.
ROOM = proto
coverage:
	@rm -rf build/cov
	@$(MAKE) -s COV=1 units
	@for t in build/cov/tests/$(ROOM)_*; do [ ! -x $$t ] || $$t >/dev/null || \
	    exit; done
	@cd build/cov && gcov -o obj/$(ROOM) obj/$(ROOM)/*.gcno 2>/dev/null | \
	    awk -F"'" '/^File/{f=$$2} /^Lines/{if(f~/src\/$(ROOM)/)print f": "$$0} \
	    /^$$/{f="src/$(ROOM)"}'

# --- make install ---

MANDIR = $(PREFIX)/share/man
DOCDIR = $(PREFIX)/share/doc/smtpd
UNITDIR = $(PREFIX)/lib/systemd/system
SYSUSERSDIR = $(PREFIX)/lib/sysusers.d
TMPFILESDIR = $(PREFIX)/lib/tmpfiles.d

.PHONY: install uninstall
install: build/smtpd
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(MANDIR)/man8 \
	    $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(DOCDIR) \
	    $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR) \
	    $(DESTDIR)$(TMPFILESDIR) $(DESTDIR)/etc/smtpd
	install -m 755 build/smtpd $(DESTDIR)$(PREFIX)/sbin/
	install -m 644 src/smtpd.8 $(DESTDIR)$(MANDIR)/man8/
	install -m 644 src/smtpd.conf.5 $(DESTDIR)$(MANDIR)/man5/
	install -m 644 smtpd.conf.example README.md LICENSE \
	    $(DESTDIR)$(DOCDIR)/
	sed 's,@PREFIX@,$(PREFIX),' src/smtpd.service \
	    > $(DESTDIR)$(UNITDIR)/smtpd.service
	install -m 644 src/smtpd.socket $(DESTDIR)$(UNITDIR)/
	install -m 644 src/smtpd.sysusers $(DESTDIR)$(SYSUSERSDIR)/smtpd.conf
	install -m 644 src/smtpd.tmpfiles $(DESTDIR)$(TMPFILESDIR)/smtpd.conf

# What is not ours stays: /etc/smtpd, the mail.
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/sbin/smtpd $(DESTDIR)$(MANDIR)/man8/smtpd.8 \
	    $(DESTDIR)$(MANDIR)/man5/smtpd.conf.5 \
	    $(DESTDIR)$(UNITDIR)/smtpd.service \
	    $(DESTDIR)$(UNITDIR)/smtpd.socket \
	    $(DESTDIR)$(SYSUSERSDIR)/smtpd.conf \
	    $(DESTDIR)$(TMPFILESDIR)/smtpd.conf
	rm -rf $(DESTDIR)$(DOCDIR)

.PHONY: clean
clean:
	rm -rf build

.SECONDARY:
.DELETE_ON_ERROR:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
