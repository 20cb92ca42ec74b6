/*
 * sandbox_rules: which directories, ports and sockets a configuration needs.
 * A need that is not written down here is refused by the kernel.
 */
#include "sandbox_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/log.h"

void
sandbox_dirs_put(struct sandbox_dirs *d, const char *path)
{
	char *copy;

	for (unsigned i = 0; i < d->n; i++)
		if (strcmp(d->paths[i], path) == 0)
			return;
	copy = strdup(path);
	d->paths = realloc(d->paths, (d->n + 1) * sizeof(d->paths[0]));
	if (!copy || !d->paths)
		abort();
	d->paths[d->n++] = copy;
}

void
sandbox_dirs_add(struct sandbox_dirs *d, const struct config *c)
{
	struct recipients *r = c->deliver.recipients;
	const struct destination *place;

	sandbox_dirs_put(d, c->spool);
	sandbox_dirs_put(d, c->failed);
	for (unsigned i = 0; (place = recipients_place(r, i)); i++)
		sandbox_dirs_put(d, place->root.path);
}

void
sandbox_dirs_free(struct sandbox_dirs *d)
{
	for (unsigned i = 0; i < d->n; i++)
		free(d->paths[i]);
	free(d->paths);
	*d = (struct sandbox_dirs){.n = 0};
}

struct sandbox_rules
sandbox_rules(const struct config *c, const struct sandbox_dirs *d)
{
	struct sandbox_rules r = {.dirs = (const char *const *)d->paths,
	    .ndirs = d->n,
	    .ports = c->ports,
	    .nports = c->nports};

	for (unsigned i = 0; i < c->deliver.nroutes; i++) {
		const struct route *route = c->deliver.routes[i];

		if (route->argv)
			r.needs |= SANDBOX_RUNNER;
		for (unsigned k = 0; !route->argv && k < route->nto; k++)
			r.needs |= route->to[k].host ? SANDBOX_TCP
						     : SANDBOX_UNIX_STREAM;
	}
	for (unsigned i = 0; i < c->filters.n; i++)
		r.needs |=
		    c->filters.all[i].host ? SANDBOX_TCP : SANDBOX_UNIX_STREAM;
	if (c->redis.server)
		r.needs |= c->redis.host ? SANDBOX_TCP : SANDBOX_UNIX_STREAM;
	if (c->dns)
		r.needs |= SANDBOX_DNS;
	if (c->auth.dovecot)
		r.needs |= SANDBOX_UNIX_STREAM;
	if (c->log_to == LOG_TO_SYSLOG)
		r.needs |= SANDBOX_UNIX_DGRAM;
	return r;
}

const char *
sandbox_held_by(int landlock)
{
	if (landlock >= SANDBOX_LANDLOCK_SIGNALS)
		return "files, ports, signals";
	if (landlock >= SANDBOX_LANDLOCK_PORTS)
		return "files, ports";
	return landlock >= SANDBOX_LANDLOCK_FILES ? "files" : NULL;
}

static const char *
missing(const struct sandbox_rules *r, const struct sandbox_state *s)
{
	if (s->no_seccomp)
		return "seccomp";
	if (s->landlock < SANDBOX_LANDLOCK_FILES)
		return "landlock 2 (Linux 5.19)";
	if (r->nports && s->landlock < SANDBOX_LANDLOCK_PORTS)
		return "landlock 4 (Linux 6.7)";
	return NULL;
}

/* Inside: a line may begin the thread that writes it. */
static void
tell(const struct sandbox_state *s, bool whole, int left)
{
	if (left)
		log_event(LOG_WARN, "sandbox", LOG_STR("left", "capabilities"),
		    LOG_ERRNO(left));
	log_event(whole ? LOG_INFO : LOG_WARN, "sandbox",
	    LOG_STR("seccomp", s->no_seccomp ? s->no_seccomp : "yes"),
	    LOG_INT("landlock", s->landlock),
	    LOG_STR("holds", sandbox_held_by(s->landlock)));
}

int
sandbox_begin(enum config_sandbox how, const struct sandbox_rules *r,
    bool first, struct sandbox_state *state)
{
	int left = sandbox_drop() < 0 ? errno : 0;
	const char *lacks = NULL;

	*state = (struct sandbox_state){.no_seccomp = "switched off"};
	if (how != SANDBOX_NO) {
		sandbox_enter(r, state);
		lacks = missing(r, state);
	}
	if (first)
		tell(state, !lacks, left);
	if (!lacks || how != SANDBOX_REQUIRE)
		return 0;
	log_event(LOG_ERROR, "sandbox-missing", LOG_STR("what", lacks),
	    LOG_STR("help", "sandbox = yes does with what there is"));
	return -1;
}
