/*
 * held_try: one file of held mail, read and delivered.
 */
#ifndef DELIVER_HELD_TRY_H
#define DELIVER_HELD_TRY_H

#include "deliver/held_pass.h"

/*
 * Blocks: fills f from its file, or what of it has changed since. 0, also when
 * it is gone and so not `seen`; or -1 with errno.
 */
int held_try_look(struct held_pass *p, struct held_file *f);

/*
 * Blocks: tries the mailboxes that are not in failing, and adds to it, unless
 * another worker is at it or has just been. True: the file is gone, because
 * all is delivered or in `failed`.
 */
bool held_try(struct held_pass *p, struct held_file *f,
    struct held_box **failing);

#endif
