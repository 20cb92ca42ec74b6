/*
 * held_pass: reads what is new in held/, tries what is due, forgets what is
 * gone, and sweeps what a crash left half made.
 *
 * How long to wait is on the disk (held_block.h): a file's mtime tells that
 * somebody tried it. A mailbox that just failed is not tried again in the same
 * pass. Blocks; logs nothing. Owns what it remembers of the files.
 */
#include "deliver/held_pass.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "deliver/held_try.h"
#include "journal/journal_dir.h"

#define BODY ".body"

/* --- files --- */

static bool
is_body(const char *name)
{
	size_t n = strlen(name), end = strlen(BODY);

	return name[0] != '.' && n >= end && !strcmp(name + n - end, BODY);
}

/*
 * A record that has not got its name, seen for the second time: its worker
 * died in the middle, or still has the lock. Whoever makes one begins anew if
 * it is gone. A body alone stays: its record may be about to come, from a
 * journal of long ago.
 */
static void
sweep(int dirfd, const char *name)
{
	int fd =
	    openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	if (!flock(fd, LOCK_EX | LOCK_NB))
		unlinkat(dirfd, name, 0);
	close(fd);
}

static int
note_name(void *ctx, const char *name)
{
	if (is_body(name))
		return 0;
	held_file_find(ctx, name)->seen = true;
	return 0;
}

static void
look_at(struct held_pass *p, struct held_file *f, struct held_box **failing)
{
	if (f->name[0] == '.') {
		if (f->told)
			sweep(p->dirfd, f->name);
		f->told = true;
		return;
	}
	if (held_try_look(p, f) < 0) {
		p->error = errno;
		return;
	}
	if (f->seen &&
	    held_block_is_due(&f->block, held_block_clock(), p->o->expire) &&
	    held_try(p, f, failing))
		f->seen = false;
	if (f->seen)
		held_boxes_merge(&p->boxes, f->boxes, f->size);
}

void
held_pass_run(struct held_pass *p)
{
	struct held_box *failing = NULL;
	struct held_file *f;

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
	p->size = held_boxes_count(p->boxes, p->o->limit, &p->roots);
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
	held_boxes_free(&p->roots);
	for (struct held_file *f = p->files; f; f = f->hh.next)
		f->seen = false;
	held_files_forget(p);
}
