/*
 * landlock: the kernel holds a process to directories, TCP ports and its own
 * signals.
 *
 * Of the rights that a kernel knows all are taken, and those for files and
 * directories given back below the directories of the rules. The first
 * version would let nothing move from one directory to another, which is what
 * every delivery does, so it counts as none. Numbers are our own: a system's
 * headers know fewer than its kernel.
 */
#include "io/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/full_io.h"
#include "io/sandbox.h"

#define ASK_VERSION  1
#define RULE_BENEATH 1
#define RULE_PORT    2

#define FS_WRITE_FILE  (1u << 1)
#define FS_READ_FILE   (1u << 2)
#define FS_READ_DIR    (1u << 3)
#define FS_REMOVE_DIR  (1u << 4)
#define FS_REMOVE_FILE (1u << 5)
#define FS_MAKE_DIR    (1u << 7)
#define FS_MAKE_REG    (1u << 8)
#define FS_MAKE_SOCK   (1u << 9)
#define FS_MAKE_FIFO   (1u << 10)
#define FS_MAKE_SYM    (1u << 12)
#define FS_REFER       (1u << 13)
#define FS_TRUNCATE    (1u << 14)
#define NET_CONNECT    (1u << 1)

/* Sockets, FIFOs and links too: what is no file of ours is moved out of the way
 * like any other. The calls that make them are not the filter's. */
#define FS_GIVEN                                                               \
	(FS_WRITE_FILE | FS_READ_FILE | FS_READ_DIR | FS_REMOVE_DIR |          \
	    FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SOCK |        \
	    FS_MAKE_FIFO | FS_MAKE_SYM | FS_REFER | FS_TRUNCATE)

/* The kernel's own. */
struct ruleset {
	uint64_t fs, net, scoped;
};
struct beneath {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));

/* What a version knows of each: the first so many bits. */
static struct ruleset
known(long version)
{
	struct ruleset r = {.fs = 0x3fff}; /* and FS_REFER */

	if (version >= 3)
		r.fs |= FS_TRUNCATE;
	if (version >= 5)
		r.fs |= 1u << 15; /* ioctls of devices */
	if (version >= SANDBOX_LANDLOCK_PORTS)
		r.net = 3; /* bind, connect */
	if (version >= SANDBOX_LANDLOCK_SIGNALS)
		r.scoped = 3; /* abstract sockets, signals */
	return r;
}

static long
find_version(void)
{
	long version =
	    syscall(__NR_landlock_create_ruleset, NULL, 0, ASK_VERSION);
#ifdef SMTPD_HOLE
	const char *max = getenv("SMTPD_LANDLOCK_MAX");

	if (max && version > *max - '0')
		version = *max - '0';
#endif
	if (version >= SANDBOX_LANDLOCK_FILES)
		return version;
	if (version >= 0)
		errno = EOPNOTSUPP;
	return 0;
}

/* One that is not there cannot be written to later, either. */
static int
give_dir(int ruleset, const struct ruleset *all, const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct beneath rule = {.access = FS_GIVEN & all->fs, .fd = fd};
	long r;

	if (fd < 0)
		return 0;
	r = syscall(__NR_landlock_add_rule, ruleset, RULE_BENEATH, &rule, 0);
	close(fd);
	return (int)r;
}

static int
give(int ruleset, const struct ruleset *all, const struct sandbox_rules *rules)
{
	int r = 0;

	for (unsigned i = 0; !r && i < rules->ndirs; i++)
		r = give_dir(ruleset, all, rules->dirs[i]);
	for (unsigned i = 0; !r && all->net && i < rules->nports; i++) {
		const uint64_t rule[] = {NET_CONNECT, rules->ports[i]};

		r = (int)syscall(__NR_landlock_add_rule, ruleset, RULE_PORT,
		    rule, 0);
	}
	return r;
}

int
landlock_enter(const struct sandbox_rules *rules)
{
	long version = find_version();
	const struct ruleset all = known(version);
	int fd, r;

	if (!version)
		return 0;
	fd = (int)syscall(__NR_landlock_create_ruleset, &all, sizeof(all), 0);
	if (fd < 0)
		return 0;
	r = give(fd, &all, rules);
	if (!r)
		r = (int)syscall(__NR_landlock_restrict_self, fd, 0);
	full_close(&fd);
	return r ? 0 : (int)version;
}
