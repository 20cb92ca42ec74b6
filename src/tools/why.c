/*
 * why: what was kept of a session in the spool's why/, in order of time. It
 * asks no daemon; a log has more, this has the trail of each refusal.
 *
 * Files are the workers', of which one may have fallen into strange hands:
 * no link is followed, nobody is waited for, no line is believed to be one,
 * and no octet is shown that could turn a terminal.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/ident.h"
#include "config/config.h"
#include "io/clock.h"
#include "io/full_io.h"
#include "journal/journal_dir.h"
#include "setup.h"
#include "tools/control.h"
#include "tools/spool.h"
#include "tools/tool.h"

#define NOTHING   1 /* exit status */
#define LINE      8192
#define SHOWN_MAX (16u << 20)      /* octets of all lines */
#define JSON_HEAD "{\"time\":\""   /* in front of its time */
#define TIME_LEN  (CLOCK_TIME + 5) /* with ".123Z" */

struct why_line {
	char *text;
	size_t seen; /* so many were before it */
};

struct why_file {
	int fd;
	struct timespec changed;
};

struct why_tool {
	char id[IDENT_LEN + 1];
	uint64_t made; /* ms */
	int dir;
	struct why_file *files;
	size_t nfiles;
	struct why_line *lines;
	size_t nlines, octets;
	int status;
};

/* --- files --- */

static void *
grow(void *array, size_t n, size_t size)
{
	if (n & (n - 1)) /* there is room up to the next power of two */
		return array;
	array = realloc(array, (n ? 2 * n : 1) * size);
	if (!array)
		abort();
	return array;
}

static int
note_file(void *ctx, const char *name)
{
	struct why_tool *t = ctx;
	struct why_file *f;
	struct stat st;

	t->files = grow(t->files, t->nfiles, sizeof(*t->files));
	f = &t->files[t->nfiles];
	f->fd = openat(t->dir, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		full_close(&f->fd);
		return 0;
	}
	f->changed = st.st_mtim;
	t->nfiles++;
	return 0;
}

static int
by_change(const void *a, const void *b)
{
	const struct timespec *x = &((const struct why_file *)a)->changed;
	const struct timespec *y = &((const struct why_file *)b)->changed;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static void
note_line(struct why_tool *t, const char *line)
{
	size_t n = strcspn(line, "\n");

	t->octets += n;
	if (t->octets > SHOWN_MAX)
		return;
	t->lines = grow(t->lines, t->nlines, sizeof(*t->lines));
	t->lines[t->nlines] = (struct why_line){strndup(line, n), t->nlines};
	if (!t->lines[t->nlines++].text)
		abort();
}

static void
search(struct why_tool *t, int fd)
{
	FILE *f = fdopen(fd, "r");
	char line[LINE];

	if (!f)
		abort();
	while (fgets(line, sizeof(line), f))
		if (strstr(line, t->id))
			note_line(t, line);
	if (ferror(f)) {
		perror("smtpd why");
		t->status = EXIT_FAILED;
	}
	fclose(f);
}

/* --- lines --- */

/* As clock_text() writes it, or "". */
static struct span
time_of(const char *line)
{
	size_t n = sizeof(JSON_HEAD) - 1;

	if (strncmp(line, JSON_HEAD, n) == 0)
		line += n;
	return (struct span){line, strnlen(line, TIME_LEN)};
}

static int
by_time(const void *a, const void *b)
{
	const struct why_line *x = a, *y = b;
	struct span s = time_of(x->text), u = time_of(y->text);
	int order = memcmp(s.ptr, u.ptr, s.len < u.len ? s.len : u.len);

	return order ? order : (x->seen > y->seen) - (x->seen < y->seen);
}

static void
show(struct why_tool *t)
{
	if (t->nlines)
		qsort(t->lines, t->nlines, sizeof(*t->lines), by_time);
	for (size_t i = 0; i < t->nlines; i++) {
		control_show(stdout, span_str(t->lines[i].text));
		fputs("\n", stdout);
	}
	if (t->octets > SHOWN_MAX)
		fputs("smtpd why: that is not all of it\n", stderr);
}

static void
say_nothing(struct why_tool *t)
{
	char made[CLOCK_TEXT_MAX];

	printf("nothing kept of %s (%s, from the id): accepted, older than the "
	       "ring, or another server's. grep it in the log.\n",
	    t->id, clock_text((int64_t)(t->made / 1000), made));
	t->status = NOTHING;
}

/* --- the command --- */

static void
look(struct why_tool *t)
{
	if (t->dir >= 0 && journal_dir_each(t->dir, note_file, t) < 0) {
		perror("smtpd why");
		t->status = EXIT_FAILED;
	}
	if (t->nfiles)
		qsort(t->files, t->nfiles, sizeof(*t->files), by_change);
	for (size_t i = 0; i < t->nfiles; i++)
		search(t, t->files[i].fd);
	show(t);
	if (!t->nlines && !t->status)
		say_nothing(t);
	for (size_t i = 0; i < t->nlines; i++)
		free(t->lines[i].text);
	free(t->lines);
	free(t->files);
	full_close(&t->dir);
}

/* As a reply has it, in its brackets, or of a message, with its number. */
static int
read_id(struct why_tool *t, const char *text)
{
	struct span id = span_str(text);

	if (id.len && id.ptr[0] == '[')
		span_skip(&id, 1);
	if (id.len < IDENT_LEN ||
	    (id.len > IDENT_LEN && !strchr(".]", id.ptr[IDENT_LEN])))
		return -1;
	memcpy(t->id, id.ptr, IDENT_LEN);
	for (size_t i = 0; i < IDENT_LEN; i++)
		if (t->id[i] >= 'a' && t->id[i] <= 'v')
			t->id[i] = (char)(t->id[i] - 'a' + 'A');
	return ident_time(span_str(t->id), &t->made);
}

/* argv ends with NULL. NULL: it makes no sense. */
static const char *
parse(char **argv, const char **file)
{
	if (argv[1] && !strcmp(argv[1], "-f") && argv[2]) {
		*file = argv[2];
		argv += 2;
	}
	return argv[1] && argv[1][0] != '-' && !argv[2] ? argv[1] : NULL;
}

int
why_main(int argc, char **argv)
{
	struct why_tool t = {.dir = -1};
	const char *file = CONFIG_PATH, *id = parse(argv, &file);

	(void)argc;
	if (!id) {
		fputs("usage: smtpd why [-f file] id\n", stderr);
		return EXIT_USAGE;
	}
	if (read_id(&t, id) < 0) {
		fputs("smtpd why: ", stderr);
		control_show(stderr, span_str(id));
		fputs(": no id: it has 16 letters and digits, and ends a "
		      "reply of 4xx or 5xx in brackets\n",
		    stderr);
		return EXIT_USAGE;
	}
	t.status = spool_enter("why", file, "why", &t.dir);
	if (!t.status)
		look(&t);
	return control_end("why", t.status);
}
