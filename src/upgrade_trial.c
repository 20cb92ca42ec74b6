/*
 * upgrade_trial: a worker of the next program, with one client that says
 * nothing: configuration, user, sandbox, threads, directories, a session. It
 * has no sockets, journal or held mail: what it leaves is what it found.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/full_io.h"
#include "io/log.h"
#include "setup.h"
#include "upgrade.h"
#include "worker.h"

struct faults {
	int client;
	bool told;
};

/* The first one is what the answer to the upgrade says. */
static void
tell_fault(void *ctx, bool warn, const char *file, unsigned line,
    const char *text)
{
	struct faults *f = ctx;

	if (!warn && !f->told)
		dprintf(f->client, "%s:%u: %s\n", file, line, text);
	f->told |= !warn;
}

static struct config *
load(const struct upgrade *u, const struct master_options *o, int client)
{
	struct faults f = {.client = client};
	struct config *c = NULL;

	config_load(o->file, &u->was, tell_fault, &f, &c);
	if (c)
		config_keep(c, &u->was, tell_fault, &f);
	return c;
}

static int
set_up(struct config *c, struct identity *id)
{
	int spool, status = setup_identity(c, id);

	if (!status)
		status = setup_directories(c, id, &spool);
	if (status)
		return status;
	status = setup_auth_key(c, spool);
	close(spool);
	return status;
}

static _Noreturn void
serve(struct upgrade *u, struct config *c, const struct identity *id,
    int client)
{
	struct config_listen listen = {.text = c->hostname,
	    .role = ROLE_MX,
	    .tls = TLS_OFF,
	    .smtp = c->listens[0].smtp};
	const struct sockets none = {.nslots = 0};
	struct worker_start start = {.conf = c,
	    .sockets = &none,
	    .identity = id,
	    .shared = shared_new(),
	    .master = getppid(),
	    .client = client,
	    .ready = -1};
	int alive[2];

	/* asked to leave from the beginning: with its client, it goes */
	if (!start.shared || pipe(alive) < 0)
		exit(EXIT_FAILED);
	close(alive[1]);
	start.alive = alive[0];
	sandbox_dirs_add(&u->dirs, c);
	start.sandbox = sandbox_rules(c, &u->dirs);
	listen.smtp.hostname = c->hostname;
	listen.smtp.greeting = "trial";
	listen.smtp.starttls = listen.smtp.submission = false;
	c->listens[0] = listen;
	c->nlistens = 1;
	c->deliver.dry = true;
	exit(worker_main(&start));
}

int
upgrade_trial(struct upgrade *u, const struct master_options *o, int client)
{
	const char *wrong = upgrade_check(u);
	struct identity id;
	struct config *c;
	int status;

	log_open(o->foreground ? LOG_TO_STDERR : u->was.log_to,
	    u->was.log_format, LOG_ERROR);
	if (wrong) {
		dprintf(client, "%s\n", wrong);
		return EXIT_FAILED;
	}
	c = load(u, o, client);
	if (!c)
		return EXIT_CONFIG;
	sockets_release(&u->serving.sockets, NULL);
	full_close(&u->serving.alive[1]);
	full_close(&u->lock);
	status = set_up(c, &id);
	if (!status)
		serve(u, c, &id, client);
	dprintf(client, "the new program cannot set it up: the log says why\n");
	config_free(&c);
	return status;
}
