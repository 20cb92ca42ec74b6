# smtpd: build, run, test, install. GNU make, Linux.
#
#	make            build/smtpd
#	make run        the same, started on 127.0.0.1:2525 and 2587
#	make check      every test and every lint
#	make install    DESTDIR and PREFIX are honoured
#
# Variants: CC=clang, WERROR=1, SAN=1 (Address- and UndefinedBehaviorSanitizer),
# COV=1 (coverage), FUZZ=1 (libFuzzer). Each has a directory of its own, so
# that no object is ever shared between two of them.

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

SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer

ifdef SAN
BUILD = build/san
MODE = -O1 $(SANITIZE)
else ifdef FUZZ
BUILD = build/fuzz
MODE = -O1 $(SANITIZE) -fsanitize=fuzzer-no-link
else ifdef COV
BUILD = build/cov
# Behind -O2 of CFLAGS: without optimisation a line is a line.
MODE = -O0 --coverage
else
BUILD = build
MODE = -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
LDMODE = -pie -Wl,-z,relro,-z,now
endif

COMPILE = $(CC) -std=gnu11 $(CFLAGS) $(MODE) $(WARN) -Iinclude -D_GNU_SOURCE \
	-DSMTPD_VERSION='"$(VERSION)"' -pthread -MMD -MP $(CPPFLAGS)
LINK = $(CC) $(CFLAGS) $(MODE) $(LDMODE) -pthread $(LDFLAGS)

# By hand: libevent_openssl.pc would pull monolithic -levent in beside core.
LIBS = -levent_core -lconfuse

# --- smtpd: one library per floor, so that tests link only their own ---

FLOORS = base proto io policy deliver
sources = $(sort $(wildcard src/$(1)/*.c))
objects = $(patsubst src/%.c,$(BUILD)/obj/%.o,$(1))

DAEMON_SRC = $(sort $(filter-out src/main.c,$(wildcard src/*.c src/tools/*.c)))

# What a floor may use stands behind it: the linker reads from left to right.
LIB_base    = $(BUILD)/libbase.a
LIB_proto   = $(BUILD)/libproto.a $(LIB_base)
LIB_io      = $(BUILD)/libio.a $(LIB_base)
LIB_policy  = $(BUILD)/libpolicy.a $(BUILD)/libproto.a $(LIB_io)
LIB_deliver = $(BUILD)/libdeliver.a $(BUILD)/libproto.a $(LIB_io)
LIB_daemon  = $(BUILD)/libdaemon.a $(BUILD)/libdeliver.a $(LIB_policy)

LIBS_io      = -levent_core
LIBS_policy  = -levent_core
LIBS_deliver = -levent_core
LIBS_daemon  = $(LIBS)

.PHONY: all build
all build: $(BUILD)/smtpd

$(BUILD)/smtpd: $(BUILD)/obj/main.o $(LIB_daemon)
	$(LINK) -o $@ $^ $(LIBS)

# ar never forgets a member: begin anew, or a removed file lives on.
define library
$(BUILD)/lib$(1).a: $(call objects,$(2))
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach f,$(FLOORS),$(eval $(call library,$(f),$(call sources,$(f)))))
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

# --- tests: tests/unit/<floor>_<module>.c; other files there are helpers ---

TESTED = $(FLOORS) daemon
UNIT_SRC = $(sort $(wildcard $(TESTED:%=tests/unit/%_*.c)))
UNITS = $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/%)
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
	$$(LINK) -o $$@ $$^ $$(LIBS_$(1)) -lcmocka
endef
$(foreach f,$(TESTED),$(eval $(call units,$(f))))

test: $(UNITS)
	@for t in $^; do echo "$$t"; $$t || exit; done

.PHONY: clean
clean:
	rm -rf build

.SECONDARY:
.DELETE_ON_ERROR:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
