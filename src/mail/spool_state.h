/*
 * spool_state: what a spool is, for those who gather it and who edit it.
 * mail/spool's own.
 */
#ifndef MAIL_SPOOL_STATE_H
#define MAIL_SPOOL_STATE_H

#include "mail/spool.h"

struct spool_file {
	int dirfd;
	int fd; /* -1 until the first job has opened it */
	unsigned refs;
};

/* Each job begins with it. */
struct spool_job {
	struct job job;
	struct spool *spool; /* NULL: it was freed meanwhile */
};

struct spool {
	struct spool_options o;
	struct spool_file *file; /* NULL: all in memory so far */
	struct buf block;        /* gathering */
	uint64_t from;           /* octets of head in the file */
	uint64_t filed;          /* octets given to jobs, with head */
	uint64_t wire;           /* of what it holds, with CRLF */
	struct spool_job *work;  /* under way, or NULL */
	uint64_t work_id;        /* its id */
	void (*room)(void *);
	void *room_ctx;
	void (*ready)(void *);
	void *ready_ctx;
	int error;
	bool inside;  /* of a line */
	bool cr;      /* the last octet was a CR, not stored yet */
	bool refused; /* spool_write() said false */
	bool finished;
};

struct spool_file *spool_file_new(int dirfd);
void spool_file_release(struct spool_file *f);

/* On a thread: 0, or errno. */
int spool_file_open(struct spool_file *f);

/* Octets that these have with CRLF at the end of each line. */
uint64_t spool_octets(struct span lines);

/* Nothing that it holds is worth anything. */
void spool_fail(struct spool *s, int error);

#endif
