/*
 * grey: the spool is the workers', so nothing is written there as root. A disk
 * that hangs holds up a child, which is left behind, and not the master.
 */
#include "grey.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/full_io.h"
#include "io/log.h"
#include "policy/greylist_file.h"

#define WRITE_MS 5000

static int
open_spool(const char *spool)
{
	return open(spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void
tell_damage(const char *spool, int blocks, int err)
{
	const struct log_field damaged = LOG_INT("blocks", blocks);
	const struct log_field unread = LOG_ERRNO(err);

	log_event(LOG_WARN, "greylist-damaged", LOG_STR("spool", spool),
	    err ? unread : damaged,
	    LOG_STR("why",
		err ? "the file greylist there is not used: it begins empty"
		    : "what stood in them is forgotten"));
}

void
grey_read(struct shared *s, const char *spool, bool first)
{
	int dir = open_spool(spool);
	int bad = dir < 0 ? -1 : greylist_file_read(shared_grey(s), dir);

	if (bad > 0)
		tell_damage(spool, bad, 0);
	else if (bad < 0 && errno != ENOENT)
		tell_damage(spool, 0, errno);
	if (first && dir >= 0)
		greylist_file_tidy(dir);
	full_close(&dir);
}

/* The child's exit status: 0 or errno. It has no descriptor of the master's
 * but this one, which ends with it. */
static int
write_as_user(struct shared *s, const char *spool, const struct identity *id,
    int end)
{
	int dir;

	if (dup2(end, STDIN_FILENO) < 0)
		return errno;
	close_range(STDERR_FILENO + 1, ~0u, 0);
	if (setup_become(id) < 0)
		return errno;
	dir = open_spool(spool);
	if (dir < 0 || greylist_file_write(shared_grey(s), dir, SHARED_MASTER,
			   clock_wall(), NULL) < 0)
		return errno;
	return 0;
}

/* 0 or errno. */
static int
await(pid_t pid, int end)
{
	struct pollfd p = {.fd = end, .events = POLLIN};
	int status;

	if (poll(&p, 1, WRITE_MS) <= 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, WNOHANG); /* or whoever reaps it later */
		return ETIMEDOUT;
	}
	if (waitpid(pid, &status, 0) < 0)
		return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}

static int
write_in_child(struct shared *s, const char *spool, const struct identity *id)
{
	int ends[2], err;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return errno;
	pid = fork();
	if (pid == 0)
		_exit(write_as_user(s, spool, id, ends[1]));
	err = pid < 0 ? errno : 0;
	full_close(&ends[1]);
	if (pid > 0)
		err = await(pid, ends[0]);
	full_close(&ends[0]);
	return err;
}

void
grey_write(struct shared *s, const char *spool, const struct identity *id)
{
	int err;

	if (!shared_grey(s)->changed)
		return;
	err = write_in_child(s, spool, id);
	if (err)
		log_event(LOG_WARN, "greylist-not-saved",
		    LOG_STR("spool", spool), LOG_ERRNO(err));
}
