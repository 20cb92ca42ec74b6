/*
 * carry_dial: from the first address to one that is READY. Each is greeted
 * before it counts, and fails by itself.
 */
#include <errno.h>

#include "dest/carry_state.h"
#include "io/clock.h"
#include "io/tls_client.h"

#define CONNECT      5000  /* ms for an address */
#define CONNECT_LAST 10000 /* and for the last of them */

void
carry_start_tls(struct carry *y)
{
	const struct route_place *to = y->places[y->at].to;
	bool strict = to->tls || y->route->tls == ROUTE_TLS_REQUIRED;
	const struct tls_client *c = strict ? y->route->strict : y->route->lax;

	y->shaking = true;
	if (!c || !stream_start_tls_client(&y->stream, c, to->host))
		carry_no_tls(y, "no TLS");
}

/* AUTH is for whom we verify, or for this machine. */
static void
set_options(struct carry *y)
{
	const struct route *r = y->route;
	const struct route_place *to = y->places[y->at].to;
	bool strict = to->tls || r->tls == ROUTE_TLS_REQUIRED;

	y->options = (struct client_options){.lmtp = y->lmtp,
	    .helo = y->s->hostname,
	    .implicit = to->tls,
	    .login = strict || to->local ? r->login : NULL,
	    .secret = r->secret,
	    .may_log_in = to->local};
	if (to->tls || y->clear || to->path || r->tls == ROUTE_TLS_OFF)
		y->options.tls = CLIENT_TLS_OFF;
	else
		y->options.tls =
		    strict ? CLIENT_TLS_REQUIRED : CLIENT_TLS_OFFERED;
}

static void
mark(struct carry *y)
{
	addresses_mark(y->addresses, &y->places[y->at++], clock_now());
}

static void
on_dial(void *ctx, int fd, int err, unsigned which)
{
	struct carry *y = ctx;
	unsigned n = fd < 0 ? y->dialled : which;

	y->dialling = NULL;
	while (n--)
		mark(y);
	if (fd < 0) {
		y->at--;
		carry_lose(y,
		    err == ETIMEDOUT ? NEIGHBOUR_SILENT
				     : NEIGHBOUR_NO_CONNECTION,
		    NULL, err);
		carry_tell(y);
		return;
	}
	stream_init(&y->stream, y->s->pool, fd, carry_on_stream, y);
	set_options(y);
	client_init(&y->client, &y->options);
	y->limit = 0;
	y->deaf = y->shaking = false;
	if (y->options.implicit)
		carry_start_tls(y);
	if (y->stream.fd >= 0)
		carry_wait(y);
	if (y->state == CARRY_GONE)
		carry_tell(y);
}

void
carry_dial(struct carry *y, unsigned n)
{
	struct dial_place places[ADDRESSES_MAX];

	for (unsigned i = 0; i < n; i++)
		places[i] = y->places[y->at + i].place;
	y->dialled = n;
	y->dialling =
	    dial(y->s->loop, places, n, CONNECT, CONNECT_LAST, on_dial, y);
}

/* The one under way has failed. */
void
carry_next_address(struct carry *y)
{
	stream_close(&y->stream);
	buf_wipe(&y->out);
	mark(y);
	y->clear = false;
	if (y->at < y->n)
		carry_dial(y, y->n - y->at);
	else
		y->state = CARRY_GONE;
}

/* Where that is no fault, the same address once more without. */
void
carry_no_tls(struct carry *y, const char *why)
{
	const struct route_place *to = y->places[y->at].to;

	if (to->tls || y->route->tls == ROUTE_TLS_REQUIRED) {
		carry_lose(y, NEIGHBOUR_NO_TLS, why, 0);
		return;
	}
	stream_close(&y->stream);
	y->clear = true;
	carry_dial(y, 1);
}
