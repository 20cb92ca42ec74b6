/*
 * mem: memory for small things, or the end.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* Zeroed, for free(). Never NULL: without memory for n octets it aborts. */
void *mem_new(size_t n);

#endif
