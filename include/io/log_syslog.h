/*
 * log_syslog: the one file that includes <syslog.h>, whose macros have the
 * names of our levels.
 */
#ifndef IO_LOG_SYSLOG_H
#define IO_LOG_SYSLOG_H

#include <stddef.h>

/* severity: 3 (error) to 7 (debug), as in RFC 5424; facility mail. */
void log_syslog(int severity, const char *line, size_t n);

#endif
