/*
 * idn: the one form in which domain names are compared: ASCII in lower case,
 * where labels beyond ASCII are A-labels (IDNA2008 after the mapping of
 * UTS 46, non-transitional). So capitals, decomposed letters and xn-- are one
 * domain. Names in ASCII never meet the library: they are only folded.
 */
#ifndef IO_IDN_H
#define IO_IDN_H

#include <stdbool.h>

#include "base/buf.h"

#define IDN_MAX 255 /* octets of a name, in either form */

/*
 * 0, or -1: what is no domain in IDNA2008, or is longer than IDN_MAX; then
 * it equals no other. Anything in ASCII is good: no syntax is checked.
 */
int idn_key(struct span name, char key[IDN_MAX + 1]);

/* Are these one domain? */
bool idn_equal(struct span a, struct span b);

#endif
