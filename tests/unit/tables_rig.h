/*
 * tables_rig: the tables of one domain, example.org, and where addresses lead
 * in them.
 */
#ifndef TABLES_RIG_H
#define TABLES_RIG_H

#include "rcpt/recipients.h"

extern struct recipients *r;
extern struct mail_domain *org; /* example.org */
extern struct targets *list;    /* what resolve() has found so far */
extern struct ipaddr server;    /* that the client is connected to */

/* In place of those that there were; template: of a Maildir. */
void tables_new(bool fold, char delimiter, const char *template);
/* A fixture for cmocka. */
int tables_free(void **state);

/* Of example.org. */
void user(const char *name);
void alias(const char *line);

struct smtp_path parse(const char *address);
/* Merges what was found; a look must say the same, or that it is not sure. */
enum rcpt_result resolve(const char *address);
/* Is a look not sure? */
bool live(const char *address);

/* The list, as "path path"; and it is emptied. */
void assert_targets(const char *expected);
/* Both, of one address. */
void assert_goes(const char *address, const char *expected);
void assert_result(const char *address, enum rcpt_result expected);

#endif
