/*
 * status: the workers may write in the spool, so the file has a name of which
 * nobody knew, and only then its own.
 */
#include "status.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/ascii.h"
#include "dest/route.h"
#include "io/clock.h"
#include "io/full_io.h"
#include "io/log.h"
#include "io/neighbour.h"
#include "io/tls.h"
#include "policy/dnsbl.h"
#include "version.h"

#define STRAY   "status."
#define DAY_MS  (24 * 3600 * 1000)
#define DOWN_S  60    /* what is down for so long is worth a line, */
#define LATE_MS 15000 /* and so is a loop that is behind by so much */

struct report {
	struct buf out;
	const struct status *s;
	const struct generations *all;
	const struct generation *now;
	bool leaves;
};

/* --- what it says --- */

static void
put_time(struct buf *out, int64_t wall_ms)
{
	char text[CLOCK_TEXT_MAX];

	buf_append_str(out, clock_text(wall_ms / 1000, text));
}

/* A line, whatever is in it. */
static void
put_text(struct buf *out, const char *text)
{
	for (; *text; text++)
		buf_append(out, ascii_is_control(*text) ? "?" : text, 1);
}

static int64_t
count(const struct report *r, const struct generation *g,
    enum shared_counter which)
{
	int64_t n = 0;

	for (unsigned i = 0; i < WORKERS_MAX; i++)
		n += shared_of(r->all->shared, generation_shared_slot(g, i),
		    which);
	return n;
}

static void
put_serving(struct report *r)
{
	const struct generation *old = &r->all->gens[!r->now->half];
	unsigned workers = old->conf ? generation_living(old) : 0;

	buf_printf(&r->out, "serving generation %u, %u workers",
	    r->s->generation, r->leaves ? 0 : generation_living(r->now));
	if (r->leaves)
		buf_append_str(&r->out, "; it stops");
	if (workers) {
		int64_t left = old->left + (int64_t)old->conf->drain;

		buf_printf(&r->out, "; leaving: %u workers, ", workers);
		if (!old->taken)
			buf_printf(&r->out, "%lld sessions, ",
			    (long long)count(r, old, SHARED_SESSIONS));
		buf_append_str(&r->out, "until ");
		put_time(&r->out, clock_wall() + left - clock_now());
	}
	buf_append_str(&r->out, "\n");
}

/* "reloads", how many there were, and how the last one ended. */
static void
put_change(struct report *r, const char *what, unsigned n, int64_t at,
    const char *fault)
{
	buf_printf(&r->out, "%ss %u\n", what, n);
	if (!n)
		return;
	buf_printf(&r->out, "%s ", what);
	put_time(&r->out, at);
	buf_append_str(&r->out, *fault ? " failed: " : " good");
	put_text(&r->out, fault);
	buf_append_str(&r->out, "\n");
	if (*fault)
		buf_printf(&r->out, "fault the last %s failed\n", what);
}

static void
put_changes(struct report *r)
{
	const struct status *s = r->s;

	if (s->waits)
		buf_append_str(&r->out, "waits for those that leave\n");
	put_change(r, "reload", s->reloads, s->reloaded, s->fault);
	put_change(r, "upgrade", s->upgrades, s->upgraded, s->upgrade_fault);
}

static void
put_worker(struct report *r, unsigned i, int64_t now)
{
	const struct slot *s = &r->now->slots[i];
	unsigned slot = generation_shared_slot(r->now, i);
	int64_t ago = now - shared_last_turn(r->all->shared, slot);

	if (r->now->taken) { /* what it counts is not seen any more */
		if (s->pid)
			buf_printf(&r->out,
			    "worker %u pid %d, of the program before\n", i,
			    (int)s->pid);
		return;
	}
	if (!s->pid) {
		buf_printf(&r->out,
		    "worker %u waits %lld ms for its start\n"
		    "fault worker %u died: the log says why\n",
		    i, s->due > now ? (long long)(s->due - now) : 0, i);
		return;
	}
	buf_printf(&r->out,
	    "worker %u pid %d, %lld sessions, loop %lld s ago\n", i,
	    (int)s->pid,
	    (long long)shared_of(r->all->shared, slot, SHARED_SESSIONS),
	    ago > now - s->begun ? 0 : (long long)ago / 1000);
	if (ago >= LATE_MS && now - s->begun >= LATE_MS)
		buf_printf(&r->out, "fault worker %u does not turn\n", i);
}

/* Linux 5.19 has all that is needed, unless it was left out. */
static bool
could_do_more(const struct generation *g)
{
	struct utsname u;
	const char *dot;
	struct span minor;
	uint64_t n;

#ifdef SMTPD_NO_SANDBOX /* it is the build that has none */
	return false;
#endif
	if (g->conf->sandbox != SANDBOX_YES || uname(&u) < 0)
		return false;
	if (g->seccomp && g->landlock >= SANDBOX_LANDLOCK_FILES)
		return false;
	dot = strchr(u.release, '.');
	if (!dot || u.release[1] != '.') /* ten or above */
		return true;
	minor = (struct span){dot + 1, strspn(dot + 1, "0123456789")};
	return u.release[0] > '5' ||
	       (u.release[0] == '5' && ascii_parse_u64(minor, 1000, &n) == 0 &&
		   n >= 19);
}

