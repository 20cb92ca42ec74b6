/*
 * http: a route's questions, each one POST after the other for as many copies
 * as one takes.
 *
 * A question is NAMING until the host's addresses are there, SUMMING while its
 * body is read for the signature, then POSTING. Whatever ends it - an answer,
 * its time, a cancel - only notes so: settle() does the rest when the turn is
 * over, outside of libcurl, and is the only one that frees it.
 */
#include "dest/http.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "dest/addresses.h"
#include "dest/http_head.h"
#include "dest/http_health.h"
#include "dest/http_multi.h"
#include "dest/http_post.h"
#include "io/clock.h"
#include "io/digest.h"

enum state { NAMING, SUMMING, POSTING };

struct question {
	struct ask ask; /* first */
	LIST_ENTRY(question) next;
	struct http *h; /* NULL: it is freed */
	struct loop *loop;
	struct parcel *parcel; /* NULL: cancelled */
	parcel_fn *fn;
	void *ctx;
	struct loop_event *timer;
	struct http_post post;
	enum state state;
	bool ended; /* settle() comes */
	bool late;
	unsigned first, n; /* the copies of this POST */
	unsigned ntaken;
	struct buf json, id;
	int64_t asked; /* monotonic ms */
	int64_t begun; /* seconds since 1970, in the signature */
};

struct http {
	struct carrier carrier; /* first */
	const struct dest_services *services;
	struct http_multi multi;
	struct http_health health;
	struct buf key;
	LIST_HEAD(questions, question) questions;
	struct addresses *addresses;
};

int
http_begin(void)
{
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -1;
}

void
http_end(void)
{
	curl_global_cleanup();
}

/* --- the end of a question --- */

static void settle(void *arg);

static void
end(struct question *q)
{
	if (q->ended)
		return;
	q->ended = true;
	loop_defer(q->loop, settle, q);
}

static void
on_ended(void *private)
{
	end(private);
}

/* With what libcurl has of it. */
static void
close_post(struct question *q)
{
	if (q->post.easy)
		http_multi_remove(&q->h->multi, q->post.easy);
	http_post_end(&q->post);
}

static void
close_question(struct question *q)
{
	close_post(q);
	http_post_free(&q->post);
	loop_event_free(&q->timer);
	buf_free(&q->json);
	buf_free(&q->id);
	LIST_REMOVE(q, next);
	q->h = NULL;
}

/* --- health --- */

static void
judge(struct question *q, enum fate fate)
{
	/* a disk of ours, or our other POSTs */
	bool ours = q->state == SUMMING || q->post.paused ||
		    (q->state == POSTING && !q->post.had_turn);
	const struct http_event e = {.fate = fate,
	    .status = q->post.answer.status,
	    .error = q->state == NAMING ? NULL : q->post.error,
	    .late = q->late && !ours,
	    .begun = q->asked,
	    .now = clock_now()};

	http_health_judge(&q->h->health, &e);
}

enum carrier_health
http_health(const struct carrier *c, const struct smtp_reply **reply)
{
	const struct http *h = (const struct http *)c;

	if (!health_is_down(&h->health.health, clock_now()))
		return CARRIER_UP;
	*reply = http_reply_down();
	return CARRIER_DOWN;
}

void
http_again(struct carrier *c)
{
	health_again(&((struct http *)c)->health.health);
}

/* --- one POST --- */

/* All before that one which have not been told. */
static void
settle_copies(struct question *q, unsigned before, enum fate fate,
    const struct smtp_reply *reply)
{
	for (; q->first < before; q->first++) {
		q->parcel->copies[q->first]->fate = fate;
		q->parcel->copies[q->first]->reply = reply;
	}
}

static void
post(struct question *q, const uint8_t *digest)
{
	struct http *h = q->h;
	const struct http_request r = {.route = h->carrier.route,
	    .addresses = h->addresses,
	    .json = buf_span(&q->json),
	    .id = buf_span(&q->id),
	    .when = q->begun,
	    .digest = digest,
	    .private = q};

	q->state = POSTING;
	q->parcel->handed = true;
	http_post_begin(&q->post, &r);
	http_multi_add(&h->multi, q->post.easy);
}

static void
sum(struct question *q)
{
	uint8_t digest[DIGEST_LEN];

	switch (http_post_sum(&q->post, digest)) {
	case CONTENT_END:
		post(q, digest);
		break;
	case CONTENT_FAILED:
		end(q);
		break;
	default:
		break;
	}
}

/* "id.timestamp." stands before the body. */
static void
begin_sum(struct question *q)
{
	struct buf head = {0};

	q->state = SUMMING;
	buf_append_span(&head, buf_span(&q->id));
	buf_printf(&head, ".%lld.", (long long)q->begun);
	http_post_sum_begin(&q->post, buf_span(&q->h->key), buf_span(&head));
	buf_free(&head);
	sum(q);
}

static void
on_more(void *ctx)
{
	struct question *q = ctx;

	if (q->ended)
		return;
	if (q->state == SUMMING)
		sum(q);
	else if (q->state == POSTING)
		http_post_resume(&q->post);
}

/* As many as the lines on top have line ends they grow. */
static uint64_t
length_of(const struct message *m)
{
	struct client_body lines = {0};
	struct buf top = {0};
	uint64_t n;

	client_body_add(&lines, buf_span(&m->return_path), false, &top);
	client_body_add(&lines, buf_span(&m->received), false, &top);
	n = top.len + m->wire;
	buf_free(&top);
	return n;
}

