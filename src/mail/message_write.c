/*
 * message_write: a message into the files of its copies.
 *
 * What is in memory goes with one writev behind our lines; what is in a file
 * is read once for all the files that are open. Blocks; syncs nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/full_io.h"
#include "mail/message.h"

#define CHUNK        65536 /* octets of the spool read at once */
#define HEADER_PARTS 3

/* Our lines, and the body with them when it is in memory. */
int
message_write_top(struct message *m, struct message_copy *c)
{
	struct iovec iov[HEADER_PARTS + 1] = {
	    full_part(buf_span(&m->return_path)),
	    full_part(c->delivered_to),
	    full_part(buf_span(&m->received)),
	    full_part(m->body.tail),
	};

	if (full_writev(c->file.fd, iov,
		m->body.filed ? HEADER_PARTS : HEADER_PARTS + 1) < 0) {
		m->failed = c;
		return -1;
	}
	return 0;
}

/* The same octets to n files. */
static int
write_each(struct message *m, struct message_copy *c, unsigned n, struct span s)
{
	for (unsigned i = 0; i < n; i++) {
		struct iovec iov = full_part(s);

		if (full_writev(c[i].file.fd, &iov, 1) < 0) {
			m->failed = &c[i];
			return -1;
		}
	}
	return 0;
}

/* Reads what is in a file once, for all n. */
static int
copy_filed(struct message *m, struct message_copy *c, unsigned n)
{
	const struct spool_content *body = &m->body;
	char *chunk = malloc(CHUNK);
	uint64_t at = body->from;
	int r = 0;

	if (!chunk)
		abort();
	while (!r && at < body->filed) {
		uint64_t left = body->filed - at;
		size_t len = left < CHUNK ? (size_t)left : CHUNK;

		r = full_pread(body->fd, chunk, len, at);
		if (!r)
			r = write_each(m, c, n, (struct span){chunk, len});
		at += len;
	}
	free(chunk);
	return r;
}

int
message_write_rest(struct message *m, struct message_copy *c, unsigned n)
{
	if (!m->body.filed)
		return 0;
	return copy_filed(m, c, n) < 0 || write_each(m, c, n, m->body.tail) < 0
		   ? -1
		   : 0;
}
