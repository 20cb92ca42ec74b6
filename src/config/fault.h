/*
 * fault: what is wrong with a configuration: gathered while it is read, shown
 * in the order of the lines that somebody has to mend.
 */
#ifndef CONFIG_FAULT_H
#define CONFIG_FAULT_H

#include "base/arena.h"
#include "config/config.h"

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

/* why: NULL, or what is wrong with an item of this key; no secret is shown. */
struct config_item;
void config_fault_item(struct config_faults *f, const char *key,
    const struct config_item *item, const char *why);

/* b says what another block of its section says already. */
struct config_block;
void config_fault_twin(struct config_faults *f, const struct config_block *b,
    const struct config_block *other);

/* Calls fn for each, by file and line, frees them, and says what they are. */
enum config_status config_faults_show(struct config_faults *f);

#endif
