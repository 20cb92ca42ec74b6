/*
 * probe: why is there no 220? Asks DNS, connects as a sender would, and says
 * step by step how far it came. The exit status is the code of the largest
 * cause; 1 to 9 are never used, so that what fails elsewhere is no answer.
 */
#include "tools/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
#include "config/config.h"
#include "io/clock.h"
#include "io/hostname.h"
#include "io/idn.h"
#include "setup.h"
#include "tools/tool.h"

#define WAIT_MAX    (5 * 60 * 1000)
#define PROGRESS_MS 250

static int
usage(void)
{
	fputs("usage: smtpd probe [--json] [--wait 30s] [--resolver "
	      "ADDR[:PORT]]\n"
	      "                   [--compare DOMAIN|none] [--tls] [-v]\n"
	      "                   DOMAIN | HOST:PORT | ADDR | [ADDR]:PORT\n"
	      "       smtpd probe [--json] [--wait 30s] [--resolver "
	      "ADDR[:PORT]] [-v] [-f file]\n",
	    stderr);
	return EXIT_USAGE;
}

static int
fail(const char *what, const char *why)
{
	fprintf(stderr, "smtpd probe: %s: %s\n", what, why);
	return EXIT_FAILED;
}

static int
wrong(const char *what, const char *value)
{
	struct buf text = {0};

	quote_put(&text, QUOTE_TEXT, 300, span_str(value));
	fprintf(stderr, "smtpd probe: %s: %.*s\n", what, (int)text.len,
	    text.data);
	buf_free(&text);
	return usage();
}

const char *
probe_subject(const struct probe *p)
{
	if (p->config)
		return p->config->hostname;
	return p->name ? p->name : p->hosts[0].name;
}

/* --- the arguments --- */

/* The one form of a name; NULL: it is none. */
static const char *
to_name(struct probe *p, struct span s)
{
	char key[IDN_MAX + 1];

	if (s.len > 1 && s.ptr[s.len - 1] == '.')
		s.len--;
	if (idn_key(s, key) < 0 || !dns_name_valid(span_str(key)))
		return NULL;
	return arena_dup(&p->arena, span_str(key));
}

static bool
parse_target(struct probe *p)
{
	const char *at = strrchr(p->target, '@');
	struct span s = span_str(at ? at + 1 : p->target);
	bool bracket = s.len && s.ptr[0] == '[';

	if (ipaddr_cut_port(&s, &p->port) < 0)
		return false;
	if (ipaddr_parse(s, &p->addr) == 0) {
		if (!p->port)
			p->port = 25;
		return true;
	}
	p->name = bracket ? NULL : to_name(p, s);
	return p->name;
}

/* 0, or an exit status. */
static int
parse_values(struct probe *p, const char *wait)
{
	const char *compare = p->compare ? p->compare : "gmail.com";
	bool none = strcmp(compare, "none") == 0;
	uint64_t ms = 30000;

	if (wait && (ascii_parse_duration(span_str(wait), &ms) < 0 || !ms ||
			ms > WAIT_MAX))
		return wrong("--wait is not between 1ms and 5m", wait);
	p->limits.greeting = (uint32_t)ms;
	if (p->target && !parse_target(p))
		return wrong("neither a domain nor an address", p->target);
	if (p->target ? p->file != NULL : p->tls || p->compare)
		return usage();
	p->compare = none ? NULL : to_name(p, span_str(compare));
	if (!none && !p->compare)
		return wrong("no domain", compare);
	if (p->port == 465)
		p->tls = true;
	return 0;
}

static int
parse_options(struct probe *p, int argc, char **argv)
{
	static const struct option options[] = {
	    {"json", no_argument, NULL, 'j'},
	    {"wait", required_argument, NULL, 'w'},
	    {"resolver", required_argument, NULL, 'r'},
	    {"compare", required_argument, NULL, 'c'},
	    {"tls", no_argument, NULL, 't'},
	    {NULL, 0, NULL, 0},
	};
	const char *wait = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "f:v", options, NULL)) != -1)
		switch (c) {
		case 'j':
			p->json = true;
			break;
		case 'w':
			wait = optarg;
			break;
		case 'r':
			p->resolver = optarg;
			break;
		case 'c':
			p->compare = optarg;
			break;
		case 't':
			p->tls = true;
			break;
		case 'v':
			p->verbose = true;
			break;
		case 'f':
			p->file = optarg;
			break;
		default:
			return usage();
		}
	if (argc - optind > 1)
		return usage();
	p->target = argv[optind];
	return parse_values(p, wait);
}

/* --- the run --- */

void
probe_arrived(struct probe *p)
{
	void (*next)(struct probe *) = p->next;

	if (--p->pending)
		return;
	p->next = NULL;
	if (next)
		next(p);
}

static void
finish(struct probe *p)
{
	if (p->config)
		probe_self_judge(p);
	else
		probe_judge(p);
	loop_stop(&p->loop);
}

