/*
 * auth_turn: two messages of an address are looked at at once; some more
 * wait in the order of coming, and for the rest it is too many.
 *
 * A turn begins with a message and ends when its answer is told, so a late no
 * keeps it for as long. Whoever is challenged has none: he may take his time,
 * and holds up nobody behind the same address.
 */
#include <stdlib.h>
#include <utlist.h>

#include "base/mem.h"
#include "base/siphash.h"
#include "policy/auth_exchange.h"

#define AT_ONCE     2
#define WAITING_MAX 16

static struct auth_client **
list_of(struct auth *a, const struct ipaddr *net)
{
	uint64_t hash = siphash(a->delay.addresses.hash_key, net, sizeof(*net));

	return &a->clients[hash % AUTH_CLIENT_LISTS];
}

static struct auth_client *
client_of(struct auth *a, const struct ipaddr *address)
{
	struct ipaddr net = ipaddr_client_net(address);
	struct auth_client **list = list_of(a, &net), *c = *list;

	while (c && !ipaddr_equal(&c->net, &net))
		c = c->next;
	if (c)
		return c;
	c = mem_new(sizeof(*c));
	c->net = net;
	LL_PREPEND(*list, c);
	return c;
}

static void
wait_for_turn(struct auth_exchange *x, struct span message)
{
	x->waiting = true;
	x->client->waits++;
	DL_APPEND(x->client->waiting, x);
	x->has_message = message.ptr != NULL;
	buf_reserve(&x->message, message.len);
	buf_append_span(&x->message, message);
}

void
auth_turn_take(struct auth_exchange *x, struct span message)
{
	struct auth_client *c = client_of(x->auth, &x->channel.client);

	x->client = c;
	if (c->busy < AT_ONCE) {
		c->busy++;
		x->step(x, message);
	} else if (c->waits < WAITING_MAX) {
		wait_for_turn(x, message);
	} else {
		x->client = NULL;
		auth_answer(x, AUTH_BUSY);
	}
}

static void
leave_line(struct auth_exchange *x)
{
	x->waiting = false;
	x->client->waits--;
	DL_DELETE(x->client->waiting, x);
}

static void
next_turn(struct auth_client *c)
{
	struct auth_exchange *x = c->waiting;
	struct span message = {NULL, 0};

	leave_line(x);
	if (x->has_message)
		message = x->message.len ? buf_span(&x->message) : SPAN_LIT("");
	c->busy++;
	x->step(x, message);
	buf_wipe(&x->message);
}

void
auth_turn_end(struct auth_exchange *x)
{
	struct auth_client *c = x->client;

	if (!c)
		return;
	if (x->waiting)
		leave_line(x);
	else
		c->busy--;
	x->client = NULL;
	if (c->waiting && c->busy < AT_ONCE)
		next_turn(c);
	if (c->busy)
		return;
	LL_DELETE(*list_of(x->auth, &c->net), c);
	free(c);
}
