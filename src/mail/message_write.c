/*
 * message_write: a message into a file.
 *
 * What is in memory goes with one writev behind our lines; what is in a file
 * is read and written a chunk at a time. Blocks; syncs nothing.
 */
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/full_io.h"
#include "mail/message.h"

#define CHUNK        65536 /* octets of the spool read at once */
#define HEADER_PARTS 3

static int
copy_filed(const struct spool_content *body, int fd)
{
	char *chunk = malloc(CHUNK);
	int r = 0;

	if (!chunk)
		abort();
	for (uint64_t at = body->from; !r && at < body->filed;) {
		uint64_t left = body->filed - at;
		size_t n = left < CHUNK ? (size_t)left : CHUNK;
		struct iovec iov = full_part((struct span){chunk, n});

		r = full_pread(body->fd, chunk, n, at);
		if (!r)
			r = full_writev(fd, &iov, 1);
		at += n;
	}
	free(chunk);
	return r;
}

int
message_write(const struct message *m, const struct message_copy *c, int fd)
{
	struct iovec iov[HEADER_PARTS + 1] = {
	    full_part(buf_span(&m->return_path)),
	    full_part(c->delivered_to),
	    full_part(buf_span(&m->received)),
	    full_part(m->body.tail),
	};
	struct iovec *tail = &iov[HEADER_PARTS];

	if (!m->body.filed)
		return full_writev(fd, iov, HEADER_PARTS + 1);
	if (full_writev(fd, iov, HEADER_PARTS) < 0 ||
	    copy_filed(&m->body, fd) < 0)
		return -1;
	return full_writev(fd, tail, 1);
}
