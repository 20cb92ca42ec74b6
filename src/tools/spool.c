/*
 * spool: as whoever has it: what lies there is the workers', and they may have
 * fallen into strange hands.
 */
#include "tools/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "config/print.h"
#include "io/full_io.h"
#include "setup.h"
#include "tools/control.h"

static int
fail(const char *tool, int status, const char *what, const char *why)
{
	fprintf(stderr, "smtpd %s: ", tool);
	control_show(stderr, span_str(what));
	fprintf(stderr, ": %s\n", why);
	return status;
}

static int
open_below(const char *tool, const char *spool, const char *name, int *dir)
{
	int fd = open(spool, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool there = fd >= 0;

	if (there)
		*dir = openat(fd, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	full_close(&fd);
	if (*dir >= 0 || (there && errno == ENOENT))
		return 0;
	return fail(tool, errno == EACCES ? CONTROL_FORBIDDEN : EXIT_FAILED,
	    spool, strerror(errno));
}

int
spool_enter(const char *tool, const char *file, const char *name, int *dir)
{
	struct config *c = config_glance(file, config_print_error, stderr);
	struct identity id = {.change = false};
	int status = 0;

	*dir = -1;
	if (!c)
		return EXIT_CONFIG;
	if (!c->spool || !c->user)
		status = fail(tool, EXIT_CONFIG, file,
		    "the configuration names no spool");
	else if (geteuid() == 0)
		status = setup_identity(c, &id);
	if (!status && setup_become(&id) < 0)
		status = fail(tool, EXIT_FAILED, c->user, strerror(errno));
	if (!status)
		status = open_below(tool, c->spool, name, dir);
	config_free(&c);
	return status;
}
