/*
 * mda: a delivery program for servers that have none of their own. Writes its
 * input to a new file of a Maildir and syncs it, as it must before a queue may
 * forget the message. Linked statically: to start it is most of its work.
 *
 *	mda MAILDIR
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEMPFAIL 75
#define CHUNK    65536

static int
fail(const char *what)
{
	fprintf(stderr, "mda: %s: %s\n", what, strerror(errno));
	return TEMPFAIL;
}

static bool
make_folder(const char *path)
{
	return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static bool
store(int to)
{
	char part[CHUNK];
	ssize_t n;

	while ((n = read(0, part, sizeof part)) > 0)
		if (write(to, part, (size_t)n) != n)
			return false;
	return n == 0 && fsync(to) == 0;
}

int
main(int argc, char **argv)
{
	struct timespec t;
	char from[64], to[64];
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: mda maildir\n");
		return 64;
	}
	if (!make_folder(argv[1]) || chdir(argv[1]) < 0)
		return fail(argv[1]);
	if (!make_folder("tmp") || !make_folder("new") || !make_folder("cur"))
		return fail("tmp, new, cur");
	clock_gettime(CLOCK_REALTIME, &t);
	snprintf(from, sizeof from, "tmp/%ld.%ld_%d", (long)t.tv_sec, t.tv_nsec,
	    getpid());
	snprintf(to, sizeof to, "new/%s", from + strlen("tmp/"));
	fd = open(from, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || !store(fd) || rename(from, to) < 0)
		return fail(from);
	return 0;
}