static void
look_back(struct probe *p)
{
	struct probe_address **end = &p->all;

	for (unsigned i = 0; i < p->nhosts; i++)
		for (unsigned j = 0; j < p->hosts[i].naddrs; j++) {
			*end = &p->hosts[i].addrs[j];
			end = &(*end)->next;
		}
	p->next = finish;
	p->pending = 1;
	if (probe_is_blocked(p))
		probe_blocked(p);
	probe_arrived(p);
}

struct progress {
	struct probe *p;
	struct loop_event *timer;
};

static void
show_progress(void *ctx)
{
	struct progress *g = ctx;
	struct probe *p = g->p;

	/* whole on a line of 80 columns, or it could not be taken back */
	fprintf(stderr, "\r%.28s%s%.20s: %u under way, %.1f s\033[K",
	    probe_subject(p), p->asking ? " and " : "",
	    p->asking ? p->asking : "", p->pending,
	    (double)(clock_now() - p->begun) / 1000);
	loop_timer_set(g->timer, PROGRESS_MS);
}

static int
run(struct probe *p)
{
	struct progress g = {.p = p};
	int r;

	p->begun = clock_now();
	if (isatty(STDERR_FILENO)) {
		g.timer = loop_timer(&p->loop, show_progress, &g);
		loop_timer_set(g.timer, PROGRESS_MS);
	}
	p->pending = 1;
	p->next = look_back;
	if (p->config)
		probe_self_begin(p);
	else
		probe_begin(p);
	probe_arrived(p);
	r = loop_run(&p->loop);
	if (g.timer)
		fputs("\r\033[K", stderr);
	loop_event_free(&g.timer);
	return r < 0 ? fail("the event loop", strerror(errno)) : 0;
}

static int
print(const struct probe *p)
{
	struct buf out = {0};
	int status = (int)probe_worst(&p->findings);

	for (const struct probe_address *a = p->all; a; a = a->next)
		if (a->r.err == EMFILE || a->r.err == ENFILE)
			return fail("a socket", strerror(a->r.err));
	if (p->json)
		probe_json(p, &out);
	else
		probe_text(p, &out);
	if (fwrite(out.data, 1, out.len, stdout) != out.len ||
	    fflush(stdout) != 0)
		status = fail("cannot write the answer", strerror(errno));
	buf_free(&out);
	return status;
}

/* --- what is needed --- */

/* What strangers say is read by somebody who may do nothing: nobody. */
static int
become_nobody(void)
{
	const struct identity nobody = {geteuid() == 0, 65534, 65534};

	return setup_become(&nobody) < 0
		   ? fail("cannot become nobody", strerror(errno))
		   : 0;
}

/* A socket must not become what is printed to. */
static int
open_standard(void)
{
	int fd;

	if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
		return fail("standard output", strerror(errno));
	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return fail("/dev/null", strerror(errno));
	close(fd);
	return 0;
}

/* Who we say we are: our full name, else the literal of the socket. */
static const char *
own_name(struct probe *p)
{
	char name[HOSTNAME_MAX + 1];

	if (p->config)
		return p->config->hostname;
	hostname_find(name, true);
	return strchr(name, '.') ? probe_printf(&p->arena, "%s", name) : "";
}

/* 0, or an exit status. */
static int
open_tools(struct probe *p)
{
	const struct tls_client_options tls = {.system = true};
	const struct tls_client_options old = {.old = true};
	const struct resolve_options resolve = {.servers = p->resolver,
	    .files = !p->resolver,
	    .timeout = 2000};
	const char *why;

	p->limits.helo = own_name(p);
	p->limits.tls = p->tls_new = tls_client_new(&tls, &why);
	p->limits.old = p->tls_old =
	    p->tls_new ? tls_client_new(&old, &why) : NULL;
	if (!p->tls_old)
		return fail("TLS", why);
	if (loop_init(&p->loop) < 0)
		return fail("the event loop", strerror(errno));
	p->limits.pool = &p->pool;
	if (stream_pool_init(&p->pool, &p->loop) < 0)
		return fail("memory", strerror(errno));
	p->resolve = resolve_new(&p->loop, &resolve);
	if (p->resolve)
		return 0;
	if (p->resolver && errno == EINVAL)
		return wrong("--resolver is no address", p->resolver);
	return fail("the resolver", strerror(errno));
}

static void
close_tools(struct probe *p)
{
	resolve_free(&p->resolve);
	if (p->pool.data)
		stream_pool_free(&p->pool);
	if (p->loop.base)
		loop_free(&p->loop);
	tls_client_free(&p->tls_new);
	tls_client_free(&p->tls_old);
	arena_reset(&p->arena);
}

int
probe_main(int argc, char **argv)
{
	struct probe p = {.limits = {.connect = 10000,
			      .reply = 10000,
			      .handshake = 10000,
			      .nudge = 2000,
			      .quit = 1000,
			      .slow = 5000}};
	struct config *c = NULL;
	int status = open_standard();

	signal(SIGPIPE, SIG_IGN);
	if (!status)
		status = parse_options(&p, argc, argv);
	if (!status && !p.target)
		status = probe_self_load(&p, &c);
	if (!status)
		status = become_nobody();
	if (!status)
		status = open_tools(&p);
	if (!status)
		status = run(&p);
	if (!status)
		status = print(&p);
	close_tools(&p);
	config_free(&c);
	return status;
}
