/*
 * held_file: one file in held/, both ways, and how it was tried.
 *
 * It is a segment with one record: the copies that are still to be delivered,
 * all into mailboxes or all to one route. A body that has a file lies beside
 * it, as NAME.body. Behind the record, at the next multiple of 512, stands a
 * block of 512 octets:
 *
 *	  0  attempts 8, age in ms 8, when the last attempt was 8 (ms of
 *	     CLOCK_BOOTTIME), errno 8, all little-endian
 *	 32  the reason in words, ended by a NUL; of a route what it said
 *
 * It is written over in place and never synced: a lost one only makes a
 * message wait longer. A file that ends before it has one of zeros. The wall
 * clock has no part in it: a machine whose clock jumps gives up no mail. A sync
 * that failed is told by the mode of the file, 0700.
 */
#ifndef DELIVER_HELD_FILE_H
#define DELIVER_HELD_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/crc32c.h"
#include "deliver/roots.h"
#include "mail/message.h"

#define HELD_BLOCK 512
#define HELD_BODY  ".body"
/* A file whose mtime says: look at all of them anew, and try what is due. */
#define HELD_NOW ".now"

/* Is it a record's name: no body's, and not of one that is half made? */
bool held_name_is_record(const char *name);

/* --- how it was tried --- */

#define HELD_AGE_MAX (INT64_MAX / 4) /* by hand: it is given up, untried */

struct held_block {
	uint64_t attempts;
	int64_t age;  /* ms, as of the last attempt; never above HELD_AGE_MAX */
	int64_t last; /* 0: it was never tried, or is to be tried now */
	int error;    /* of the last attempt; 0: nobody knows */
	bool doubt;   /* what was placed is to be written anew */
};

/* Blocks: zeros where there is none, or what no clock ever said. */
struct held_block held_block_read(int fd, uint64_t at);
/* Blocks: all but doubt; reason: NULL: of its error. 0, or -1 with errno. */
int held_block_write(int fd, uint64_t at, const struct held_block *b,
    const char *reason);
/* Blocks: one line, in whatever octets; "" where there is none. */
#define HELD_REASON_MAX (HELD_BLOCK - 32)
void held_block_reason(int fd, uint64_t at, char reason[HELD_REASON_MAX]);

/* now is clock_boot(), for all below. How long it has waited by now. */
int64_t held_block_age(const struct held_block *b, int64_t now);
/* ms until it is time for the next attempt; 0: it is. */
int64_t held_block_wait(const struct held_block *b, int64_t now);
/* Is it time to try, or to give up, because it has waited for expire ms? */
bool held_block_is_due(const struct held_block *b, int64_t now,
    uint64_t expire);
/* It is being tried now. */
void held_block_count(struct held_block *b, int64_t now);

/* --- the file --- */

struct held_file {
	int fd;
	struct stat st;
	struct message m; /* without a link to its body's file */
	const char *body; /* the name of that, "" for none */
	uint64_t block_at;
	struct roots roots; /* of its copies */
	char *all;
};

/*
 * Blocks: writes the copies of m that have an error. The same copies have the
 * same file, so that doing it again is harmless. doubt: a sync has failed that
 * was about them. b: how they were tried until now; NULL: as the file says that
 * is there, and once more, a moment ago. 0 when it is on disk, or -1 with
 * errno.
 */
int held_file_write(const struct crc32c *c, int held, const struct message *m,
    bool doubt, const struct held_block *b);
/*
 * The same for the file of this name, which has other copies too and keeps its
 * name: in a crash there is the old one or the new one, never both. After an
 * error it is one of the two as well.
 */
int held_file_rewrite(const struct crc32c *c, int held, const char *name,
    const struct message *m, const struct held_block *b);

/* Its name there, at first; the same for the same copies of the same message.
 */
#define HELD_NAME_MAX (MESSAGE_ID_MAX + 16)
void held_file_name(const struct crc32c *c, const struct message *m,
    char name[HELD_NAME_MAX]);

/*
 * Blocks. 0, or -1 with errno: ENOENT, EMEDIUMTYPE: no file of ours, EBADMSG:
 * damaged, or without its body, EPROTO: a newer version's.
 */
int held_file_open(struct held_file *f, const struct crc32c *c, int held,
    const char *name, unsigned reserve);
/* The same for who places nothing: no root is opened, and so none hangs. */
int held_file_look(struct held_file *f, const struct crc32c *c, int held,
    const char *name);
/*
 * Until fd is closed nobody else works on this file: 0, or -1 with errno:
 * EBUSY: somebody does, or another file has the name by now.
 */
int held_file_lock(int fd, int held, const char *name);
/*
 * Blocks: a sync has failed that was about its copies, and no later one says
 * so. On disk; or -1 with errno.
 */
int held_file_doubt(const struct held_file *f);
/* place_message() of one copy. */
void held_file_place(struct held_file *f, struct message_copy *c,
    enum place_how how);
/* Into the Maildir of this path, with the reason on top: 0, and it is on disk;
 * or errno. *c stays as it is. */
int held_file_fail(struct held_file *f, const struct message_copy *c,
    const char *failed, const char *reason);
/* Nobody needs it any more: its name and its body's are gone, but not synced.
 */
void held_file_remove(const struct held_file *f, int held, const char *name);
/* errno is kept. */
void held_file_close(struct held_file *f);

#endif
