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
#include <stdio.h>
#include <sys/types.h>

#include "base/ipaddr.h"
#include "deliver/deliver.h"
#include "io/log.h"
#include "io/tls.h"
#include "policy/auth.h"
#include "policy/deadline.h"
#include "policy/limits.h"
#include "policy/senders.h"
#include "proto/smtp.h"

#define CONFIG_PATH    "/etc/smtpd/smtpd.conf"
#define CONFIG_BUILTIN "builtin" /* -f builtin */

enum config_role { ROLE_MX, ROLE_SUBMISSION };
enum config_tls { TLS_STARTTLS, TLS_IMPLICIT, TLS_OFF };

/* One listen block, expanded: "*" makes two. */
struct config_listen {
	char *text; /* as written, "*:25" */
	unsigned line;
	struct ipaddr addr;
	uint16_t port;
	enum config_role role;
	enum config_tls tls;
	struct smtp_config smtp;
};

/* A client block: what is different for a network. First match wins. */
struct config_client {
	struct ipnet net;
	bool normalize;
};

struct config {
	char *file;
	char *hostname;
	char *machine;      /* its name, if it had to be found at the start */
	char *user, *group; /* group NULL: the user's own */
	char *spool;
	bool spool_volatile;
	unsigned workers;
	unsigned threads;
	uint64_t drain; /* ms */
	char *failed;   /* Maildir for what expires */
	struct config_listen *listens;
	unsigned nlistens;
	struct config_client *clients;
	unsigned nclients;
	struct tls *tls;          /* NULL: no certificate */
	struct auth_options auth; /* owns its users; NULL: no AUTH */
	struct senders *senders;  /* NULL: no senders-file */
	struct deadline_config deadlines;
	struct limits_config limits;
	struct deliver_options deliver; /* owns its recipients */
	enum log_to log_to;
	enum log_format log_format;
	enum log_level log_level;
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

/* The command that makes the "user" or "group" of this name. Returns help. */
#define IDENTITY_HELP 160
const char *identity_make(const char *key, const char *name,
    char help[IDENTITY_HELP]);
#define IDENTITY_ROOT "it has root's rights: name one that has none"

/* Whether bare newlines are taken from this client, as line ends. */
bool config_normalize(const struct config *c, const struct ipaddr *client);

/* The effective configuration of a file, every key, for -n -v. */
void config_print(const struct config *c, FILE *f);

/* Every key as "section name type default help", tab-separated: for lint. */
void config_print_keys(FILE *f);

#endif
