/*
 * What a milter says: each packet and each part of one lies in the input, what
 * comes of a reply is one printable line of its class, and a header that we
 * send comes back as an edit.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/milter_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(int holds)
{
	if (!holds)
		abort();
}

static int
lies_in(struct span part, struct span whole)
{
	return part.ptr >= whole.ptr &&
	       part.ptr + part.len <= whole.ptr + whole.len;
}

static void
check_text(const struct milter_text *t)
{
	check(t->code >= 400 && t->code < 600);
	check(!t->status[0] || t->status[0] == (char)('0' + t->code / 100));
	for (const char *p = t->text; *p; p++)
		check(*p >= ' ' && *p <= '~');
}

/* As it is sent, but for the index that it does not have. */
static void
check_round(const struct milter_edit *e)
{
	struct buf out = {0};
	struct milter_packet p;
	struct milter_edit back;
	struct span in;

	milter_wire_header(&out, e->name, e->value, true);
	in = buf_span(&out);
	check(milter_wire_cut(&in, &p) == MILTER_CUT_PACKET && !in.len);
	p.command = MILTER_ADD;
	check(milter_wire_read_edit(&p, &back) &&
	      span_equal(back.name, e->name) &&
	      back.value.len == e->value.len &&
	      (span_equal(back.value, e->value) ||
		  memchr(e->value.ptr, '\r', e->value.len)));
	buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = {(const char *)data, n};
	struct milter_packet p;

	while (milter_wire_cut(&in, &p) == MILTER_CUT_PACKET) {
		struct milter_options o;
		struct milter_edit e;
		struct milter_text t;

		check(lies_in(p.data, (struct span){(const char *)data, n}));
		if (milter_wire_read_options(p.data, &o))
			check(o.version >= 2 && o.version <= 6 &&
			      !(o.actions & ~0x31u) &&
			      !(o.protocol & ~0x1ff7ffu));
		if (milter_wire_read_edit(&p, &e)) {
			check(lies_in(e.name, p.data) &&
			      lies_in(e.value, p.data));
			check_round(&e);
		}
		if (milter_wire_read_text(p.data, &t))
			check_text(&t);
	}
	return 0;
}
