/*
 * section: a section of the configuration is one file, section_NAME.c: the
 * rows of its keys, the struct that their values are stored in, and what they
 * mean. One line here adds it. The rows drive the parser, `smtpd -n -v`, and
 * the checks of the manual and of the example.
 */
#ifndef CONFIG_SECTION_H
#define CONFIG_SECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/fault.h"
#include "config/tree.h"

/* A type is a syntax and the C object that the value is stored in. */
enum config_type {
	KEY_TEXT,     /* char *: printable ASCII of min to max octets */
	KEY_HOST,     /* char *: a domain name */
	KEY_PATH,     /* char *: absolute */
	KEY_ADDRESS,  /* char *: local@domain */
	KEY_CHAR,     /* char: one printable character; "" is 0 */
	KEY_BOOL,     /* bool: yes or no */
	KEY_WORD,     /* unsigned: index into words */
	KEY_NUMBER,   /* unsigned */
	KEY_PERCENT,  /* unsigned */
	KEY_SIZE,     /* uint64_t, octets */
	KEY_DURATION, /* uint64_t, ms */
	KEY_RATE,     /* struct rate */
	KEY_LIST,     /* no object: the block keeps its items */
};

#define CONFIG_WORDS 4

struct config_key {
	const char *name;
	enum config_type type;
	size_t offset;   /* of the object in the section's struct */
	const char *def; /* in the syntax of the file; NULL: see doc */
	const char *doc; /* what the manual says is the default, if no def */
	uint64_t min, max;
	const char *words[CONFIG_WORDS];
	const char
	    *gone[2]; /* a word of earlier versions, and what it is now */
	const char *help;
};

/* For the rows. */
#define KIB    1024ull
#define MIB    (1024 * KIB)
#define TIB    (MIB << 20)
#define SECOND 1000ull
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)

#define ALL(member) offsetof(struct config_all, member)
#define KEYS(k)     .keys = (k), .nkeys = sizeof(k) / sizeof((k)[0])

struct config_section {
	const char *name;  /* "top" for what stands outside of any block */
	const char *title; /* what its title is; NULL: there is one block of
			      it, written or not */
	const char *help;
	const struct config_key *keys;
	unsigned nkeys;
	size_t size; /* of its struct; 0: its values are in config_all */
	bool vital;  /* all->whole says that no value in it is bad */

	/* What it does, in this order; NULL: nothing. */

	/* Once: adds the blocks with a title that nobody has to write. */
	void (*imply)(struct config_all *all);
	/*
	 * For each block, in the order of the file: makes of its values what
	 * the rest of the daemon reads. Every block has its values, and the
	 * sections above are built. Without a title only the first is: any
	 * more are errors.
	 */
	void (*build)(struct config_all *all, struct config_faults *f,
	    struct config_block *b);
	/* Once, when all are built: what takes the whole of it. */
	void (*check)(struct config_all *all, struct config_faults *f);
	/* For config_check(): what is no fault of the file. */
	void (*machine)(const struct config_all *all, struct config_faults *f);
};

/* In the order in which they are listed, and built. */
#define CONFIG_SECTIONS(SECTION)                                               \
	SECTION(top)                                                           \
	SECTION(listen)                                                        \
	SECTION(certificate)                                                   \
	SECTION(auth)                                                          \
	SECTION(route)                                                         \
	SECTION(domain)                                                        \
	SECTION(client)                                                        \
	SECTION(access)                                                        \
	SECTION(limits)                                                        \
	SECTION(milter)                                                        \
	SECTION(redis)                                                         \
	SECTION(checks)                                                        \
	SECTION(dnsbl)                                                         \
	SECTION(greylist)                                                      \
	SECTION(dns)                                                           \
	SECTION(journal)                                                       \
	SECTION(log)

#define SECTION(name) extern const struct config_section section_##name;
CONFIG_SECTIONS(SECTION)
#undef SECTION

/* All of them, and NULL. */
extern const struct config_section *const config_sections[];

/* NULL when there is none of that name. */
const struct config_section *config_section_find(struct span name);
const struct config_key *config_key_find(const struct config_section *s,
    struct span name);

/* Gives every block its values and calls what the sections do with them. */
void config_build(struct config_all *all, struct config_faults *f);

/* The tables of recipients, made when they are first asked for. */
struct recipients *config_tables(struct config_all *all);

/* The end of a sentence that says what is wrong with a value or a name. */
#define CONFIG_WHY_MAX 256

#endif
