/*
 * held_keep: see held_file.h for what a file is. Blocks, logs nothing.
 */
#include "deliver/held_keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "deliver/held_file.h"
#include "dest/destination.h"
#include "io/full_io.h"
#include "journal/segment.h"

typedef int file_fn(const struct held_keep *k, const struct message *m);

/* Behind the copies that have the route of this one. */
static unsigned
end_of_route(const struct held_keep *k, unsigned i)
{
	const struct route *r = k->copies[i]->dest->route;

	while (i < k->n && k->copies[i]->dest->route == r)
		i++;
	return i;
}

/* Of a message that is like k->m, with these copies alone. */
static int
do_file(const struct held_keep *k, unsigned first, unsigned end, file_fn *fn)
{
	struct message m = message_same(k->m);
	int r;

	m.copies = mem_new((end - first) * sizeof(m.copies[0]));
	for (; first < end; first++) {
		struct message_copy *c = &m.copies[m.ncopies++];

		*c = *k->copies[first];
		c->error = EAGAIN;
	}
	r = fn(k, &m);
	free(m.copies);
	return r;
}

static int
write_file(const struct held_keep *k, const struct message *m)
{
	return held_file_write(k->crc, k->held, m, false, NULL);
}

/* With the lock: are some of its copies gone already? */
static bool
was_sent_in_part(const struct held_keep *k, const struct message *m,
    const char *name)
{
	struct held_file f;
	bool part;

	if (held_file_look(&f, k->crc, k->held, name) < 0)
		return false;
	part = f.m.ncopies < m->ncopies;
	held_file_close(&f);
	return part;
}

static int
remove_file(const struct held_keep *k, const struct message *m)
{
	char name[HELD_NAME_MAX], body[sizeof(name) + sizeof(HELD_BODY)];
	bool part = false;
	int fd, r;

	held_file_name(k->crc, m, name);
	snprintf(body, sizeof(body), "%s" HELD_BODY, name);
	fd = full_open(k->held, name, O_RDONLY, SEGMENT_MAX);
	if (fd < 0)
		return -1;
	r = held_file_lock(fd, k->held, name);
	if (!r) {
		part = was_sent_in_part(k, m, name);
		r = unlinkat(k->held, name, 0);
	}
	if (!r && m->body.fd >= 0)
		r = unlinkat(k->held, body, 0);
	full_close(&fd);
	if (r < 0 || full_sync_dir(k->held) < 0)
		return -1;
	errno = EALREADY;
	return part ? -1 : 0;
}

/* One that stays keeps none of the others. */
static int
remove_files(const struct held_keep *k, unsigned n)
{
	int error = 0;

	for (unsigned i = 0, end; i < n; i = end) {
		end = end_of_route(k, i);
		if (do_file(k, i, end, remove_file) < 0)
			error = errno;
	}
	errno = error;
	return error ? -1 : 0;
}

int
held_keep_remove(const struct held_keep *k)
{
	return remove_files(k, k->n);
}

int
held_keep_write(const struct held_keep *k)
{
	for (unsigned i = 0, end; i < k->n; i = end) {
		end = end_of_route(k, i);
		if (do_file(k, i, end, write_file) < 0) {
			int err = errno;

			(void)remove_files(k, i);
			errno = err;
			return -1;
		}
	}
	return 0;
}
