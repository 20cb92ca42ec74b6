/*
 * template: "/var/mail/%d/%u/.%t" taken apart once and filled in for each
 * recipient.
 *
 * A value is put in once and never looked at again, so that a user named
 * "%d" stays just that; and no value, nor the component it becomes a part
 * of, can lead anywhere but one step down.
 */
#ifndef RCPT_TEMPLATE_H
#define RCPT_TEMPLATE_H

#include <stdbool.h>

#include "base/arena.h"

struct template
{
	const char *root; /* before the first %, cut back to a slash */
	const char *rel;  /* what follows, with its %; "." when nothing does */
	const char *base; /* rel without the component that has %t, or "." */
	bool user;        /* has %u */
	bool domain;      /* has %d */
	bool detail;      /* has %t */
};

/* NULL, or a constant text that says what is wrong. */
const char *template_parse(const char *text, struct arena *a,
    struct template *t);

/* What %u, %d and %t stand for; detail NULL leaves its component out. */
struct template_values {
	const char *user, *domain, *detail;
};

/* The path below the root; NULL when a value cannot be part of one. */
const char *template_fill(const struct template *t,
    const struct template_values *v, struct arena *a);

#endif
