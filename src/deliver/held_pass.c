/*
 * held_pass: reads what is new in held/, tries what is due, forgets what is
 * gone, and sweeps what a crash left half made.
 *
 * How long to wait is on the disk: a file's mtime is when it was last tried,
 * and its record says when the message came; the wait grows with what lies
 * between. A mailbox that just failed is not tried again in the same pass.
 * Blocks; logs nothing. Owns what it remembers of the files.
 */
#include "deliver/held_pass.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "deliver/held_try.h"
#include "deliver/journal_dir.h"

#define WAIT_MIN 2000 /* ms */
#define WAIT_MAX (15 * 60 * 1000)
#define BODY     ".body"
#define DAY      ((int64_t)24 * 3600 * 1000)

static int64_t
wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- files --- */

static bool
is_mail(const char *name)
{
	size_t n = strlen(name), end = strlen(BODY);

	return name[0] != '.' && (n < end || strcmp(name + n - end, BODY) != 0);
}

/*
 * A record that has not got its name: it was being made when its worker died.
 * Whoever makes one needs no day, and begins anew if it is gone. A body alone
 * stays: its record may be about to come, from a journal of long ago.
 */
static void
sweep(int dirfd, const char *name)
{
	struct stat st;

	if (!fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) &&
	    wall_ms() - (int64_t)st.st_ctim.tv_sec * 1000 >= DAY)
		unlinkat(dirfd, name, 0);
}

static int
note_name(void *ctx, const char *name)
{
	const struct held_pass *p = ctx;

	if (is_mail(name))
		held_file_find(ctx, name)->seen = true;
	else if (name[0] == '.')
		sweep(p->dirfd, name);
	return 0;
}

static bool
is_due(const struct held_pass *p, const struct held_file *f, int64_t now)
{
	int64_t wait = (f->tried - f->came) / 2;

	if (now - f->came >= (int64_t)p->o->expire)
		return true;
	if (wait < WAIT_MIN)
		wait = WAIT_MIN;
	if (wait > WAIT_MAX)
		wait = WAIT_MAX;
	/* a clock that was set back must not make it wait for ever */
	return now - f->tried >= wait || now < f->tried;
}

static void
look_at(struct held_pass *p, struct held_file *f, struct held_box **failing)
{
	bool known = f->boxes != NULL;

	if (!known && held_try_read(p, f) < 0) {
		p->error = errno;
		return;
	}
	if (is_due(p, f, wall_ms()) && held_try(p, f, failing)) {
		f->seen = false;
		return;
	}
	p->size += f->size;
	for (struct held_box *b = f->boxes; b; b = b->hh.next)
		held_box_add(&p->boxes, "", b->name + 1);
}

void
held_pass_run(struct held_pass *p)
{
	struct held_box *failing = NULL;
	struct held_file *f;

	p->size = 0;
	p->error = 0;
	p->events_end = &p->events;
	for (f = p->files; f; f = f->hh.next)
		f->seen = false;
	if (journal_dir_each(p->dirfd, note_name, p) < 0)
		p->error = errno;
	for (f = p->files; f; f = f->hh.next)
		if (f->seen)
			look_at(p, f, &failing);
	held_files_forget(p);
	held_boxes_free(&failing);
}

void
held_pass_free_events(struct held_pass *p)
{
	struct held_event *e, *next;

	for (e = p->events; e; e = next) {
		next = e->next;
		free(e->address);
		free(e->mailbox);
		free(e);
	}
	p->events = NULL;
}

void
held_pass_free(struct held_pass *p)
{
	held_pass_free_events(p);
	held_boxes_free(&p->boxes);
	for (struct held_file *f = p->files; f; f = f->hh.next)
		f->seen = false;
	held_files_forget(p);
}
