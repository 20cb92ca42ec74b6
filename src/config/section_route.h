/*
 * section_route: routes as they are made, from a block or from a destination
 * alone.
 */
#ifndef CONFIG_SECTION_ROUTE_H
#define CONFIG_SECTION_ROUTE_H

#include "config/section.h"

struct route_block {
	unsigned tls; /* enum route_tls */
	char *ca, *login, *secret_file;
	unsigned connections; /* 0: not written */
	uint64_t timeout;     /* the same */
	unsigned when_down;   /* 0 defer, 1 hold */
	bool verify;
};

struct config_route {
	struct route pub;
	struct config_block *block; /* NULL: a destination alone */
	struct config_item at;      /* where it is, or is named first */
	bool good;                  /* there is no fault in its places */
	bool used;
	char *secret; /* the route's, to be wiped */
	struct config_route *next;
};

/* Where that entry of `to` is written. */
struct config_item config_route_at(const struct config_route *x, unsigned i);

/*
 * For recipients_options; ctx is the config_all, whose `at` is where text is
 * written.
 */
const char *config_route(void *ctx, const char *text, const struct route **r);

/* Its title stands in records and in the log: letters, digits, dots and the
 * like. False: it was told so. */
bool config_check_name(struct config_faults *f, const struct config_block *b);

/*
 * The first line of a file, without its end, as *r; NULL: it was told why not.
 * What is returned is the same, in the arena: to be wiped.
 */
char *config_secret_read(struct config_all *all, struct config_faults *f,
    const char *key, const struct config_item *at, const char *path,
    struct span *r);

/* Reads secret-file and ca, and makes what TLS needs. */
void route_read(struct config_all *all, struct config_faults *f,
    struct config_route *x);
/* What is wrong with what is written, when all of it is known. */
void route_check(const struct config_all *all, struct config_faults *f,
    const struct config_route *x);
/* For config_check(): sockets and programs. */
void route_machine(const struct config_all *all, struct config_faults *f);

/* What does not lie in the arena; secrets there are wiped. */
void config_routes_free(struct config_all *all);

#endif