static void
go(struct question *q)
{
	struct address places[ADDRESSES_MAX];

	if (!addresses_list(q->h->addresses, clock_now(), places)) {
		end(q);
		return;
	}
	q->begun = clock_wall() / 1000;
	if (q->h->key.len) {
		begin_sum(q);
	} else {
		http_post_length(&q->post, length_of(q->parcel->m));
		post(q, NULL);
	}
}

/* The addresses are known, or that there are none. */
static void
on_names(void *ctx)
{
	struct http *h = ctx;
	struct question *q = NULL;

	LIST_FOREACH (q, &h->questions, next)
		if (!q->ended && q->state == NAMING)
			go(q);
}

/* --- a question --- */

static void
begin(struct question *q)
{
	struct parcel *p = q->parcel;

	q->json.len = q->id.len = 0;
	q->post.answer = (struct http_answer){.status = 0};
	q->post.error[0] = '\0'; /* of the one before */
	q->n = http_envelope(p->m, p->copies + q->first, p->n - q->first,
	    &q->json, &q->id);
	q->state = NAMING;
	if (addresses_ready(q->h->addresses, clock_now()))
		go(q);
}

static enum fate
verdict(struct question *q, const struct smtp_reply **reply)
{
	struct http_answer a = q->post.answer;

	if (q->post.failed) {
		*reply = SMTP_REPLY(451, "4.3.0", "The message cannot be read");
		return FATE_AGAIN;
	}
	/* its time was up before anything had failed */
	if (q->late && !*q->post.error)
		a.reached = true;
	return http_verdict(&a, &q->parcel->m->arena, reply);
}

/* What became of this POST; true: go on with the next. */
static bool
conclude(struct question *q)
{
	struct parcel *p = q->parcel;
	const struct smtp_reply *reply;
	enum fate fate;
	unsigned end_of = q->first + q->n;

	close_post(q);
	fate = verdict(q, &reply);
	judge(q, fate);
	settle_copies(q, fate == FATE_DOWN ? p->n : end_of, fate, reply);
	if (fate == FATE_TAKEN)
		q->ntaken++;
	if (q->late)
		settle_copies(q, p->n, FATE_AGAIN, http_reply_again());
	return q->first < p->n && (q->ntaken || !p->whole);
}

static void
settle(void *arg)
{
	struct question *q = arg;
	parcel_fn *fn = q->fn;
	void *ctx = q->ctx;
	bool silent = !q->parcel;

	if (q->h && q->parcel) {
		q->ended = false;
		if (conclude(q)) {
			begin(q);
			return;
		}
	}
	if (q->h)
		close_question(q);
	free(q);
	if (!silent)
		fn(ctx);
}

static void
on_time(void *ctx)
{
	struct question *q = ctx;

	q->late = true;
	end(q);
}

static void
say_unanswered(const struct question *q)
{
	for (unsigned i = q->first; i < q->first + q->n; i++)
		parcel_log_unanswered(q->parcel, i, q->h->carrier.route);
}

/* Behind the end of its data somebody may have it. */
static void
on_cancel(struct ask *ask, enum ask_end how)
{
	struct question *q = (struct question *)ask;

	(void)how;
	if (q->state == POSTING && http_post_is_whole(&q->post))
		say_unanswered(q);
	q->parcel = NULL;
	content_free(&q->post.content);
	loop_event_free(&q->timer);
	end(q);
}

struct ask *
http_ask(struct carrier *c, struct parcel *p, parcel_fn *fn, void *ctx)
{
	struct http *h = (struct http *)c;
	struct question *q = mem_new(sizeof(*q));
	int64_t now = clock_now();
	int64_t until = now + (int64_t)c->route->timeout;

	*q = (struct question){.ask.cancel = on_cancel,
	    .h = h,
	    .loop = h->services->loop,
	    .parcel = p,
	    .fn = fn,
	    .ctx = ctx,
	    .asked = now};
	LIST_INSERT_HEAD(&h->questions, q, next);
	http_post_init(&q->post, h->services->jobs, p->m, p->dot_by, on_more,
	    q);
	q->timer = loop_timer(q->loop, on_time, q);
	if (!q->timer)
		abort();
	if (until > p->deadline)
		until = p->deadline;
	loop_timer_set(q->timer, until > now ? (uint64_t)(until - now) : 0);
	if (health_is_down(&h->health.health, now))
		end(q);
	else
		begin(q);
	return &q->ask;
}

/* --- the route --- */

struct carrier *
http_open(const struct route *r, const struct dest_services *s)
{
	struct http *h = mem_new(sizeof(*h));

	*h = (struct http){.carrier.route = r, .services = s};
	LIST_INIT(&h->questions);
	http_multi_init(&h->multi, s->loop, on_ended);
	h->multi.connections = r->connections;
	h->multi.slot = s->slot;
	h->multi.place = neighbour_open(s->shared, s->slot, NEIGHBOUR_ROUTE,
	    r->text, clock_now());
	h->health = (struct http_health){.route = r->shown,
	    .place = h->multi.place,
	    .slot = s->slot};
	h->addresses = addresses_new(r, s->resolve, on_names, h);
	if (r->secret.len)
		http_key(r->secret, &h->key);
	return &h->carrier;
}

void
http_free(struct carrier **c)
{
	struct http *h = (struct http *)*c;
	struct question *q;

	*c = NULL;
	if (!h)
		return;
	addresses_free(&h->addresses);
	while ((q = LIST_FIRST(&h->questions))) {
		q->parcel = NULL;
		end(q);
		close_question(q);
	}
	http_multi_free(&h->multi);
	neighbour_close(h->multi.place, h->services->slot);
	buf_wipe(&h->key);
	free(h);
}
