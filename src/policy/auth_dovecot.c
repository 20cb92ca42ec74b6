/*
 * auth_dovecot: asks Dovecot's auth service who this is.
 *
 * The service decides everything: which mechanisms there are, what their
 * messages mean, who is who. Here they are only carried, under an id per
 * exchange. While it is away nobody can log in, and who was in the middle of
 * it hears so. Its protocol: tab-separated words in lines; what is not known
 * is skipped, as it asks for.
 */
#include "policy/auth_dovecot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/base64.h"
#include "base/mem.h"
#include "io/line_socket.h"
#include "io/log.h"
#include "policy/auth_exchange.h"
#include "policy/auth_users.h"

/* It delays failures itself, up to 17 s: longer than this is no answer. */
#define PATIENCE 60000
/* It closes the connection, which all share, on a line of 8 KiB. */
#define MESSAGE_MAX 4096
/* When it does not read, so much waits for it, of each session a line at
 * most; who comes then hears so, and nobody else does. What is cancelled adds
 * a short line for each that was sent. */
#define UNSENT_MAX 65536

struct auth_dovecot {
	struct auth *auth;
	const char *path;
	struct line_socket *socket;
	struct auth_exchange *table; /* those with an id, by it */
	uint32_t last_id;            /* of this connection */
	unsigned heard;              /* of mechanisms, until DONE */
	bool version;                /* it is one that we speak */
	bool told;                   /* the log knows that it is down */
};

/* --- exchanges --- */

static struct auth_exchange *
find(const struct auth_dovecot *d, struct span id)
{
	struct auth_exchange *x = NULL;
	uint64_t n;

	if (ascii_parse_u64(id, UINT32_MAX, &n) == 0) {
		uint32_t key = (uint32_t)n;

		HASH_FIND(hh, d->table, &key, sizeof(key), x);
	}
	return x;
}

static void
remove_id(struct auth_dovecot *d, struct auth_exchange *x)
{
	HASH_DELETE(hh, d->table, x);
	x->id = 0;
	x->asked = false;
}

/* Can such a message be carried now? Else the answer is on its way. */
static bool
takes(struct auth_exchange *x, struct span message)
{
	if (message.len > MESSAGE_MAX)
		auth_answer_malformed(x, "That is too long");
	else if (line_socket_unsent(x->auth->dovecot->socket) > UNSENT_MAX)
		auth_answer(x, AUTH_DOWN);
	else
		return true;
	return false;
}

/* The line goes out, and the exchange waits; it is wiped either way. */
static void
ask(struct auth_exchange *x, struct buf *line, struct span message)
{
	base64_encode(message, line);
	buf_append(line, "\n", 1);
	if (line_socket_write(x->auth->dovecot->socket, line)) {
		x->asked = true;
		auth_answer_by(x, AUTH_DOWN, PATIENCE);
		return;
	}
	remove_id(x->auth->dovecot, x);
	auth_answer(x, AUTH_DOWN);
}

static void
step_continue(struct auth_exchange *x, struct span message)
{
	struct buf line = {0};

	if (!x->id) { /* it went away in between */
		auth_answer(x, AUTH_DOWN);
		return;
	}
	if (!takes(x, message))
		return;
	/* reserved whole, so that growing leaves no copies */
	buf_reserve(&line, 32 + message.len * 2);
	buf_printf(&line, "CONT\t%u\t", x->id);
	ask(x, &line, message);
}

void
auth_dovecot_start(struct auth_exchange *x, struct span message)
{
	struct auth_dovecot *d = x->auth->dovecot;
	char rip[IPADDR_STRLEN];
	struct buf line = {0};

	if (!takes(x, message))
		return;
	x->id = ++d->last_id;
	HASH_ADD(hh, d->table, id, sizeof(x->id), x);
	buf_reserve(&line, 256 + message.len * 2);
	/* nologin: no other process of Dovecot will ask for this login */
	buf_printf(&line, "AUTH\t%u\t%s\tservice=smtp\tnologin\tsecured", x->id,
	    x->name);
	if (x->channel.client.family != IP_NONE)
		buf_printf(&line, "\trip=%s",
		    ipaddr_format(&x->channel.client, rip));
	if (message.ptr)
		buf_append_str(&line, "\tresp="); /* the last one, always */
	ask(x, &line, message);
}

void
auth_dovecot_forget(struct auth_exchange *x)
{
	struct auth_dovecot *d = x->auth->dovecot;
	struct buf line = {0};

	if (!x->id)
		return;
	buf_printf(&line, "CANCEL\t%u\n", x->id);
	remove_id(d, x);
	line_socket_write(d->socket, &line);
}

/* --- what it says --- */

/* Takes what stands up to the next tab, and the tab. */
static struct span
next_word(struct span *s)
{
	const char *tab = s->len ? memchr(s->ptr, '\t', s->len) : NULL;
	struct span word = *s;

	if (tab)
		word.len = (size_t)(tab - s->ptr);
	span_skip(s, word.len + (tab ? 1 : 0));
	return word;
}

static bool
starts_with(struct span s, struct span prefix)
{
	return s.len >= prefix.len &&
	       span_equal((struct span){s.ptr, prefix.len}, prefix);
}

