/*
 * setup_key: a secret that outlives restarts, in a file that only whoever
 * starts smtpd reads. Made under another name, synced, then renamed: a crash
 * leaves the old key or the new one, never half of one.
 *
 * The spool belongs to the workers, which may have fallen into strange hands
 * when it is read again at a reload: whatever lies there in the place of a
 * file can make this fail, but not wait, nor write elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/digest.h"
#include "io/full_io.h"
#include "io/log.h"
#include "policy/auth.h"
#include "setup.h"

#define KEY_LEN 32

static int
fault(const char *spool, int err)
{
	log_event(LOG_ERROR, "auth-key", LOG_STR("spool", spool),
	    LOG_ERRNO(err),
	    LOG_STR("help",
		err == EACCES ? "it is of a start as root: chown it to the user"
			      : "remove the file auth-key there"));
	return EXIT_FAILED;
}

/* 0, or -1 with errno. */
static int
make_key(int dir, uint8_t key[KEY_LEN])
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
	bool bad;
	int fd;

	if (unlinkat(dir, "auth-key.new", 0) < 0 && errno != ENOENT)
		return -1;
	fd = openat(dir, "auth-key.new", flags, 0600);
	if (fd < 0)
		return -1;
	digest_random(key, KEY_LEN);
	bad =
	    full_pwrite(fd, (struct span){(const char *)key, KEY_LEN}, 0) < 0 ||
	    fsync(fd) < 0;
	full_close(&fd);
	if (bad || renameat(dir, "auth-key.new", dir, "auth-key") < 0)
		return -1;
	return fsync(dir);
}

static int
read_key(int dir, uint8_t key[KEY_LEN])
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	int fd = openat(dir, "auth-key", flags);
	struct stat st;
	bool good;

	if (fd < 0)
		return errno == ENOENT ? make_key(dir, key) : -1;
	errno = EINVAL; /* if it is no file, or none of this length */
	good = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_size == KEY_LEN && read(fd, key, KEY_LEN) == KEY_LEN;
	full_close(&fd);
	return good ? 0 : -1;
}

int
setup_auth_key(struct config *c, int spool)
{
	uint8_t key[KEY_LEN];
	int status = 0;

	if (!c->auth.users)
		return 0;
	if (read_key(spool, key) < 0)
		status = fault(c->spool, errno);
	else
		auth_users_set_key(c->auth.users, key);
	digest_wipe(key, sizeof(key));
	return status;
}
