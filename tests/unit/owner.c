#include "owner.h"

#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/le.h"

#define TYPE 5

void
owner_init(struct owner *o)
{
	*o = (struct owner){.refuses = -1};
}

static void
fill(struct buf *b, unsigned n, size_t size)
{
	char *to = buf_reserve(b, size);

	for (size_t i = 0; i < size; i++)
		to[i] = (char)('a' + (i * 7 + n * 31 + i / 61) % 26);
	b->len += size;
}

void
owner_record(struct buf *record, struct buf *body, unsigned n, size_t size)
{
	char number[4];

	le_put(number, n, sizeof(number));
	record_begin(record, TYPE);
	buf_append(record, number, sizeof(number));
	fill(body, n, size);
}

uint64_t
owner_commit(struct segment *s, unsigned n, size_t size)
{
	struct buf record = {0}, body = {0};
	struct segment_part part = {.record = &record, .offset = s->end};

	owner_record(&record, &body, n, size);
	part.body = buf_span(&body);
	assert_true(segment_fits(s, s->end,
	    segment_next_commit(record.len + body.len)));
	assert_int_equal(segment_commit(s, &part, 1), 0);
	s->end = segment_next_commit(s->end + record.len + body.len);
	buf_free(&record);
	buf_free(&body);
	return part.offset;
}

/* On a thread, perhaps. */
static unsigned
number_of(const struct record *r)
{
	struct buf want = {0};
	unsigned n;

	assert(r->type == TYPE && r->envelope.len == 4);
	n = (unsigned)le_get(r->envelope.ptr, 4);
	assert(n < OWNER_RECORDS);
	fill(&want, n, r->body.len);
	assert(span_equal(r->body, buf_span(&want)));
	buf_free(&want);
	return n;
}

static int
redo(void *ctx, uint32_t version, int dirfd, const struct record *r,
    enum redo_how how, struct redo_count *count)
{
	struct owner *o = ctx;
	unsigned n = number_of(r);

	o->version = version;
	o->dirfd = dirfd;
	if (o->makes_none) {
		count->damaged++;
		return 0;
	}
	if (o->refuses == (int)n) {
		count->lost++;
		return -1;
	}
	count->placed++;
	(how == REDO_AGAIN ? o->again : o->rewritten)[n]++;
	return 0;
}

int
owner_sync(void *ctx)
{
	struct owner *o = ctx;

	o->syncs++;
	if (!o->sync_fails)
		return 0;
	o->sync_fails--;
	errno = o->sync_error;
	return -1;
}

struct journal_owner
owner_of(struct owner *o)
{
	return (struct journal_owner){.version = OWNER_VERSION,
	    .ctx = o,
	    .redo = redo,
	    .sync = owner_sync};
}
