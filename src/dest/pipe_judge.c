/*
 * pipe_judge: exit codes of sysexits.h and of qmail, as replies.
 *
 * Only those that speak of the mail refuse it. Whatever else a program ends
 * with may be its own fault, and nobody's mail is to bounce for that.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/ascii.h"
#include "dest/pipe.h"

#define TEXT_MAX 200

static const struct smtp_reply
    broken = {451, "4.3.5",
	"The program for this address is not set up as it should be"},
    later = {451, "4.3.0",
	"The program for this address did not take the message"},
    lost = {451, "4.4.2", "No answer to the end of the message"},
    malformed = {550, "5.6.0", "The message is malformed"},
    no_host = {550, "5.1.2", "There is no such host"},
    no_user = {550, "5.1.1", "There is no such user"},
    not_permitted = {550, "5.7.1", "This is not permitted"},
    refused = {550, "5.3.0", "The message was refused"};

static const struct row {
	int status;
	enum fate fate;
	const struct smtp_reply *reply;
} rows[] = {
    {0, FATE_TAKEN, NULL},
    {64, FATE_DOWN, &broken},
    {65, FATE_REFUSED, &malformed},
    {66, FATE_REFUSED, &refused},
    {67, FATE_REFUSED, &no_user},
    {68, FATE_REFUSED, &no_host},
    {69, FATE_REFUSED, &refused},
    {70, FATE_DOWN, &broken},
    {72, FATE_DOWN, &broken},
    {76, FATE_REFUSED, &refused},
    {77, FATE_REFUSED, &not_permitted},
    {78, FATE_DOWN, &broken},
    {99, FATE_TAKEN, NULL}, /* qmail: and nobody else is asked */
    {100, FATE_REFUSED, &refused},
    {112, FATE_REFUSED, &refused},
};

/* Of any other status, and of other ends. */
static const struct row row_later = {0, FATE_AGAIN, &later};
static const struct row row_down = {0, FATE_DOWN, &broken};
static const struct row row_lost = {0, FATE_LOST, &lost};

/* The line, without its end, and without what is before the first of its
 * octets that can be seen. */
static struct span
first_line(struct span s)
{
	const char *end;

	while (s.len && (s.ptr[0] <= ' ' || s.ptr[0] > '~'))
		span_skip(&s, 1);
	end = s.len ? memchr(s.ptr, '\n', s.len) : NULL;
	if (end)
		s.len = (size_t)(end - s.ptr);
	while (s.len && (unsigned char)s.ptr[s.len - 1] <= ' ')
		s.len--;
	if (s.len > TEXT_MAX)
		s.len = TEXT_MAX;
	return s;
}

static const struct smtp_reply *
in_its_words(const struct smtp_reply *r, struct span output, struct arena *a)
{
	struct span line = first_line(output);
	struct smtp_reply *own;
	char *text;

	if (!line.len)
		return r;
	text = arena_dup(a, line);
	ascii_mask(text, line.len);
	own = arena_alloc(a, sizeof(*own));
	*own = (struct smtp_reply){r->code, r->status, text};
	return own;
}

static const struct row *
find(int status)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].status == status)
			return &rows[i];
	return &row_later;
}

static const struct row *
find_end(const struct runner_end *end)
{
	switch (end->how) {
	case RUNNER_EXITED:
		return WIFEXITED(end->status) ? find(WEXITSTATUS(end->status))
					      : &row_later;
	case RUNNER_NO_PROGRAM:
		return &row_down;
	case RUNNER_LOST:
		return &row_lost;
	case RUNNER_TIMEOUT:
	case RUNNER_NOT_STARTED:
		break;
	}
	return &row_later;
}

enum fate
pipe_judge(const struct runner_end *end, struct arena *a,
    const struct smtp_reply **reply)
{
	const struct row *r = find_end(end);

	*reply = r->fate == FATE_REFUSED
		     ? in_its_words(r->reply, end->output, a)
		     : r->reply;
	return r->fate;
}

const char *
pipe_status(const struct runner_end *end, char out[PIPE_STATUS_MAX])
{
	static const char *const names[] = {
	    [RUNNER_TIMEOUT] = "timeout",
	    [RUNNER_NO_PROGRAM] = "not executed",
	    [RUNNER_NOT_STARTED] = "not started",
	    [RUNNER_LOST] = "lost",
	};

	if (end->how != RUNNER_EXITED)
		return names[end->how];
	if (WIFEXITED(end->status))
		snprintf(out, PIPE_STATUS_MAX, "exit %d",
		    WEXITSTATUS(end->status));
	else
		snprintf(out, PIPE_STATUS_MAX, "signal %d",
		    WTERMSIG(end->status));
	return out;
}