/* Empty: it says none, or what could be none. */
static struct span
login_in(struct span words)
{
	struct span user = {NULL, 0};

	while (words.len) {
		struct span word = next_word(&words);

		if (!starts_with(word, SPAN_LIT("user=")))
			continue;
		user = word;
		span_skip(&user, sizeof("user=") - 1);
	}
	/* nothing in it that its protocol would have to escape */
	return auth_users_name_valid(user) ? user : (struct span){NULL, 0};
}

static void
on_ok(struct auth_dovecot *d, struct auth_exchange *x, struct span words)
{
	struct span user = login_in(words);

	remove_id(d, x);
	if (!user.len) {
		auth_answer(x, AUTH_DOWN);
		return;
	}
	buf_append_span(&x->user, user);
	auth_answer_yes(x);
}

static void
on_fail(struct auth_dovecot *d, struct auth_exchange *x, struct span words)
{
	enum auth_result result = AUTH_NO;
	struct span user = login_in(words);

	while (words.len) {
		struct span word = next_word(&words);

		if (span_equal(word, SPAN_LIT("temp")) ||
		    span_equal(word, SPAN_LIT("code=temp_fail")))
			result = AUTH_DOWN;
	}
	remove_id(d, x);
	if (user.len && result == AUTH_NO)
		auth_name(x, user);
	auth_answer(x, result);
}

static void
on_cont(struct auth_dovecot *d, struct auth_exchange *x, struct span words)
{
	struct buf challenge = {0};

	if (base64_decode(next_word(&words), &challenge) == 0) {
		x->asked = false;
		auth_challenge(x, buf_span(&challenge), step_continue);
	} else {
		line_socket_drop(d->socket, EPROTO);
	}
	buf_wipe(&challenge);
}

static void
on_version(struct auth_dovecot *d, struct span words)
{
	d->version = span_equal(next_word(&words), SPAN_LIT("1"));
	if (!d->version)
		line_socket_drop(d->socket, EPROTONOSUPPORT);
}

static void
on_mech(struct auth_dovecot *d, struct span words)
{
	const struct auth_mechanism_row *m =
	    auth_mechanism_find(next_word(&words));

	if (m)
		d->heard |= m->bit;
}

static void
on_done(struct auth_dovecot *d, struct span words)
{
	(void)words;
	if (!d->version) {
		line_socket_drop(d->socket, EPROTO);
		return;
	}
	/* there is no word in this protocol for a channel's binding */
	auth_offer(d->auth, d->heard & ~(unsigned)AUTH_SCRAM_PLUS);
	log_event(LOG_INFO, "auth-up", LOG_STR("socket", d->path),
	    LOG_STR("mechanisms", auth_list(d->auth, false)));
	d->told = false;
}

static const struct {
	const char *word;
	void (*of_service)(struct auth_dovecot *d, struct span words);
	void (*of_exchange)(struct auth_dovecot *d, struct auth_exchange *x,
	    struct span words);
} replies[] = {
    {"OK", NULL, on_ok},
    {"FAIL", NULL, on_fail},
    {"CONT", NULL, on_cont},
    {"VERSION", on_version, NULL},
    {"MECH", on_mech, NULL},
    {"DONE", on_done, NULL},
};

/* An answer to nothing that was asked: to what was cancelled, mostly. */
static void
on_reply(struct auth_dovecot *d, struct span words,
    void (*fn)(struct auth_dovecot *, struct auth_exchange *, struct span))
{
	struct auth_exchange *x = find(d, next_word(&words));

	if (x && x->asked)
		fn(d, x, words);
}

static void
on_line(void *ctx, struct span line)
{
	struct span words = line, word = next_word(&words);

	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		if (!span_equal(word, span_str(replies[i].word)))
			continue;
		if (replies[i].of_service)
			replies[i].of_service(ctx, words);
		else
			on_reply(ctx, words, replies[i].of_exchange);
		return; /* the line may be gone */
	}
}

/* --- the connection --- */

static void
on_up(void *ctx)
{
	struct auth_dovecot *d = ctx;
	struct buf hello = {0};

	d->last_id = 0;
	d->heard = 0;
	d->version = false;
	buf_printf(&hello, "VERSION\t1\t2\nCPID\t%d\n", (int)getpid());
	line_socket_write(d->socket, &hello);
}

static void
on_down(void *ctx, int err)
{
	struct auth_dovecot *d = ctx;
	struct auth_exchange *x, *next;

	auth_offer(d->auth, 0);
	if (!d->told)
		log_event(LOG_ERROR, "auth-down", LOG_STR("socket", d->path),
		    LOG_ERRNO(err ? err : ECONNRESET),
		    LOG_STR("help", "let Dovecot run, and the user smtpd open "
				    "its socket"));
	d->told = true;
	HASH_ITER (hh, d->table, x, next) {
		bool asked = x->asked;

		remove_id(d, x);
		if (asked)
			auth_answer(x, AUTH_DOWN);
	}
}

struct auth_dovecot *
auth_dovecot_new(struct auth *a, const char *path)
{
	static const struct line_socket_calls calls = {.up = on_up,
	    .line = on_line,
	    .down = on_down};
	struct auth_dovecot *d = mem_new(sizeof(*d));

	d->auth = a;
	d->path = path;
	d->socket = line_socket_new(a->loop, path, &calls, d);
	if (!d->socket) {
		free(d);
		return NULL;
	}
	return d;
}

void
auth_dovecot_free(struct auth_dovecot **p)
{
	struct auth_dovecot *d = *p;

	*p = NULL;
	if (!d)
		return;
	line_socket_free(&d->socket);
	free(d);
}
