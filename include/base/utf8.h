/*
 * utf8: is this well-formed UTF-8 (RFC 3629)? No overlong forms, no
 * surrogates, nothing above U+10FFFF. NUL is a character like another.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdint.h>

#include "base/buf.h"

int utf8_valid(struct span s);

/* Octets of the character that s begins with, which is in *r then; or 0. */
size_t utf8_decode(struct span s, uint32_t *r);

/*
 * The octets of the character above U+007F that s begins with. 0: there is no
 * well-formed one, or it steers how a line is shown: a C1 control, a line or
 * paragraph separator, a mark of direction.
 */
size_t utf8_char(struct span s);

/* Well-formed, and all of it above U+007F has a utf8_char(). */
int utf8_shows(struct span s);

#endif
