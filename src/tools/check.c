/*
 * check: what would be said to a client? A client on a socketpair says it to a
 * real session, in a process of its own, which delivers nothing: so there is
 * no second evaluator that could differ.
 *
 * It needs no daemon and takes no lock. Rates and what clients did before are
 * not known to it; no route is dialled, and what is held is not seen.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/config.h"
#include "config/print.h"
#include "doors.h"
#include "grey.h"
#include "io/jobs.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "io/stream.h"
#include "policy/dnsbl.h"
#include "session/trial.h"
#include "setup.h"
#include "tools/check_options.h"
#include "tools/check_say.h"
#include "tools/control.h"
#include "tools/tool.h"

#define DEFERRED 1 /* exit status */
#define REFUSED  2

/* For the lists to be tested: longer than that takes. */
#define TICK_MS 20
#define TICKS   200

enum step { GREETING, EHLO, MAIL, RCPT, DATA, BODY };

struct check {
	struct check_options o;
	struct config *conf;
	struct buf message; /* as DATA has it, with its dot */
	struct loop loop;
	struct stream_pool pool;
	struct jobs *jobs;
	struct shared *shared;
	struct resolve *resolve;
	struct doors doors;
	struct loop_event *tick;
	unsigned ticks;
	struct sessions sessions;
	struct config_listen listen;
	struct session *session; /* gone, maybe, once it has refused */
	struct stream stream;    /* the client's end */
	enum step step;
	struct buf because, trail; /* of the last no */
	bool refused, done;
	int status;
};

static int
fail(const char *what, const char *why)
{
	fprintf(stderr, "smtpd check: %s: %s\n", what, why);
	return EXIT_FAILED;
}

/* --- the client --- */

static void
end(struct check *c, int status)
{
	c->status = status;
	c->done = true;
	loop_stop(&c->loop);
}

static void
say(struct check *c, const char *verb, const char *text, const char *tail)
{
	struct buf line = {0};

	buf_printf(&line, "%s%s%s", verb, text, tail);
	printf("-> %.*s\n", (int)line.len, line.data);
	buf_append_str(&line, "\r\n");
	if (!stream_write(&c->stream, &line))
		end(c, fail("the session", "it does not listen"));
	buf_free(&line);
}

/* A login is believed: whose password it is, is not asked here. */
static void
log_in(struct check *c)
{
	if (c->o.user)
		trial_log_in(c->session, c->o.user);
}

/* It was answered with yes. */
static void
go_on(struct check *c)
{
	switch (c->step++) {
	case GREETING:
		say(c, "EHLO ", c->o.helo, "");
		break;
	case EHLO:
		log_in(c);
		say(c, "MAIL FROM:<", c->o.from, ">");
		break;
	case MAIL:
		say(c, "RCPT TO:<", c->o.rcpt, ">");
		break;
	case RCPT:
		say(c, "DATA", "", "");
		break;
	case DATA:
		if (!stream_write(&c->stream, &c->message))
			end(c, fail("the session", "it does not listen"));
		break;
	case BODY:
		end(c, 0);
	}
}

static void
on_reply(struct check *c, struct span line)
{
	bool last = line.len < 4 || line.ptr[3] != '-';
	bool no = line.len && line.ptr[0] >= '4';

	if (!no) {
		c->because.len = 0;
		if (last && c->step == RCPT)
			check_say_recipient(c->conf->deliver.recipients,
			    trial_envelope(c->session), &c->because);
	} else if (c->step == RCPT && !c->because.len) {
		check_say_nobody(c->conf->deliver.recipients, c->o.rcpt,
		    &c->because);
	}
	check_say_reply(line, buf_span(&c->because));
	if (!last)
		return;
	if (no)
		end(c, line.ptr[0] == '4' ? DEFERRED : REFUSED);
	else
		go_on(c);
}

