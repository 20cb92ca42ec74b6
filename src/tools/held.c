/*
 * held: what waits in the spool's held/, and what somebody wants of it. Needs
 * no daemon; one that runs sees at its next look what was changed.
 *
 * Becomes the user of the configuration first, and believes nothing of what
 * the workers, who are the same user, may have put there: it follows no link,
 * waits for nobody, and shows no octet that could turn a terminal.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config/config.h"
#include "deliver/held_file.h"
#include "io/clock.h"
#include "io/full_io.h"
#include "journal/journal_dir.h"
#include "setup.h"
#include "tools/control.h"
#include "tools/held_show.h"
#include "tools/spool.h"
#include "tools/tool.h"

#define SOME     1   /* exit status: something is held, or stays as it was */
#define LOOK_MS  20  /* between two tries to have a file's lock */
#define PATIENCE 100 /* of them, for all files together */

struct held_tool {
	const char *file; /* of the configuration */
	bool each, retry, fail;
	char *const *ids; /* names begin with one of these; none: all do */
	int nids;
	struct crc32c crc;
	int dir;
	int64_t now; /* clock_boot() */
	char **names;
	size_t n, capacity;
	struct held_sum *sums;
	unsigned done, patience;
	int status;
};

static void
complain(struct held_tool *t, int status, const char *what, const char *why)
{
	fputs("smtpd held: ", stderr);
	control_show(stderr, span_str(what));
	fprintf(stderr, ": %s\n", why);
	if (status > t->status)
		t->status = status;
}

static void
complain_of_file(struct held_tool *t, const char *name, int error)
{
	const char *why = strerror(error);

	if (error == ENOENT) /* it was delivered, or removed, just now */
		return;
	if (error == EBUSY)
		why = "it is being tried, so it stays as it is";
	else if (error == EPROTO)
		why = "a newer smtpd wrote it";
	else if (error == EMEDIUMTYPE)
		why = "no file that smtpd made, or too large";
	else if (error == EBADMSG)
		why = "damaged, or without its body: look at the disk";
	complain(t, error == EACCES ? CONTROL_FORBIDDEN : SOME, name, why);
}

/* --- a file --- */

static void
look(struct held_tool *t, const char *name)
{
	struct held_seen e = {.name = name, .now = t->now};

	if (held_file_look(&e.f, &t->crc, t->dir, name) < 0) {
		complain_of_file(t, name, errno);
		return;
	}
	e.block = held_block_read(e.f.fd, e.f.block_at);
	held_block_reason(e.f.fd, e.f.block_at, e.reason);
	if (t->each)
		held_show(&e);
	else
		held_sums_add(&t->sums, &e);
	held_file_close(&e.f);
	if (!t->status)
		t->status = SOME;
}

/* To the nanosecond: some kernels' own tick is the same for a few ms. */
static int
touch(int fd)
{
	struct timespec now[2];

	clock_gettime(CLOCK_REALTIME, &now[0]);
	now[1] = now[0];
	return futimens(fd, now);
}

/* Open, and nobody else's; -1 with errno. */
static int
take(struct held_tool *t, const char *name, struct held_file *f)
{
	while (held_file_look(f, &t->crc, t->dir, name) == 0) {
		if (held_file_lock(f->fd, t->dir, name) == 0)
			return 0;
		held_file_close(f);
		if (errno != EBUSY || !t->patience)
			return -1;
		t->patience--;
		poll(NULL, 0, LOOK_MS);
	}
	return -1;
}

static void
change(struct held_tool *t, const char *name)
{
	char reason[HELD_REASON_MAX];
	struct held_block b;
	struct held_file f;

	if (take(t, name, &f) < 0) {
		complain_of_file(t, name, errno);
		return;
	}
	b = held_block_read(f.fd, f.block_at);
	held_block_reason(f.fd, f.block_at, reason);
	b.last = 0;
	if (t->fail)
		b.age = HELD_AGE_MAX;
	if (held_block_write(f.fd, f.block_at, &b, reason) < 0 ||
	    touch(f.fd) < 0)
		complain_of_file(t, name, errno);
	else
		t->done++;
	held_file_close(&f);
}

