/*
 * why: lines of the log that somebody may ask for later, in two files of
 * spool/why/: when one is full the other is emptied and taken. A file is the
 * slot's: workers that come and go there append to the same two.
 */
#ifndef IO_WHY_H
#define IO_WHY_H

#include <stdint.h>

#include "base/buf.h"

struct why;

/* What the last part of a file's name may be: "0.a". */
#define WHY_HALVES "ab"

/*
 * Below this spool, where why/ is made. octets: of all slots together. Slot 0
 * removes the files of slots that are beyond; with 0 octets all of them, and
 * NULL is no error then: errno is 0. Whatever else lies in a file's place is
 * removed, and neither opened nor followed.
 */
struct why *why_open(const char *spool, unsigned slot, unsigned slots,
    uint64_t octets);
void why_free(struct why **w);

/*
 * A line with its newline; one longer than half a file is left out.
 * By the thread that opened it alone. 0, or -1 with errno, and it is lost.
 */
int why_put(struct why *w, struct span line);

#endif
