/*
 * resolve: who asked, how many may, and whether anybody answers.
 *
 * A query is whoever asked and whatever c-ares has of it, which cannot be
 * taken back: it lives until both are through. An answer is kept, and told by
 * the query's own timer in the next turn, since c-ares calls back from within
 * its functions; until then the timer is the deadline.
 */
#include "io/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/resolve_channel.h"
#include "io/resolve_host.h"

#define BUCKETS 256
#define TICK    1000 /* ms between two questions whether they are back */
#define TYPE_NS 2

struct query {
	struct ask ask; /* first */
	LIST_ENTRY(query) bucket;
	LIST_ENTRY(query) foreign; /* while held, if it has a stranger */
	struct resolve *resolve;
	struct loop_event *timer; /* NULL: nobody waits any more */
	resolve_fn *fn;
	void *ctx;
	struct buf message; /* empty: told holds why */
	struct dns_answer told;
	enum dns_type type;
	uint32_t stranger;
	uint16_t id;
	bool held; /* c-ares has it */
	char name[DNS_NAME_MAX + 1];
};

LIST_HEAD(queries, query);

struct resolve {
	struct loop *loop;
	struct resolve_channel *channel;
	struct queries buckets[BUCKETS]; /* all, by id */
	struct queries foreign;          /* those held for strangers */
	unsigned nheld, nforeign;
	uint64_t overloads;
	struct buf servers;
	/* does anybody answer? */
	unsigned unheard; /* asked since the last answer to anything */
	bool down;
	int64_t down_since;
	struct loop_event *watch;
	struct resolve_hosts hosts; /* asks for both kinds of addresses */
};

/* --- queries --- */

/* Of those held: all others may be any number. */
static struct query *
find_query(struct resolve *r, uint16_t id)
{
	struct query *q;

	LIST_FOREACH (q, &r->buckets[id % BUCKETS], bucket)
		if (q->held && q->id == id)
			break;
	return q;
}

/* 1.18 sends it as it is, and nothing else makes an answer hard to forge. */
static uint16_t
new_id(struct resolve *r)
{
	uint16_t id;

	do
		if (getrandom(&id, sizeof(id), 0) != sizeof(id))
			abort();
	while (find_query(r, id));
	return id;
}

/* One of the two is through with it. */
static void
leave(struct query *q)
{
	if (q->timer || q->held)
		return;
	LIST_REMOVE(q, bucket);
	buf_free(&q->message);
	free(q);
}

static void
on_cancel(struct ask *ask, enum ask_end end)
{
	struct query *q = (struct query *)ask;

	(void)end; /* nothing can be undone */
	loop_event_free(&q->timer);
	leave(q);
}

static void
on_timer(void *arg)
{
	struct query *q = arg;
	struct dns_answer answer = q->told;
	struct arena arena = {0};
	resolve_fn *fn = q->fn;
	void *ctx = q->ctx;

	if (q->message.len)
		dns_read(buf_span(&q->message), q->name, q->type, &arena,
		    &answer);
	loop_event_free(&q->timer);
	leave(q);
	fn(ctx, &answer);
	arena_reset(&arena);
}

static struct query *
new_query(struct resolve *r, enum dns_type type, struct span name,
    int64_t deadline, resolve_fn *fn, void *ctx)
{
	struct query *q = mem_new(sizeof(*q));
	int64_t left = deadline - clock_now();

	*q = (struct query){.ask.cancel = on_cancel,
	    .resolve = r,
	    .type = type,
	    .id = new_id(r),
	    .told = {.status = DNS_FAILED, .why = DNS_TIMEOUT},
	    .fn = fn,
	    .ctx = ctx};
	memcpy(q->name, name.ptr, name.len);
	LIST_INSERT_HEAD(&r->buckets[q->id % BUCKETS], q, bucket);
	q->timer = loop_timer(r->loop, on_timer, q);
	if (!q->timer)
		abort();
	loop_timer_set(q->timer, left > 0 ? (uint64_t)left : 0);
	return q;
}

/* In the next turn. */
static void
tell(struct query *q, enum dns_status status, unsigned why)
{
	q->told.status = status;
	q->told.why = why;
	if (q->timer)
		loop_timer_set(q->timer, 0);
}

/* --- does anybody answer? --- */

static void
say_down(struct resolve *r)
{
	r->down = true;
	r->down_since = clock_now();
	log_event(LOG_WARN, "dns-down", LOG_STR("servers", r->servers.data),
	    LOG_UINT("unanswered", r->unheard));
}

static void
say_up(struct resolve *r)
{
	r->down = false;
	log_event(LOG_INFO, "dns-up",
	    LOG_INT("seconds", (clock_now() - r->down_since) / 1000));
}

/* It is RESOLVE_DOWN_AFTER since so many were unanswered, or it is down. */
static void
on_watch(void *ctx)
{
	struct resolve *r = ctx;

	if (!r->down && r->unheard >= RESOLVE_DOWN_QUERIES)
		say_down(r);
	if (!r->down)
		return;
	resolve_channel_send(r->channel, ".", TYPE_NS, 0, new_id(r), NULL);
	loop_timer_set(r->watch, TICK);
}

/*
 * Whatever it says: what becomes of single names counts for nothing, else the
 * owner of a dead zone could bring all down.
 */
