/*
 * attempts: which record of a journal was being read back when its reader
 * ended, and how often it was that one.
 *
 * Readers are killed for many reasons, and then nothing of it is the
 * journal's fault; a record that ends three of them is. What is noted need
 * not be synced: it is there for the next process, not for after a power cut.
 */
#ifndef JOURNAL_ATTEMPTS_H
#define JOURNAL_ATTEMPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "journal/segment.h"

#define ATTEMPTS_MAX 3

struct attempts {
	int fd; /* -1: nothing can be noted, and so nothing is left out */
	char name[SEGMENT_NAME_MAX]; /* where the last reader ended */
	uint64_t offset;
	unsigned count;
};

/* dir: of the journal. 0, or -1 with errno of full_open(). */
int attempts_open(struct attempts *a, int dir);
void attempts_close(struct attempts *a);

/* This record is next. False: it ended ATTEMPTS_MAX readers, leave it out. */
bool attempts_begin(struct attempts *a, const char *name, uint64_t offset);
/* No record is being read now: an end here is nobody's fault. */
void attempts_rest(struct attempts *a);

#endif
