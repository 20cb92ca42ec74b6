/*
 * log_sink: the buffer between those who log and whoever reads the log. Of
 * the log alone; see io/log.h.
 */
#ifndef IO_LOG_SINK_H
#define IO_LOG_SINK_H

#include <stdint.h>

#include "base/buf.h"
#include "io/log.h"

/* No line is longer, with its newline: PIPE_BUF, so that it stays whole. */
#define LOG_LINE_MAX 4096

/*
 * What waits for the former place goes there first, as far as it can. lost:
 * renders the line that says how many are lost.
 */
void log_sink_open(enum log_to to,
    void (*lost)(struct buf *line, uint64_t lines));

/*
 * An empty buf to render a line into, with its newline. log_sink_put() must
 * follow: it takes the line, or counts it as lost.
 */
struct buf *log_sink_line(void);
void log_sink_put(void);

#endif