static void
on_octets(struct check *c, struct span in)
{
	const char *lf;

	while (!c->done && in.len && (lf = memchr(in.ptr, '\n', in.len))) {
		struct span line = {in.ptr, (size_t)(lf - in.ptr)};

		span_skip(&in, line.len + 1);
		if (line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		on_reply(c, line);
	}
	stream_keep(&c->stream, in);
}

static void
on_stream(void *owner, enum stream_event what)
{
	struct check *c = owner;
	struct span in;

	if (c->done)
		return;
	if (what == STREAM_READABLE)
		switch (stream_read(&c->stream, &in)) {
		case STREAM_DATA:
			on_octets(c, in);
			return;
		case STREAM_AGAIN:
			return;
		default:
			break;
		}
	else if (what == STREAM_WRITABLE)
		return;
	end(c, fail("the session", "it has ended without a reply"));
}

/* The session may be gone before its reply is read. */
static void
on_refused(void *ctx, const struct session *s)
{
	struct check *c = ctx;

	c->because.len = c->trail.len = 0;
	trial_why(s, &c->because);
	trial_trail(s, &c->trail);
	c->refused = true;
}

/* --- the server --- */

static bool
owns(const void *recipients, const char *login, const struct smtp_path *from)
{
	return recipients_owns(recipients, login, from);
}

static int
open_services(struct check *c)
{
	struct config *conf = c->conf;
	const struct resolve_options dns = {.servers = conf->dns_servers};
	const struct worker_start start = {.conf = conf, .shared = c->shared};
	const char *what = "buffers";

	conf->deliver.dry = true;
	if (stream_pool_init(&c->pool, &c->loop) < 0)
		return fail(what, strerror(errno));
	c->jobs = jobs_new(&c->loop, 1);
	if (!c->jobs)
		return fail("threads", strerror(errno));
	if (conf->dns && !c->o.no_dns &&
	    !(c->resolve = resolve_new(&c->loop, &dns)))
		return fail("resolver", strerror(errno));
	c->sessions.deliver =
	    deliver_new(&conf->deliver, &c->loop, c->jobs, &what);
	if (!c->sessions.deliver)
		return fail(what, strerror(errno));
	deliver_share(c->sessions.deliver, c->shared, 0);
	grey_read(c->shared, conf->spool, false);
	c->sessions.doors =
	    doors_open(&c->doors, &start, &c->loop, NULL, c->resolve);
	if (!c->o.no_milter)
		c->sessions.filters =
		    filters_open(&start, c->jobs, &c->pool, c->resolve);
	return 0;
}

static void
init_sessions(struct check *c)
{
	struct sessions *s = &c->sessions;

	s->conf = c->conf;
	s->loop = &c->loop;
	s->pool = &c->pool;
	s->shared = c->shared;
	s->policy = (struct policy){.senders = c->conf->senders,
	    .owns = owns,
	    .owns_ctx = c->conf->deliver.recipients,
	    .limits = {.conf = &c->conf->limits, .shared = c->shared}};
	s->dry = true;
	s->refused = on_refused;
	s->ctx = c;
}

/* Of those who log in there, or the others; 0 or an exit status. */
static int
choose_listen(struct check *c)
{
	const struct config_listen *mx = NULL, *l = NULL;

	for (unsigned i = 0; i < c->conf->nlistens; i++) {
		const struct config_listen *x = &c->conf->listens[i];

		if (!mx && x->role == ROLE_MX)
			mx = x;
		if (!l && x->role == ROLE_SUBMISSION && c->o.user)
			l = x;
	}
	l = l ? l : mx;
	if (!l) {
		fail(c->o.file, c->o.user
				    ? "nobody listens for mail"
				    : "no listener has role = mx: --user");
		return EXIT_CONFIG;
	}
	c->listen = *l;
	c->listen.tls = TLS_OFF;
	return 0;
}

static bool
are_tested(const struct check *c)
{
	const struct dnsbl *lists = c->conf->door.lists;

	for (unsigned i = 0; i < lists->n; i++)
		if (!lists->zones[i].untested &&
		    dnsbl_look(c->shared, &lists->zones[i]).state ==
			DNSBL_UNTESTED)
			return false;
	return true;
}

static int
begin(struct check *c)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		pair) < 0)
		return fail("socketpair", strerror(errno));
	stream_init(&c->stream, &c->pool, pair[0], on_stream, c);
	c->session =
	    trial_begin(&c->sessions, &c->listen, pair[1], &c->o.client);
	return c->session ? 0 : fail("the session", strerror(ENOMEM));
}

