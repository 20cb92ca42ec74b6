/*
 * utf8: is this well-formed UTF-8 (RFC 3629)? No overlong forms, no
 * surrogates, nothing above U+10FFFF. NUL is a character like another.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/buf.h"

int utf8_valid(struct span s);

#endif