/* Everybody is to look at all of them. */
static void
tell(struct held_tool *t)
{
	int fd = full_open(t->dir, HELD_NOW, O_WRONLY | O_CREAT, UINT64_MAX);

	if (fd < 0 || touch(fd) < 0)
		complain_of_file(t, HELD_NOW, errno);
	full_close(&fd);
	printf("%u %s\n", t->done,
	    t->fail ? "will be put into failed" : "will be tried now");
}

/* --- all of them --- */

static bool
begins(const char *name, const char *id)
{
	return strncmp(name, id, strlen(id)) == 0;
}

static int
note_name(void *ctx, const char *name)
{
	struct held_tool *t = ctx;
	bool wanted = !t->nids;

	for (int i = 0; i < t->nids; i++)
		wanted |= begins(name, t->ids[i]);
	if (!wanted || !held_name_is_record(name))
		return 0;
	if (t->n == t->capacity) {
		t->capacity = t->capacity ? 2 * t->capacity : 64;
		t->names = realloc(t->names, t->capacity * sizeof(*t->names));
	}
	if (!t->names || !(t->names[t->n++] = strdup(name)))
		abort();
	return 0;
}

/* A name begins with when it came. */
static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
go_through(struct held_tool *t)
{
	bool changes = t->retry || t->fail;

	if (journal_dir_each(t->dir, note_name, t) < 0)
		complain(t, EXIT_FAILED, "held", strerror(errno));
	for (int i = 0; i < t->nids; i++) {
		bool any = false;

		for (size_t k = 0; k < t->n && !any; k++)
			any = begins(t->names[k], t->ids[i]);
		if (!any)
			complain(t, changes ? SOME : 0, t->ids[i],
			    "nothing is held whose name begins so");
	}
	if (t->n)
		qsort(t->names, t->n, sizeof(*t->names), by_name);
	for (size_t i = 0; i < t->n; i++)
		(changes ? change : look)(t, t->names[i]);
	if (changes)
		tell(t);
	else
		held_sums_show(t->sums);
}

static void
forget(struct held_tool *t)
{
	held_sums_free(&t->sums);
	for (size_t i = 0; i < t->n; i++)
		free(t->names[i]);
	free(t->names);
	full_close(&t->dir);
}

/* --- the command --- */

/* False: it makes no sense. */
static bool
parse(struct held_tool *t, int argc, char **argv)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++)
		if (strcmp(argv[i], "-v") == 0)
			t->each = true;
		else if (strcmp(argv[i], "--retry") == 0)
			t->retry = true;
		else if (strcmp(argv[i], "--fail") == 0)
			t->fail = true;
		else if (strcmp(argv[i], "-f") == 0 && i + 1 < argc)
			t->file = argv[++i];
		else
			return false;
	t->ids = argv + i;
	t->nids = argc - i;
	/* an id that nothing begins with, or all */
	for (int k = 0; k < t->nids; k++)
		if (!*t->ids[k] || t->ids[k][0] == '-')
			return false;
	if (t->each + t->retry + t->fail > 1 || (t->fail && !t->nids))
		return false;
	t->each |= t->nids > 0;
	return true;
}

int
held_main(int argc, char **argv)
{
	struct held_tool t = {.file = CONFIG_PATH,
	    .dir = -1,
	    .now = clock_boot(),
	    .patience = PATIENCE};

	if (!parse(&t, argc, argv)) {
		fputs("usage: smtpd held [-f file] [-v | --retry | --fail] "
		      "[id ...]\n",
		    stderr);
		return EXIT_USAGE;
	}
	crc32c_init(&t.crc);
	t.status = spool_enter("held", t.file, "held", &t.dir);
	if (t.dir >= 0)
		go_through(&t);
	forget(&t);
	return control_end("held", t.status);
}
