/*
 * envelope: the lifetimes of what a session knows about its sender.
 */
#include "proto/envelope.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"

void
envelope_message_id(const struct envelope *e, char out[MESSAGE_ID_MAX])
{
	size_t n = strlen(e->session);

	memcpy(out, e->session, n);
	out[n] = '.';
	*ascii_put_uint(out + n + 1, e->serial, ascii_uint_len(e->serial)) =
	    '\0';
}

static char *
copy(struct span s)
{
	char *r = malloc(s.len + 1);

	if (!r)
		abort();
	memcpy(r, s.ptr, s.len);
	r[s.len] = '\0';
	return r;
}

void
envelope_set_helo(struct envelope *e, struct span name, bool esmtp)
{
	free(e->helo);
	e->helo = copy(name);
	e->esmtp = esmtp;
}

void
envelope_set_login(struct envelope *e, const char *login)
{
	free(e->login);
	e->login = copy(span_str(login));
}

void
envelope_add_rcpt(struct envelope *e, const struct smtp_path *path)
{
	struct envelope_rcpt *r = arena_alloc(&e->arena, sizeof(*r));

	r->path = *path;
	if (!e->rcpts_end)
		e->rcpts_end = &e->rcpts;
	*e->rcpts_end = r;
	e->rcpts_end = &r->next;
	e->nrcpts++;
}

void
envelope_reset(struct envelope *e)
{
	arena_reset(&e->arena);
	e->sender = (struct smtp_path){0};
	e->size = 0;
	e->eightbit = e->utf8 = false;
	e->nrcpts = 0;
	e->rcpts = NULL;
	e->rcpts_end = NULL;
	e->targets = NULL;
	e->above = (struct span){NULL, 0};
}

void
envelope_free(struct envelope *e)
{
	envelope_reset(e);
	free(e->helo);
	free(e->login);
	e->helo = e->login = NULL;
}