static void
put_sandbox(struct report *r)
{
	const struct generation *g = r->now;
	const char *held_by = sandbox_held_by(g->landlock);

	buf_printf(&r->out, "sandbox %sseccomp",
	    g->seccomp ? "no-new-privs, " : "no ");
	if (held_by)
		buf_printf(&r->out, ", landlock %d (%s)\n", g->landlock,
		    held_by);
	else
		buf_append_str(&r->out, ", no landlock\n");
	if (could_do_more(g))
		buf_append_str(&r->out,
		    "fault this kernel could hold the workers to more: the "
		    "log says what is missing\n");
}

static void
put_disk(struct report *r, const char *what, enum shared_counter at)
{
	unsigned reserve = r->now->conf->deliver.reserve;
	int64_t free = shared_largest(r->all->shared, at);

	if (!free) /* nobody has looked yet */
		return;
	buf_printf(&r->out, "disk ");
	put_text(&r->out, what);
	buf_printf(&r->out, " %lld%% free, mail refused below %u%%\n",
	    (long long)free / 10000, reserve);
	if (free < (int64_t)reserve * 10000)
		buf_append_str(&r->out, "fault a disk is full: mail is "
					"refused\n");
}

static long long
mib(int64_t octets)
{
	return (octets + (1 << 20) - 1) >> 20;
}

static void
put_mail(struct report *r)
{
	const struct deliver_options *o = &r->now->conf->deliver;
	const struct shared *s = r->all->shared;
	int64_t held = shared_largest(s, SHARED_HELD_BYTES);
	int64_t failed = shared_total(s, SHARED_FAILED);
	int64_t at = shared_largest(s, SHARED_FAILED_AT) * 1000;

	put_disk(r, r->now->conf->spool, SHARED_FREE_SPOOL);
	put_disk(r, "of mailboxes", SHARED_FREE_MAIL);
	buf_printf(&r->out,
	    "journal %lldM of %lldM, held %lld messages, %lldM "
	    "of %lldM\n",
	    mib(shared_total(s, SHARED_JOURNAL)), mib((int64_t)o->size),
	    (long long)shared_largest(s, SHARED_HELD), mib(held),
	    mib((int64_t)o->held));
	if (held > (int64_t)o->held / 2)
		buf_append_str(&r->out,
		    "fault held mail has half of its room: the log says "
		    "which mailboxes take none\n");
	if (!failed)
		return;
	buf_printf(&r->out, "failed %lld copies, newest ", (long long)failed);
	put_time(&r->out, at);
	buf_append_str(&r->out, ", in ");
	put_text(&r->out, o->failed);
	buf_append_str(&r->out, "/new\n");
	if (clock_wall() - at < DAY_MS)
		buf_append_str(&r->out, "fault mail has failed: somebody "
					"should look at it\n");
}

static void
put_certificates(struct report *r)
{
	const struct tls *t = r->now->conf->tls;
	int64_t now = clock_wall();
	struct tls_end e;

	for (unsigned i = 0; t && tls_end(t, i, &e); i++) {
		buf_append_str(&r->out, "certificate ");
		put_text(&r->out, e.name);
		buf_append_str(&r->out, " until ");
		put_time(&r->out, e.at * 1000);
		buf_append_str(&r->out, ", TLSA 3 1 1 ");
		for (unsigned k = 0; k < sizeof(e.spki); k++)
			buf_printf(&r->out, "%02x", e.spki[k]);
		buf_append_str(&r->out, "\n");
		if (e.at * 1000 - now < 14 * (int64_t)DAY_MS)
			buf_append_str(&r->out,
			    "fault a certificate ends within 14 days\n");
	}
	if (r->s->renewal_waits)
		buf_append_str(&r->out,
		    "fault a renewed certificate waits: the configuration "
		    "was changed, too: reload\n");
}

/* Its line but for what the caller puts behind it; seconds that it is down. */
static int64_t
put_neighbour(struct report *r, const char *what, const char *name,
    const struct neighbour_view *v)
{
	int64_t s = v->down ? (clock_now() - v->since) / 1000 : 0;

	buf_printf(&r->out, "%s ", what);
	put_text(&r->out, name);
	if (v->down)
		buf_printf(&r->out, " down %lld s in %u of %u workers: %s",
		    (long long)s, v->down, v->workers,
		    neighbour_errors[v->error]);
	else
		buf_append_str(&r->out, " up");
	return s;
}

static void
put_neighbour_fault(struct report *r, const char *what, int64_t s)
{
	if (s >= DOWN_S)
		buf_printf(&r->out, "fault a %s is down: the log says why\n",
		    what);
}

static void
put_routes(struct report *r)
{
	const struct deliver_options *o = &r->now->conf->deliver;

	for (unsigned i = 0; i < o->nroutes; i++) {
		const struct route *x = o->routes[i];
		struct neighbour_view v =
		    neighbour_look(r->all->shared, NEIGHBOUR_ROUTE, x->text);
		int64_t s = put_neighbour(r, "route", x->shown, &v);

		buf_append_str(&r->out,
		    v.down && x->hold ? "; mail for it is held\n" : "\n");
		put_neighbour_fault(r, "route", s);
	}
}

