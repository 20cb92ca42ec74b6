/*
 * hash: the tables of uthash, which abort without memory, as all else here.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdlib.h>

#define uthash_fatal(text) abort()
#include <uthash.h>

#endif
