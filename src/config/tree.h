/*
 * config_tree: what the files of this room share: the blocks of a file as they
 * are written, the structs that their values are stored in, and the faults.
 */
#ifndef CONFIG_TREE_H
#define CONFIG_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "config/config.h"
#include "config/keys.h"

/* The largest file that is read; 16 MiB are half a million users. */
#define CONFIG_FILE_MAX (16u << 20)

/* One value and where it stands. Strings are in the arena. */
struct config_item {
	const char *text;
	const char *file;
	unsigned line;
};

struct config_list {
	struct config_item *items;
	unsigned n, cap;
};

/* One block as written, or one that is there without being written. */
struct config_block {
	const struct config_section *section;
	const char *title;
	const char *file; /* NULL: not written */
	unsigned line;
	struct config_list *values; /* one per key of the section */
	void *data;                 /* the section's struct */
	struct config_block *next;
};

/* data of a listen block */
struct config_listen_block {
	char *hostname, *greeting;
	enum config_role role;
	enum config_tls tls;
};

/* data of a certificate block */
struct config_certificate_block {
	char *chain, *key;
	const char *key_type; /* NULL until it is known to be good */
};

/* data of a domain block */
struct config_domain_block {
	char *users_file, *users_from, *catch_all, *aliases_file, *deliver;
	uint64_t message_size; /* 0: none of its own */
	const char *key; /* of the title, as idn_key() makes it; or NULL */
	struct mail_domain *domain;
	struct config_list aliases; /* of the file */
};

/* data of a client block */
struct config_client_block {
	unsigned bare_newline; /* 0 reject, 1 normalize */
};

/* What config_load() hands out is the first member of this. */
struct config_all {
	struct config pub;
	struct arena arena; /* every string and block */
	struct config_block *blocks, **blocks_end;
	struct config_block *top; /* the first block */
	bool builtin;
	bool whole; /* nothing is missing for an error in the file */
	char *cwd;  /* for relative paths; NULL: refuse them */
	bool failed_by_default; /* below the spool */
	char *greeting, *postmaster;
	char *password_file, *dovecot, *senders_file;
	uint64_t message_size, line;
	unsigned recipients, errors;
	char delimiter;
	unsigned keep_case; /* 0 fold, 1 keep */
};

struct config_fault;

struct config_faults {
	config_fault_fn *fn;
	void *ctx;
	const char *main; /* the file whose faults come first */
	unsigned errors, warnings;
	struct config_fault *list; /* as many as these are */
	struct arena arena;
};

void config_error(struct config_faults *f, const char *file, unsigned line,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void config_warn(struct config_faults *f, const char *file, unsigned line,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Calls fn for each, by file and line, and forgets them. */
void config_faults_show(struct config_faults *f);

/* A new block at the end of all->blocks; title and file must last. */
struct config_block *config_block_add(struct config_all *all,
    const struct config_section *s, const char *title, const char *file,
    unsigned line);
struct config_list *config_block_list(struct config_block *b,
    const struct config_key *k);
/* Where the key is set; where the block is when it is not. */
struct config_item config_where(const struct config_block *b, const char *key);
void config_list_add(struct arena *a, struct config_list *l,
    struct config_item item);

/*
 * Appends a whole file, without a byte order mark at its start. 0, or -1 with
 * errno; EFBIG over CONFIG_FILE_MAX.
 */
int config_read(const char *path, struct buf *out);
/*
 * The same for a file that the value at *at names; when it cannot be read, an
 * error there says which, why, and what to do about it.
 */
int config_read_named(const struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path, struct buf *out);

/* A warning at *at if others can read this file, or write it. */
void config_check_secret(const struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path);

/*
 * Adds every line of a file but the empty ones and those that begin with #.
 * at: where the file is named, for the fault when it cannot be read.
 */
void config_read_lines(struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path, struct config_list *out);

/*
 * Looks at a text before libconfuse does: refuses what that would misread
 * and reports every unknown key. Comments and what is unknown are blanked in
 * place; text[len] is NUL.
 */
enum config_scanned {
	SCAN_GOOD,
	SCAN_UNKNOWN, /* something was blanked that is not a comment */
	SCAN_BAD,     /* not for libconfuse */
};
enum config_scanned config_scan(struct config_faults *f, const char *file,
    char *text, size_t len);

/*
 * A file into blocks, with the files that it includes; all->top is there
 * and all->whole says whether all of it was understood. text is changed; a
 * NUL is behind it.
 */
void config_parse(struct config_all *all, struct config_faults *f,
    const char *file, char *text, size_t len);

/* Gives every block its struct, filled from defaults and values. */
void config_build(struct config_all *all, struct config_faults *f,
    const struct config *old);
void config_build_hostname(struct config_all *all, struct config_faults *f,
    const struct config *old);
/* pub.tls from the certificate blocks; before the listens. */
void config_build_certificates(struct config_all *all, struct config_faults *f);
/* pub.auth and pub.senders from the auth block; before the listens. */
void config_build_auth(struct config_all *all, struct config_faults *f);
/* pub.listens from the listen blocks. */
void config_build_listens(struct config_all *all, struct config_faults *f);
/* pub.deliver.recipients from the domain blocks. */
void config_build_domains(struct config_all *all, struct config_faults *f);

#endif