static void
on_heard(void *ctx, int id, unsigned rcode)
{
	struct resolve *r = ctx;
	struct query *q = id < 0 ? NULL : find_query(r, (uint16_t)id);

	/* 1.18 tells no reason when it has no other server to ask */
	if (q && rcode)
		q->told.why = rcode;
	r->unheard = 0;
	if (r->down)
		say_up(r);
}

/* --- asking --- */

static bool
has_room(const struct resolve *r, uint32_t stranger)
{
	const struct query *q;
	unsigned n = 0;

	if (r->nheld == RESOLVE_MAX)
		return false;
	if (!stranger)
		return true;
	LIST_FOREACH (q, &r->foreign, foreign)
		n += q->stranger == stranger;
	return r->nforeign < RESOLVE_STRANGERS && n < RESOLVE_STRANGER;
}

static void
let_go(struct query *q)
{
	struct resolve *r = q->resolve;

	q->held = false;
	r->nheld--;
	if (q->stranger) {
		LIST_REMOVE(q, foreign);
		r->nforeign--;
	}
}

/* NULL: what was asked was whether anybody answers. */
static void
on_back(void *arg, struct span message, unsigned why)
{
	struct query *q = arg;

	if (!q)
		return;
	let_go(q);
	buf_append_span(&q->message, message);
	/* unless a server gave a better reason */
	tell(q, DNS_FAILED, q->told.why == DNS_TIMEOUT ? why : q->told.why);
	leave(q);
}

static void
send_query(struct query *q, unsigned flags, uint32_t stranger)
{
	struct resolve *r = q->resolve;

	q->held = true;
	r->nheld++;
	q->stranger = stranger;
	if (stranger) {
		LIST_INSERT_HEAD(&r->foreign, q, foreign);
		r->nforeign++;
	}
	if (++r->unheard == RESOLVE_DOWN_QUERIES)
		loop_timer_set(r->watch, RESOLVE_DOWN_AFTER);
	if (resolve_channel_send(r->channel, q->name, (int)q->type, flags,
		q->id, q) < 0) {
		let_go(q);
		tell(q, DNS_NXDOMAIN, 0);
	}
}

struct ask *
resolve_ask(struct resolve *r, enum dns_type type, const char *name,
    unsigned flags, uint32_t stranger, int64_t deadline, resolve_fn *fn,
    void *ctx)
{
	struct span s = span_str(name);
	struct query *q;

	if (s.len > 1 && s.ptr[s.len - 1] == '.')
		s.len--;
	if (!dns_name_valid(s))
		s.len = 0;
	q = new_query(r, type, s, deadline, fn, ctx);
	if (!s.len) {
		tell(q, DNS_NXDOMAIN, 0);
	} else if (r->down) {
		tell(q, DNS_FAILED, DNS_DOWN);
	} else if (!has_room(r, stranger)) {
		r->overloads++;
		tell(q, DNS_FAILED, DNS_OVERLOAD);
	} else {
		send_query(q, flags, stranger);
	}
	return &q->ask;
}

struct ask *
resolve_host(struct resolve *r, const char *name, int64_t deadline,
    resolve_fn *fn, void *ctx)
{
	return resolve_hosts_ask(&r->hosts, name, deadline, fn, ctx);
}

/* --- all of it --- */

struct resolve *
resolve_new(struct loop *l, const struct resolve_options *o)
{
	struct resolve *r = mem_new(sizeof(*r));

	*r = (struct resolve){.loop = l,
	    .hosts = {.resolve = r,
		.loop = l,
		.known = o->hosts,
		.nknown = o->nhosts,
		.files = o->files}};
	r->watch = loop_timer(l, on_watch, r);
	if (!r->watch)
		abort();
	r->channel = resolve_channel_new(l, o, on_heard, on_back, r);
	if (!r->channel) {
		resolve_free(&r);
		return NULL;
	}
	resolve_channel_servers(r->channel, &r->servers);
	buf_append(&r->servers, "", 1);
	return r;
}

void
resolve_free(struct resolve **p)
{
	struct resolve *r = *p;
	int saved = errno;

	*p = NULL;
	if (!r)
		return;
	resolve_hosts_drop(&r->hosts);
	for (unsigned i = 0; i < BUCKETS; i++) {
		struct query *q = LIST_FIRST(&r->buckets[i]);

		while (q) {
			struct query *next = LIST_NEXT(q, bucket);

			on_cancel(&q->ask, ASK_ABANDON);
			q = next;
		}
	}
	resolve_channel_free(&r->channel);
	loop_event_free(&r->watch);
	buf_free(&r->servers);
	free(r);
	errno = saved;
}

const char *
resolve_servers(const struct resolve *r)
{
	return r->servers.data;
}

uint64_t
resolve_overloads(const struct resolve *r)
{
	return r->overloads;
}

const char *
resolve_reverse(const struct ipaddr *a, char out[RESOLVE_REVERSE_MAX])
{
	const uint8_t *b = a->bytes;
	size_t n = 0;

	if (a->family != IP_V6) {
		snprintf(out, RESOLVE_REVERSE_MAX, "%u.%u.%u.%u.in-addr.arpa",
		    b[3], b[2], b[1], b[0]);
		return out;
	}
	for (unsigned i = 16; i-- > 0; n += 4)
		snprintf(out + n, RESOLVE_REVERSE_MAX - n, "%x.%x.", b[i] & 15,
		    b[i] >> 4);
	memcpy(out + n, "ip6.arpa", sizeof("ip6.arpa"));
	return out;
}
