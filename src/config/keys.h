/*
 * config_keys: the one table of every key: section, name, type, default,
 * range and help. It drives the parser, `smtpd -n -v`, and the checks of
 * the manual and of the example.
 */
#ifndef CONFIG_KEYS_H
#define CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"

/* A type is a syntax and the C object that the value is stored in. */
enum config_type {
	KEY_TEXT,     /* char *: printable ASCII of min to max octets */
	KEY_HOST,     /* char *: a domain name */
	KEY_PATH,     /* char *: absolute */
	KEY_DELIVER,  /* char *: "maildir:" and an absolute path */
	KEY_ADDRESS,  /* char *: local@domain */
	KEY_CHAR,     /* char: one printable character; "" is 0 */
	KEY_BOOL,     /* bool: yes or no */
	KEY_WORD,     /* unsigned: index into words */
	KEY_NUMBER,   /* unsigned */
	KEY_PERCENT,  /* unsigned */
	KEY_SIZE,     /* uint64_t, octets */
	KEY_DURATION, /* uint64_t, ms */
	KEY_LIST,     /* no object: the block keeps its items */
};

#define CONFIG_WORDS 4

struct config_key {
	const char *name;
	enum config_type type;
	const char *def; /* in the syntax of the file; NULL: see doc */
	const char *doc; /* what the manual says is the default, if no def */
	uint64_t min, max;
	const char *words[CONFIG_WORDS];
	const char
	    *gone[2];  /* a word of earlier versions, and what it is now */
	size_t offset; /* of the object in the section's struct */
	const char *help;
};

struct config_section {
	const char *name;  /* "top" for what stands outside of any block */
	const char *title; /* what its title is; NULL: it has none */
	size_t size;       /* of its struct; 0: it is part of config_all */
	const struct config_key *keys;
	unsigned nkeys;
	const char *help;
};

enum config_section_id {
	SECTION_TOP,
	SECTION_LISTEN,
	SECTION_CERTIFICATE,
	SECTION_AUTH,
	SECTION_DOMAIN,
	SECTION_CLIENT,
	SECTION_LIMITS,
	SECTION_JOURNAL,
	SECTION_LOG,
	SECTIONS
};

extern const struct config_section config_sections[SECTIONS];

/* Two of its parts, of a file of their own. */
#define CONFIG_LIMITS_KEYS  9
#define CONFIG_JOURNAL_KEYS 7
extern const struct config_key config_limits_keys[CONFIG_LIMITS_KEYS];
extern const struct config_key config_journal_keys[CONFIG_JOURNAL_KEYS];

/* NULL when there is none of that name. */
const struct config_section *config_section_find(struct span name);
const struct config_key *config_key_find(const struct config_section *s,
    struct span name);

/*
 * Why there is no such key (or block, with '{' in key or not) and what to
 * write instead, as the end of a sentence; NUL-terminated in why.
 */
#define CONFIG_WHY_MAX 256
void config_key_unknown(const struct config_section *s, struct span name,
    bool block, char why[CONFIG_WHY_MAX]);

/*
 * Stores text in the struct at data. cwd: what a relative path is put
 * behind; NULL: relative paths are refused. Strings go into the arena. 0, or
 * -1 and why not, as the end of a sentence that begins with the value.
 */
int config_value_set(const struct config_key *k, void *data, const char *text,
    const char *cwd, struct arena *arena, char why[CONFIG_WHY_MAX]);

/*
 * Appends the value in the syntax of the file; false, and nothing, when it
 * is not set. Not for lists.
 */
bool config_value_format(const struct config_key *k, const void *data,
    struct buf *out);

/* Appends text in double quotes, so that it reads back as it is. */
void config_quote(const char *text, struct buf *out);

#endif
