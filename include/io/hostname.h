/*
 * hostname: what this machine calls itself.
 */
#ifndef IO_HOSTNAME_H
#define IO_HOSTNAME_H

#include <stdbool.h>

#define HOSTNAME_MAX 255 /* octets */

/*
 * The machine's own name; "" when it has none. full: one without a dot is
 * looked up for the full one, which takes up to 3 s.
 */
void hostname_find(char name[HOSTNAME_MAX + 1], bool full);

#endif
