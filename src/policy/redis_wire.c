/*
 * redis_wire: hiredis with objects of our own, of which there is one.
 *
 * hiredis 0.14 (Debian 12) and 1.x (Debian 13): the latter have more types,
 * and other types of numbers.
 */
#include "policy/redis_wire.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#if HIREDIS_MAJOR >= 1
typedef size_t array_size;
#else
typedef int array_size;
#endif

/* What it calls an object must not be NULL, or it gives up. */
static struct redis_reply *
begin(const redisReadTask *t)
{
	struct redis_reply *r = t->privdata;

	*r = (struct redis_reply){.kind = REDIS_NIL};
	return r;
}

static void *
on_string(const redisReadTask *t, char *text, size_t len)
{
	struct redis_reply *r = begin(t);

	switch (t->type) {
	case REDIS_REPLY_STRING:
		r->kind = REDIS_TEXT;
		break;
	case REDIS_REPLY_STATUS:
		r->kind = REDIS_STATUS;
		break;
	case REDIS_REPLY_ERROR:
		r->kind = REDIS_ERROR;
		if (len > sizeof(r->text))
			len = sizeof(r->text);
		break;
	default:
		return NULL;
	}
	if (len > sizeof(r->text))
		return NULL;
	memcpy(r->text, text, len);
	r->len = (unsigned)len;
	return r;
}

static void *
on_number(const redisReadTask *t, long long n)
{
	struct redis_reply *r = begin(t);

	r->kind = REDIS_NUMBER;
	r->number = n;
	return r;
}

static void *
on_nil(const redisReadTask *t)
{
	return begin(t);
}

static void *
on_array(const redisReadTask *t, array_size n)
{
	(void)t;
	(void)n;
	return NULL;
}

#if HIREDIS_MAJOR >= 1
static void *
on_double(const redisReadTask *t, double d, char *text, size_t len)
{
	(void)t;
	(void)d;
	(void)text;
	(void)len;
	return NULL;
}

static void *
on_bool(const redisReadTask *t, int b)
{
	(void)t;
	(void)b;
	return NULL;
}
#endif

static void
on_free(void *object)
{
	(void)object;
}

/* Constant: the library has no word for that. */
static redisReplyObjectFunctions functions = {
    .createString = on_string,
    .createArray = on_array,
    .createInteger = on_number,
#if HIREDIS_MAJOR >= 1
    .createDouble = on_double,
    .createBool = on_bool,
#endif
    .createNil = on_nil,
    .freeObject = on_free,
};

void
redis_wire_init(struct redis_wire *w)
{
	w->reader = redisReaderCreateWithFunctions(&functions);
	if (!w->reader)
		abort();
	w->reader->privdata = &w->reply;
}

void
redis_wire_free(struct redis_wire *w)
{
	if (w->reader)
		redisReaderFree(w->reader);
	w->reader = NULL;
}

bool
redis_wire_feed(struct redis_wire *w, struct span in, const char **why)
{
	*why = NULL;
	if (w->reader->len - w->reader->pos + in.len > REDIS_WIRE_MAX)
		*why = "it says more than it was asked for";
	else if (redisReaderFeed(w->reader, in.ptr, in.len) != REDIS_OK)
		*why = w->reader->errstr;
	return !*why;
}

const struct redis_reply *
redis_wire_next(struct redis_wire *w, const char **why)
{
	void *r = NULL;

	*why = NULL;
	if (redisReaderGetReply(w->reader, &r) != REDIS_OK)
		/* it says that it lacks memory, which we did not give it */
		*why = w->reader->err == REDIS_ERR_OOM
			   ? "it says what it was not asked for"
			   : w->reader->errstr;
	return *why ? NULL : r;
}

void
redis_wire_put(struct buf *out, const struct redis_command *c)
{
	const char *argv[REDIS_WORDS];
	size_t lens[REDIS_WORDS];
	char *text = NULL;
	int n;

	for (unsigned i = 0; i < c->n; i++) {
		argv[i] = c->words[i].ptr;
		lens[i] = c->words[i].len;
	}
	n = (int)redisFormatCommandArgv(&text, (int)c->n, argv, lens);
	if (n < 0)
		abort();
	buf_append(out, text, (size_t)n);
	redisFreeCommand(text);
}
