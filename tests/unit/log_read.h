/*
 * log_read: reads lines of the log back, strictly, for tests. A line that
 * is not exactly what include/io/log.h promises is LOG_READ_BAD.
 */
#ifndef TESTS_LOG_READ_H
#define TESTS_LOG_READ_H

#include <stddef.h>

#define LOG_READ_BAD ((unsigned)-1)

struct log_pair {
	char key[32];
	char value[4096]; /* escapes undone; NUL-terminated */
	size_t len;
};

/*
 * "level event key=value ...": the fields alone. \xHH is the octet; in JSON
 * \u00HH is. Numbers are read as their text.
 */
unsigned log_read_text(const char *line, struct log_pair *r, unsigned max);
/* {"level":...,"event":...,...}: likewise. */
unsigned log_read_json(const char *line, struct log_pair *r, unsigned max);

#endif
