/*
 * auth_exchange: what an exchange is told, by whichever step or server; the
 * timer brings it to who asked.
 */
#include "policy/auth_exchange.h"
#include "io/clock.h"

void
auth_answer_by(struct auth_exchange *x, enum auth_result result, int64_t ms)
{
	x->result = result;
	loop_timer_set(x->timer, (uint64_t)ms);
}

void
auth_answer(struct auth_exchange *x, enum auth_result result)
{
	x->answered = true;
	auth_answer_by(x, result, result == AUTH_NO ? x->delay : 0);
}

void
auth_answer_malformed(struct auth_exchange *x, const char *text)
{
	x->text = text;
	auth_answer(x, AUTH_MALFORMED);
}

void
auth_answer_yes(struct auth_exchange *x)
{
	buf_append(&x->user, "", 1);
	x->user.len--;
	auth_answer(x, AUTH_YES);
}

void
auth_name(struct auth_exchange *x, struct span user)
{
	int64_t delay = auth_delay_login(&x->auth->delay, user, clock_now());

	x->named = true;
	if (x->delay < delay)
		x->delay = delay;
	buf_append_span(&x->user, user);
}

void
auth_challenge(struct auth_exchange *x, struct span data, auth_step_fn *next)
{
	x->data.len = 0;
	buf_append_span(&x->data, data);
	x->step = next;
	auth_answer(x, AUTH_CHALLENGE);
}
