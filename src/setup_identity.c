/*
 * setup_identity: whom the workers become, and acting as that user for a
 * while. Nobody who has root's rights may be the user: mail would have them.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/identity.h"
#include "io/log.h"
#include "setup.h"

static int
no_such(const char *key, const char *name)
{
	char help[IDENTITY_HELP];

	log_event(LOG_ERROR, key[0] == 'u' ? "no-such-user" : "no-such-group",
	    LOG_STR(key, name),
	    LOG_STR("help", identity_make(key, name, help)));
	return EXIT_CONFIG;
}

/* Whoever has root's uid or gid needs no change of it. */
static int
is_root(const char *key, const char *name)
{
	log_event(LOG_ERROR, "user-is-root", LOG_STR(key, name),
	    LOG_STR("help", IDENTITY_ROOT));
	return EXIT_CONFIG;
}

int
setup_identity(const struct config *c, struct identity *id)
{
	const struct passwd *pw;
	const struct group *gr = NULL;

	*id = (struct identity){false, geteuid(), getegid()};
	pw = getpwnam(c->user);
	if (geteuid() != 0) {
		if (!pw || pw->pw_uid != geteuid())
			log_event(LOG_INFO, "user-ignored",
			    LOG_STR("user", c->user),
			    LOG_STR("why", "not started as root"));
		return 0;
	}
	if (!pw)
		return no_such("user", c->user);
	*id = (struct identity){true, pw->pw_uid, pw->pw_gid};
	if (c->group && !(gr = getgrnam(c->group)))
		return no_such("group", c->group);
	if (gr)
		id->gid = gr->gr_gid;
	if (!id->uid)
		return is_root("user", c->user);
	return id->gid ? 0 : is_root("group", c->group ? c->group : c->user);
}

int
setup_become(const struct identity *id)
{
	if (!id->change)
		return 0;
	if (setgroups(0, NULL) < 0 || setgid(id->gid) < 0 ||
	    setuid(id->uid) < 0)
		return -1;
	/* a kernel that lets us back would make all of this a decoration */
	if (setuid(0) == 0) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

int
identity_assume(const struct identity *id, struct identity_own *own)
{
	int n;

	*own = (struct identity_own){.gid = getegid()};
	if (!id->change)
		return 0;
	n = getgroups(0, NULL);
	own->groups = mem_new(((size_t)n + 1) * sizeof(*own->groups));
	own->ngroups = getgroups(n, own->groups);
	if (own->ngroups < 0)
		abort(); /* what is there fits */
	own->away = true;
	if (setgroups(0, NULL) == 0 && setegid(id->gid) == 0 &&
	    seteuid(id->uid) == 0)
		return 0;
	identity_resume(own);
	return -1;
}

void
identity_resume(struct identity_own *own)
{
	int err = errno;

	if (own->away && (seteuid(0) < 0 || setegid(own->gid) < 0 ||
			     setgroups((size_t)own->ngroups, own->groups) < 0))
		abort();
	free(own->groups);
	*own = (struct identity_own){.away = false};
	errno = err;
}
