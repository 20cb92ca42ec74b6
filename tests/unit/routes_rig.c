/*
 * routes_rig: see routes_rig.h.
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deliver/deliver_state.h"
#include "rig.h"
#include "routes_rig.h"
#include "scratch.h"

struct routes_one routes[ROUTES];

static const struct route *all[ROUTES];
static unsigned opened;

static struct routes_one *
of_carrier(struct carrier *c)
{
	return (struct routes_one *)((char *)c -
				     offsetof(struct routes_one, carrier));
}

static struct carrier *
open_one(const struct route *r, const struct dest_services *s)
{
	struct carrier *c = &routes[ROUTES - 1 - r->number].carrier;

	assert_int_equal(s->tmp, rig.deliver->tmp);
	*c = (struct carrier){.route = r};
	opened++;
	return c;
}

static void
free_one(struct carrier **c)
{
	of_carrier(*c)->parcel = NULL;
	*c = NULL;
	opened--;
}

static void
cancel(struct ask *a, enum ask_end end)
{
	struct routes_one *r =
	    (struct routes_one *)((char *)a - offsetof(struct routes_one, ask));

	assert_non_null(r->parcel);
	r->parcel = NULL;
	r->cancelled++;
	r->end = end;
}

static void
again(struct carrier *c)
{
	of_carrier(c)->again++;
}

static const struct smtp_reply replies[] = {[FATE_REFUSED] = {550, "5.1.1",
						"Nobody"},
    [FATE_AGAIN] = {450, "4.2.1", "Busy"},
    [FATE_DOWN] = {451, "4.4.1", "Away"},
    [FATE_LOST] = {451, "4.4.2", "Silent"}};
static const char letters[] = "ntradl";

static void
cancel_verify(struct ask *a, enum ask_end end)
{
	struct routes_verify *v = (struct routes_verify *)a;

	(void)end;
	assert_non_null(v->told);
	v->told = NULL;
	v->cancelled++;
}

static struct ask *
verify(struct carrier *c, const char *sender, const char *to, int64_t deadline,
    verify_fn *fn, void *ctx)
{
	struct routes_verify *v = &of_carrier(c)->verify;

	assert_null(v->told);
	assert_true(c->route->verify);
	snprintf(v->text, sizeof(v->text), "%s %s", sender, to);
	v->ask.cancel = cancel_verify;
	v->told = fn;
	v->ctx = ctx;
	v->deadline = deadline;
	v->asked++;
	return &v->ask;
}

static struct ask *
ask(struct carrier *c, struct parcel *p, parcel_fn *fn, void *ctx)
{
	struct routes_one *r = of_carrier(c);

	assert_null(r->parcel); /* one at a time is enough for a test */
	assert_true(p->n > 0 && p->n <= r->kind.parcel_max);
	assert_true(p->dot_by <= p->deadline);
	for (unsigned i = 0; i < p->n; i++) {
		const struct message_copy *copy = p->copies[i];

		assert_ptr_equal(copy->dest->route, &r->route);
		assert_int_equal(copy->fate, FATE_NONE);
		assert_null(copy->path);
		strncat(r->to, copy->to, sizeof(r->to) - strlen(r->to) - 2);
		strcat(r->to, " ");
	}
	r->asked++;
	r->parcel = p;
	r->told = fn;
	r->ctx = ctx;
	r->ask.cancel = cancel;
	return &r->ask;
}

static enum carrier_health
health(const struct carrier *c, const struct smtp_reply **reply)
{
	const struct routes_one *r = of_carrier((struct carrier *)(uintptr_t)c);

	if (r->judged)
		r->judged();
	*reply = SMTP_REPLY(451, "4.4.1", "Away");
	return r->away ? CARRIER_DOWN : CARRIER_UP;
}

static void
setup(struct deliver_options *o)
{
	static const char *const names[ROUTES] = {"route:web", "route:run",
	    "route:box", "route:out"};

	opened = 0;
	for (unsigned i = 0; i < ROUTES; i++) {
		struct routes_one *r = &routes[i];

		*r = (struct routes_one){.kind = {.scheme = "fake",
					     .count = SHARED_LMTP,
					     .open = open_one,
					     .free = free_one,
					     .ask = ask,
					     .verify = verify,
					     .health = health,
					     .again = i ? again : NULL,
					     .remote = true,
					     .parcel_max = 2,
					     .order = i + 1},
		    .route = {.kind = &r->kind,
			.text = names[i],
			.shown = names[i] + strlen("route:"),
			.number = ROUTES - 1 - i,
			.timeout = 100000}};
		r->dest = (struct destination){.kind = &r->kind,
		    .text = names[i],
		    .route = &r->route};
		all[r->route.number] = &r->route;
	}
	o->routes = all;
	o->nroutes = ROUTES;
}