static void
put_milters(struct report *r)
{
	const struct filters_config *c = &r->now->conf->filters;

	for (unsigned i = 0; i < c->n; i++) {
		const struct filter_config *m = &c->all[i];
		struct neighbour_view v =
		    neighbour_look(r->all->shared, NEIGHBOUR_MILTER, m->name);
		int64_t s = put_neighbour(r, "milter", m->name, &v);

		buf_printf(&r->out, "; %u of %u connections\n", v.in_use,
		    m->connections);
		put_neighbour_fault(r, "milter", s);
	}
}

static void
put_dnsbl(struct report *r)
{
	const struct dnsbl *lists = r->now->conf->door.lists;
	int64_t now = clock_now();

	if (!r->now->conf->door.dnsbl.act)
		return;
	for (unsigned i = 0; lists && i < lists->n; i++) {
		const struct dnsbl_zone *z = &lists->zones[i];
		struct dnsbl_view v = dnsbl_look(r->all->shared, z);

		buf_printf(&r->out, "dnsbl %s ", z->name);
		if (v.state == DNSBL_OFF)
			buf_printf(&r->out,
			    "off %lld s: %s\n"
			    "fault a dnsbl is off: the log says why\n",
			    (long long)(now - v.since) / 1000,
			    dnsbl_faults[v.fault].reason);
		else
			buf_printf(&r->out, "%s\n",
			    v.state == DNSBL_GOOD ? "good" : "untested");
	}
}

static void
put_all(struct report *r)
{
	struct shared *shared = r->all->shared;
	struct buf *out = &r->out;
	int64_t now = clock_now();

	buf_printf(out, "pid %d %llu\nversion " SMTPD_VERSION "\nstarted ",
	    (int)getpid(), (unsigned long long)status_start(getpid()));
	put_time(out, r->s->started);
	buf_append_str(out, "\nfile ");
	put_text(out, r->s->file);
	buf_append_str(out, "\n");
	put_serving(r);
	put_changes(r);
	for (unsigned i = 0; i < r->now->sockets.nslots && !r->leaves; i++)
		put_worker(r, i, now);
	if (r->now->taken) /* of its configuration no more is known */
		return;
	put_sandbox(r);
	buf_printf(out,
	    "sessions %lld of %u\n"
	    "messages %lld taken, %lld refused, %lld deferred\n",
	    (long long)shared_total(shared, SHARED_SESSIONS),
	    r->now->conf->limits.sessions,
	    (long long)shared_total(shared, SHARED_MESSAGES),
	    (long long)shared_total(shared, SHARED_MESSAGES_REFUSED),
	    (long long)shared_total(shared, SHARED_MESSAGES_DEFERRED));
	put_routes(r);
	put_milters(r);
	put_dnsbl(r);
	put_mail(r);
	put_certificates(r);
}

/* --- the file --- */

static void
remove_strays(int spool)
{
	int fd = openat(spool, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!dir) {
		full_close(&fd);
		return;
	}
	while ((e = readdir(dir)))
		if (strncmp(e->d_name, STRAY, strlen(STRAY)) == 0)
			unlinkat(spool, e->d_name, 0);
	closedir(dir);
}

static int
put_file(int spool, struct span text)
{
	unsigned long long name[2];
	char making[64];
	int fd, r;

	if (getrandom(name, sizeof(name), 0) != sizeof(name))
		return -1;
	snprintf(making, sizeof(making), STRAY "%016llx%016llx", name[0],
	    name[1]);
	fd = openat(spool, making,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -1;
	r = fchmod(fd, 0644); /* whoever gets there may read it */
	if (r == 0)
		r = full_pwrite(fd, text, 0);
	full_close(&fd);
	if (r == 0)
		r = renameat(spool, making, spool, "status");
	return r;
}

void
status_write(const struct status *s, const struct generations *all,
    const struct generation *current, bool leaves)
{
	struct report r = {.s = s,
	    .all = all,
	    .now = current,
	    .leaves = leaves};
	int spool = open(current->conf->spool,
	    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	put_all(&r);
	if (spool >= 0)
		remove_strays(spool);
	if (spool < 0 || put_file(spool, buf_span(&r.out)) < 0)
		log_event(LOG_WARN, "status",
		    LOG_STR("spool", current->conf->spool), LOG_ERRNO(errno));
	full_close(&spool);
	buf_free(&r.out);
}

uint64_t
status_start(pid_t pid)
{
	char path[32], text[1024];
	struct span s;
	uint64_t start;
	const char *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	full_close(&fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	/* behind the name, which may hold anything, it is the 20th */
	p = strrchr(text, ')');
	for (unsigned i = 0; p && i < 20; i++)
		p = strchr(p + 1, ' ');
	if (!p)
		return 0;
	s = (struct span){p + 1, strcspn(p + 1, " ")};
	return ascii_parse_u64(s, UINT64_MAX, &start) == 0 ? start : 0;
}
