/*
 * mem: the check that nobody else has to make.
 */
#include "base/mem.h"

#include <stdlib.h>

void *
mem_new(size_t n)
{
	void *p = calloc(1, n);

	if (!p)
		abort();
	return p;
}
