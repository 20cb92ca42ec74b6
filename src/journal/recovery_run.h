/*
 * recovery_run: one journal, on a thread.
 */
#ifndef JOURNAL_RECOVERY_RUN_H
#define JOURNAL_RECOVERY_RUN_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/buf.h"
#include "journal/journal.h"
#include "journal/journal_dir.h"
#include "journal/record.h"

struct recovery_from {
	struct crc32c crc;
	int root, damaged; /* in the spool */
	struct journal_owner owner;
};

struct recovery_result {
	char name[IDENT_LEN + 1]; /* "": there was none */
	struct redo_count count;
	bool torn; /* the end of one of its segments, and so never answered */
	unsigned left_out; /* and so the journal is in quarantine */
	int error;
	struct buf aside; /* strings: what lay there and was none of ours */
};

/*
 * Blocks: adopts one journal but skip, if there is one, and reads it back.
 * ECANCELED in the result: it was stopped on the way. The caller frees aside.
 */
void recovery_run(const struct recovery_from *f, const char *skip,
    const atomic_bool *stop, struct recovery_result *x);

/*
 * Blocks: the version that a journal says it is, the highest of its segments;
 * 0 when it has none that says so.
 */
uint32_t recovery_version(const struct recovery_from *f, const char *name);

#endif
