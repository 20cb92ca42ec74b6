/*
 * file_access: may the user that workers run as use what is at a path? By the
 * modes of it and of each directory on the way; nothing is opened.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "config/file.h"

enum may { MAY, MAY_NOT, MAY_MISSING, MAY_UNKNOWN };

/* bits: 4 read, 2 write, 1 execute. A worker has no other groups. */
static bool
has(const struct stat *st, uid_t uid, gid_t gid, unsigned bits)
{
	unsigned mode = st->st_mode;

	mode = st->st_uid == uid   ? mode >> 6
	       : st->st_gid == gid ? mode >> 3
				   : mode;
	return (mode & bits) == bits;
}

static bool
find_user(const struct config_all *all, uid_t *uid, gid_t *gid)
{
	const struct passwd *pw = getpwnam(all->pub.user);
	const struct group *gr;

	if (!pw)
		return false;
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	gr = all->pub.group ? getgrnam(all->pub.group) : NULL;
	if (gr)
		*gid = gr->gr_gid;
	return !all->pub.group || gr;
}

static enum may
look(const char *path, uid_t uid, gid_t gid, unsigned bits, struct stat *st)
{
	if (stat(path, st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? MAY_MISSING
							   : MAY_UNKNOWN;
	return has(st, uid, gid, bits) ? MAY : MAY_NOT;
}

/* Each directory on the way must let it through. */
static enum may
may(const struct config_all *all, const char *path, unsigned bits,
    struct stat *st)
{
	enum may r = MAY;
	struct buf part = {0};
	uid_t uid;
	gid_t gid;

	if (!find_user(all, &uid, &gid))
		return MAY_UNKNOWN;
	for (const char *c = path + 1; r == MAY && (c = strchr(c, '/')); c++) {
		part.len = 0;
		buf_append(&part, path, (size_t)(c - path));
		buf_append(&part, "", 1);
		r = look(part.data, uid, gid, 1, st);
	}
	buf_free(&part);
	return r == MAY ? look(path, uid, gid, bits, st) : r;
}

void
config_check_socket(const struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path, const char *listener)
{
	struct stat st;
	enum may r = may(all, path, 2, &st);

	if (r == MAY_MISSING && !listener)
		config_warn(f, at->file, at->line, "%s: is not there", path);
	else if (r == MAY_NOT && !listener)
		config_warn(f, at->file, at->line,
		    "%s: may not be opened by user %.80s", path, all->pub.user);
	else if (r == MAY_MISSING)
		config_warn(f, at->file, at->line,
		    "%s: is not there: in Dovecot, %s { path = %s }", path,
		    listener, path);
	else if (r == MAY_NOT)
		config_warn(f, at->file, at->line,
		    "%s: may not be opened by user %.80s: in Dovecot, %s { "
		    "user = %.80s }",
		    path, all->pub.user, listener, all->pub.user);
	else if (r == MAY && !S_ISSOCK(st.st_mode))
		config_warn(f, at->file, at->line, "%s: is no socket", path);
}

void
config_check_program(const struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path)
{
	struct stat st;
	enum may r = may(all, path, 1, &st);

	if (r == MAY_MISSING || r == MAY_NOT ||
	    (r == MAY && !S_ISREG(st.st_mode)))
		config_warn(f, at->file, at->line,
		    "%s: is not there, or cannot be executed by user %.80s",
		    path, all->pub.user);
}
