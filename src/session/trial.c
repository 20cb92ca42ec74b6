/*
 * trial: what is known here of a session.
 */
#include "session/trial.h"

#include "session/session.h"

struct session *
trial_begin(struct sessions *all, const struct config_listen *l, int fd,
    const struct ipaddr *client)
{
	struct session *s = session_new(all, l, fd, NULL, 0);

	if (s)
		session_meet(s, client, 0);
	return s;
}

void
trial_log_in(struct session *s, const char *login)
{
	envelope_set_login(&s->env, login);
}

const struct envelope *
trial_envelope(const struct session *s)
{
	return &s->env;
}

void
trial_why(const struct session *s, struct buf *out)
{
	const struct session_why *why = &s->why;

	if (!why->check)
		return;
	buf_append_str(out, why->check);
	if (why->value)
		buf_printf(out, " %s", why->value);
	if (why->at.file)
		buf_printf(out, ", %s:%u", why->at.file, why->at.line);
	else
		buf_append_str(out, ", default");
}

void
trial_trail(const struct session *s, struct buf *out)
{
	if (s->door)
		door_trail(s->door, out);
}
