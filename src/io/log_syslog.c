/*
 * log_syslog: syslog(3), opened by its first line.
 */
#include "io/log_syslog.h"

#include <syslog.h>

void
log_syslog(int severity, const char *line, size_t n)
{
	static int opened;

	if (!opened) {
		openlog("smtpd", LOG_PID | LOG_NDELAY, LOG_MAIL);
		opened = 1;
	}
	syslog(severity, "%.*s", (int)n, line);
}
