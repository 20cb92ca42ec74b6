/*
 * attempts: a note of fixed length in a file of the journal's directory.
 * Blocks, as little as a write to memory does.
 */
#include "journal/attempts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/full_io.h"

/* As this machine writes it: no other one will read it. */
struct note {
	uint64_t offset;
	uint32_t count;
	char name[SEGMENT_NAME_MAX];
};

int
attempts_open(struct attempts *a, int dir)
{
	struct note n;
	char octets[sizeof(n)];

	*a = (struct attempts){
	    .fd = full_open(dir, "attempts", O_RDWR | O_CREAT, RECORD_PAGE)};
	if (a->fd < 0)
		return -1;
	if (full_pread(a->fd, octets, sizeof(octets), 0) < 0)
		return 0; /* it was just made */
	memcpy(&n, octets, sizeof(n));
	a->count = n.count < ATTEMPTS_MAX ? n.count : ATTEMPTS_MAX;
	a->offset = n.offset;
	memcpy(a->name, n.name, sizeof(a->name));
	a->name[sizeof(a->name) - 1] = '\0';
	return 0;
}

void
attempts_close(struct attempts *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}

static void
note(const struct attempts *a, unsigned count, uint64_t offset,
    const char *name)
{
	struct note n;
	char octets[sizeof(n)];

	memset(&n, 0, sizeof(n));
	n.offset = offset;
	n.count = count;
	snprintf(n.name, sizeof(n.name), "%s", name);
	memcpy(octets, &n, sizeof(n));
	if (a->fd >= 0)
		(void)full_pwrite(a->fd, (struct span){octets, sizeof(octets)},
		    0);
}

bool
attempts_begin(struct attempts *a, const char *name, uint64_t offset)
{
	bool again = a->count && a->offset == offset && !strcmp(a->name, name);
	unsigned n = again ? a->count + 1 : 1;

	if (n > ATTEMPTS_MAX)
		return false;
	note(a, n, offset, name);
	return true;
}

void
attempts_rest(struct attempts *a)
{
	note(a, 0, 0, "-");
}