void
routes_carry(void)
{
	setup((struct deliver_options *)(uintptr_t)rig.deliver->options);
	deliver_carry(rig.deliver, &(struct dest_services){.tmp = -1});
}

static const char *
find_route(void *ctx, const char *text, const struct route **found)
{
	(void)ctx;
	for (unsigned i = 0; i < ROUTES; i++)
		if (!strcmp(routes[i].route.text, text))
			*found = &routes[i].route;
	return *found ? NULL : "is not there";
}

int
routes_start(bool hold)
{
	rig.route = find_route;
	if (post_setup("mail/%d/%u"))
		return -1;
	setup(&post.options);
	/* post_open() makes it, as a start does */
	recipients_maildir(post.options.recipients, post.options.failed);
	for (unsigned i = 0; hold && i < ROUTES; i++)
		routes[i].route.hold = true;
	post.options.checkpoint = 3600 * 1000;
	post_user("u");
	post_open();
	deliver_carry(rig.deliver, &(struct dest_services){.tmp = -1});
	assert_int_equal(opened, ROUTES);
	rig_pass(0);
	return 0;
}

int
routes_setup(void **state)
{
	(void)state;
	return routes_start(false);
}

int
routes_setup_hold(void **state)
{
	(void)state;
	return routes_start(true);
}

int
routes_finish(void **state)
{
	int r = post_finish(state);

	assert_int_equal(opened, 0);
	return r;
}

unsigned
routes_count(enum delivery_state s)
{
	return rig.deliver->lists[s].n;
}

unsigned
routes_mail(void)
{
	return scratch_count("mail/example.org/u/new");
}

unsigned
routes_files(const char *pattern)
{
	glob_t found;
	unsigned n = 0;

	if (!glob(pattern, 0, NULL, &found)) {
		n = (unsigned)found.gl_pathc;
		globfree(&found);
	}
	return n;
}

void
routes_settle(void)
{
	for (unsigned i = 0; i < 10 && !post_is_settled(); i++)
		rig_pass(50);
	assert_true(post_is_settled());
	for (unsigned s = 0; s < DELIVERY_STATES; s++)
		assert_int_equal(routes_count(s), 0);
	assert_int_equal(rig.deliver->backlog, 0);
	assert_int_equal(rig.deliver->carriers.waiting, 0);
	for (unsigned i = 0; i < ROUTES; i++) {
		assert_int_equal(rig.deliver->carriers.routes[i].waiting, 0);
		assert_null(routes[i].parcel);
		assert_null(routes[i].verify.told);
	}
	assert_int_equal(rig.deliver->unplaced.files, 0);
	assert_int_equal(routes_files("spool/journal/*/*.body"), 0);
}

void
routes_local(void)
{
	post_rcpt("u");
	assert_string_equal(post.reply, "");
	post.replies = 0;
}

void
routes_rcpt(unsigned which, const char *to)
{
	struct target t = {.dest = &routes[which].dest,
	    .to = to,
	    .address = to};
	struct targets found = {.first = &t, .last = &t, .n = 1};

	assert_true(targets_merge(post.options.recipients, &post.env.targets,
	    &found, &post.env.arena));
}

void
routes_answer(unsigned which, const char *fates)
{
	struct routes_one *r = &routes[which];
	struct parcel *p = r->parcel;

	assert_non_null(p);
	assert_int_equal(strlen(fates), p->n);
	for (unsigned i = 0; i < p->n; i++) {
		enum fate f = (enum fate)(strchr(letters, fates[i]) - letters);

		p->copies[i]->fate = f;
		p->copies[i]->reply = f >= FATE_REFUSED ? &replies[f] : NULL;
	}
	r->parcel = NULL;
	r->told(r->ctx);
}

void
routes_verified(unsigned which, char fate)
{
	struct routes_verify *v = &routes[which].verify;
	enum fate f = (enum fate)(strchr(letters, fate) - letters);
	struct smtp_reply *said = malloc(sizeof(*said)); /* until it returns */
	verify_fn *told = v->told;

	assert_non_null(told);
	assert_non_null(said);
	v->told = NULL;
	*said = replies[f];
	told(v->ctx, f, f >= FATE_REFUSED ? said : NULL);
	free(said);
}
