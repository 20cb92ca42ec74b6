/*
 * attempts: one line of fixed length in a file of the journal's directory.
 * Blocks, as little as a write to memory does.
 */
#include "deliver/attempts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "deliver/full_io.h"

#define LINE 64

void
attempts_open(struct attempts *a, int dir)
{
	char line[LINE + 1] = "";

	*a = (struct attempts){
	    .fd = openat(dir, "attempts",
		O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)};
	if (a->fd < 0 || full_pread(a->fd, line, LINE, 0) < 0 ||
	    sscanf(line, "%u %" SCNu64 " %23s", &a->count, &a->offset,
		a->name) != 3)
		a->count = 0;
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
	char line[LINE + 1];
	int n = snprintf(line, sizeof(line), "%u %" PRIu64 " %.23s", count,
	    offset, name);

	memset(line + n, ' ', (size_t)(LINE - n));
	line[LINE - 1] = '\n';
	if (a->fd >= 0)
		(void)full_pwrite(a->fd, (struct span){line, LINE}, 0);
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
