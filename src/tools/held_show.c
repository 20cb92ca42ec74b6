/*
 * held_show: what is said of held mail. Names, addresses and reasons are
 * strangers', and quoted where a terminal would not show them as they are.
 */
#include "tools/held_show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "dest/destination.h"
#include "tools/control.h"

#define TEXT_MAX 32

struct held_sum {
	UT_hash_handle hh;
	unsigned count;
	uint64_t octets;
	int64_t oldest, next;         /* ms */
	int64_t last;                 /* attempt */
	char reason[HELD_REASON_MAX]; /* of that */
	char shown[];
};

static void
show(const char *text)
{
	control_show(stdout, span_str(text));
}

static const char *
time_text(int64_t ms, char out[TEXT_MAX])
{
	int64_t m = ms / 60000, h = m / 60;

	if (ms >= HELD_AGE_MAX)
		return "given-up";
	if (h >= 24)
		snprintf(out, TEXT_MAX, "%" PRId64 "d%dh", h / 24,
		    (int)(h % 24));
	else if (h)
		snprintf(out, TEXT_MAX, "%dh%dm", (int)h, (int)(m % 60));
	else
		snprintf(out, TEXT_MAX, "%dm%ds", (int)m,
		    (int)(ms / 1000 % 60));
	return out;
}

/* As people read it: a URL's path and query may be secrets. */
static void
put_route(const char *text, struct buf *out)
{
	const struct destination_kind *kind;
	struct arena a = {0};
	struct route_place place;
	const char *rest;
	bool bad = destination_parse(text, &kind, &rest) != NULL;

	if (!bad && kind->syntax != ROUTE_NAME) {
		bad = route_parse_place(kind, rest, &a, &place) != NULL;
		text = bad ? text : route_shown(kind, rest, &a);
	}
	if (bad) /* no longer one of ours: its kind is no secret */
		buf_append(out, text, strcspn(text, ":") + 1);
	else
		buf_append_str(out, text);
	arena_reset(&a);
}

/* The mailbox that a copy is for, or its route. */
static struct buf
place_of(const struct message_copy *c)
{
	struct buf out = {0};

	if (c->to)
		put_route(c->dest->text, &out);
	else
		buf_printf(&out, "%s/%s", c->dest->text, c->path);
	buf_append(&out, "", 1);
	return out;
}

static uint64_t
octets(const struct held_seen *e)
{
	return (uint64_t)e->f.st.st_size + e->f.m.body.filed;
}

void
held_show(const struct held_seen *e)
{
	const struct message *m = &e->f.m;
	int64_t next = held_block_wait(&e->block, e->now);
	struct buf place = place_of(m->copies);
	char age[TEXT_MAX], wait[TEXT_MAX];

	show(e->name);
	printf("  %" PRIu64 "  %s  %s  %" PRIu64 "  ", octets(e),
	    time_text(held_block_age(&e->block, e->now), age),
	    next ? time_text(next, wait) : "now", e->block.attempts);
	show(place.data);
	for (unsigned i = 0; i < m->ncopies; i++) {
		fputs(i ? "," : "  ", stdout);
		show(m->copies[i].address);
	}
	fputs("  ", stdout);
	show(e->reason);
	putchar('\n');
	buf_free(&place);
}

/* --- places --- */

static struct held_sum *
intern(struct held_sum **set, const struct message_copy *c)
{
	struct buf place = place_of(c);
	struct held_sum *s;

	HASH_FIND_STR(*set, place.data, s);
	if (!s) {
		s = mem_new(sizeof(*s) + place.len);
		memcpy(s->shown, place.data, place.len);
		s->next = INT64_MAX;
		HASH_ADD_STR(*set, shown, s);
	}
	buf_free(&place);
	return s;
}

/* Each mailbox has its part of a file; a route has all of it. */
void
held_sums_add(struct held_sum **set, const struct held_seen *e)
{
	const struct message *m = &e->f.m;
	int64_t age = held_block_age(&e->block, e->now);
	int64_t next = held_block_wait(&e->block, e->now);
	unsigned n = m->copies[0].to ? 1 : m->ncopies;

	for (unsigned i = 0; i < n; i++) {
		struct held_sum *s = intern(set, &m->copies[i]);

		s->count++;
		s->octets += octets(e) / n;
		if (age > s->oldest)
			s->oldest = age;
		if (next < s->next)
			s->next = next;
		if (e->block.last < s->last)
			continue;
		s->last = e->block.last;
		snprintf(s->reason, sizeof(s->reason), "%s", e->reason);
	}
}

void
held_sums_show(const struct held_sum *s)
{
	char age[TEXT_MAX], wait[TEXT_MAX];

	if (s)
		printf("%7s %12s %8s %8s  %s\n", "count", "octets", "oldest",
		    "next", "destination  reason");
	for (; s; s = s->hh.next) {
		printf("%7u %12" PRIu64 " %8s %8s  ", s->count, s->octets,
		    time_text(s->oldest, age),
		    s->next ? time_text(s->next, wait) : "now");
		show(s->shown);
		fputs("  ", stdout);
		show(s->reason);
		putchar('\n');
	}
}

void
held_sums_free(struct held_sum **set)
{
	struct held_sum *s = *set, *next;

	HASH_CLEAR(hh, *set);
	for (; s; s = next) {
		next = s->hh.next;
		free(s);
	}
}
