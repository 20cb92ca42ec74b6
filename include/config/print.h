/*
 * print: the configuration in the syntax of its file.
 */
#ifndef CONFIG_PRINT_H
#define CONFIG_PRINT_H

#include <stdio.h>

#include "config/config.h"

/* The effective configuration of a file, every key, for -n -v. */
void config_print(const struct config *c, FILE *f);

/* A config_fault_fn whose ctx is a FILE: a line of a fault. */
void config_print_fault(void *f, bool warn, const char *file, unsigned line,
    const char *text);
/* Likewise, but no warnings. */
void config_print_error(void *f, bool warn, const char *file, unsigned line,
    const char *text);

/* Every key as "section name type default help", tab-separated: for lint. */
void config_print_keys(FILE *f);

#endif