static void
on_tick(void *ctx)
{
	struct check *c = ctx;
	int status;

	if (!are_tested(c) && --c->ticks) {
		loop_timer_set(c->tick, TICK_MS);
		return;
	}
	status = begin(c);
	if (status)
		end(c, status);
}

/* No list is asked before it was tested; a daemon has done so long ago. */
static int
begin_tested(struct check *c)
{
	if (!c->doors.lists || are_tested(c))
		return begin(c);
	c->ticks = TICKS;
	c->tick = loop_timer(&c->loop, on_tick, c);
	if (!c->tick)
		return fail("loop", strerror(errno));
	loop_timer_set(c->tick, TICK_MS);
	return 0;
}

static int
converse(struct check *c)
{
	int status = begin_tested(c);

	if (status)
		return status;
	if (loop_run(&c->loop) < 0 || !c->done)
		return fail("loop", strerror(errno));
	if (!c->refused && c->session)
		trial_trail(c->session, &c->trail);
	check_say_trail(buf_span(&c->trail));
	if (config_client(c->conf, &c->o.client)->proxy)
		fputs("smtpd check: a client block says proxy = yes of this "
		      "address: in truth it must begin with a PROXY header, "
		      "and the client named there counts\n",
		    stderr);
	fputs("smtpd check: nothing is known here of rates, of what is held "
	      "and of room on the disk, and no route was asked\n",
	    stderr);
	return c->status;
}

static int
serve(struct check *c)
{
	int status = choose_listen(c);

	if (status)
		return status;
	c->shared = shared_new();
	if (!c->shared || loop_init(&c->loop) < 0)
		return fail("loop", strerror(errno));
	init_sessions(c);
	status = open_services(c);
	if (!status)
		status = converse(c);
	sessions_free(&c->sessions);
	filters_free(&c->sessions.filters);
	if (c->stream.pool)
		stream_close(&c->stream);
	jobs_free(&c->jobs);
	deliver_free(&c->sessions.deliver);
	doors_close(&c->doors);
	loop_event_free(&c->tick);
	resolve_free(&c->resolve);
	stream_pool_free(&c->pool);
	loop_free(&c->loop);
	return status;
}

/* --- before that --- */

/* What only root may read was read. */
static int
become(struct check *c)
{
	struct identity id = {.change = false};
	int status = geteuid() == 0 ? setup_identity(c->conf, &id) : 0;

	if (!status && setup_become(&id) < 0)
		status = fail(c->conf->user, strerror(errno));
	return status;
}

static int
run(struct check *c)
{
	int status = EXIT_CONFIG;

	config_load(c->o.file, NULL, config_print_error, stderr, &c->conf);
	if (!c->conf)
		return status;
	log_open(LOG_TO_STDERR, LOG_TEXT, LOG_ERROR);
	status = check_options_message(&c->o, c->conf, &c->message);
	if (!status)
		status = become(c);
	if (!status)
		status = serve(c);
	buf_free(&c->message);
	buf_free(&c->because);
	buf_free(&c->trail);
	config_free(&c->conf);
	return status;
}

int
check_main(int argc, char **argv)
{
	struct check c = {.status = 0};

	(void)argc;
	if (check_options_read(&c.o, argv + 1) < 0)
		return EXIT_USAGE;
	signal(SIGPIPE, SIG_IGN);
	return control_end("check", run(&c));
}
