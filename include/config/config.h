/*
 * config: one file, read once, constant afterwards.
 *
 * One table describes every key: section, name, type, default, range, unit
 * and help. It drives the parser, `smtpd -n -v`, and the checks that the
 * manual and the example name every key. Faults carry file and line and say
 * what to write instead.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ipset.h"
#include "deliver/deliver.h"
#include "io/log.h"
#include "io/tls.h"
#include "policy/access.h"
#include "policy/auth.h"
#include "policy/deadline.h"
#include "policy/door.h"
#include "policy/filter.h"
#include "policy/greylist.h"
#include "policy/limits.h"
#include "policy/redis.h"
#include "policy/senders.h"
#include "proto/smtp.h"

#define CONFIG_PATH    "/etc/smtpd/smtpd.conf"
#define CONFIG_BUILTIN "builtin" /* -f builtin */

enum config_role { ROLE_MX, ROLE_SUBMISSION, ROLE_METRICS };
enum config_sandbox { SANDBOX_YES, SANDBOX_REQUIRE, SANDBOX_NO };
/* None: no mail comes there. */
enum config_tls { TLS_STARTTLS, TLS_IMPLICIT, TLS_OFF, TLS_NONE };

/* One listen block, expanded: "*" makes two. */
struct config_listen {
	char *text; /* as written, "*:25" */
	unsigned line;
	struct ipaddr addr;
	uint16_t port;
	enum config_role role;
	enum config_tls tls;
	struct smtp_config smtp; /* hostname NULL: of ROLE_METRICS */
};

/* A client block: what is different for a network. */
struct config_client {
	struct ipnet net;
	bool normalize;  /* bare newlines are taken, as line ends */
	bool unfiltered; /* no milter sees what comes from there */
	bool unlimited;  /* but for the sessions in all */
	bool proxy;      /* it speaks for others, and must say for whom */
};

/* A file that was read, as it was then. Its name counts, not where it leads. */
struct config_file {
	const char *path;
	uint64_t mark;
	bool certificate; /* or a key, a secret or an authority */
	struct config_file *next;
};

struct config {
	char *file;
	struct config_file *files; /* the main one too */
	char *hostname;
	char *machine;      /* its name, if it had to be found at the start */
	char *user, *group; /* group NULL: the user's own */
	char *spool;
	bool spool_volatile;
	unsigned workers;
	unsigned threads;
	enum config_sandbox sandbox;
	uint64_t drain; /* ms */
	char *failed;   /* Maildir for what expires */
	struct config_listen *listens;
	unsigned nlistens;
	struct config_client *clients;
	unsigned nclients;
	struct ipset client_nets; /* their places in clients */
	struct tls *tls;          /* NULL: no certificate */
	struct auth_options auth; /* owns its users; NULL: no AUTH */
	struct senders *senders;  /* NULL: no senders-file */
	struct access *access;    /* NULL: no rules */
	struct deadline_config deadlines;
	struct limits_config limits;
	struct door_config door;
	struct redis_config redis; /* server NULL: none */
	struct greylist greylist;  /* whether: checks */
	struct filters_config filters;
	struct deliver_options deliver; /* owns its recipients */
	uint16_t *ports; /* TCP: of all that is connected to, each maybe twice;
			    and of the resolvers, if any is asked */
	unsigned nports;
	bool dns;                /* it is to be asked */
	const char *dns_servers; /* as resolve_options has them; NULL: those of
				    the system */
	enum log_to log_to;
	enum log_format log_format;
	enum log_level log_level;
	uint64_t log_keep; /* octets */
};

/* One fault, ready to be shown: "file:line: error: text". */
typedef void config_fault_fn(void *ctx, bool warn, const char *file,
    unsigned line, const char *text);

enum config_status {
	CONFIG_OK,
	CONFIG_WARNINGS,
	CONFIG_ERRORS,
	CONFIG_MISSING, /* the file cannot be read; a fault names it */
};

/*
 * Reads path ("builtin" is the embedded one). *r is set unless there are
 * errors. Reads files that the configuration names, touches nothing else. old:
 * what it is to take the place of, or NULL at the start: then a machine that
 * is to name itself is looked up, which takes up to 3 s.
 */
enum config_status config_load(const char *path, const struct config *old,
    config_fault_fn *fault, void *ctx, struct config **r);
void config_free(struct config **c);

/*
 * A file, whatever is wrong in it, for its spool and whose that is alone: each
 * NULL where it does not say so. NULL: it cannot be read, which is the one
 * fault that is told.
 */
struct config *config_glance(const char *path, config_fault_fn *fault,
    void *ctx);

/*
 * Before c takes old's place: what cannot change while smtpd runs (spool,
 * spool-volatile with it, user, group) stays what it is in old. A warning
 * for each that was to change.
 */
void config_keep(struct config *c, const struct config *old,
    config_fault_fn *fault, void *ctx);

/*
 * What a start would find out: the user, and directories that are not its
 * alone. Looks, and changes nothing.
 */
enum config_status config_check(struct config *c, config_fault_fn *fault,
    void *ctx);

/*
 * How the files look now that it was read from: those of certificates, or all
 * others. 0: as they did then; else a number for how they look.
 */
uint64_t config_files_look(const struct config *c, bool certificates);

/* The block with the longest prefix for this client, or one of defaults. */
const struct config_client *config_client(const struct config *c,
    const struct ipaddr *client);

#endif
