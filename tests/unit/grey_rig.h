/*
 * grey_rig: an empty greylist of one test's own, and tuples to ask it for.
 */
#ifndef GREY_RIG_H
#define GREY_RIG_H

#include <string.h>
#include <sys/mman.h>

#include "policy/greylist.h"

#define NOW    INT64_C(1800000000000)
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define DAY    (24 * 60 * MINUTE)

static const struct greylist usual = {.delay = MINUTE,
    .window = 2 * DAY,
    .keep = 36 * DAY,
    .after = 5};
static const struct greylist lonely = {.delay = MINUTE,
    .window = 2 * DAY,
    .keep = 36 * DAY};

static struct shared_grey *t;

static inline int
open_table(void **state)
{
	(void)state;
	t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(t, MAP_FAILED);
	memcpy(t->hash_key, "drawn by master", SIPHASH_KEY_LEN);
	return 0;
}

static inline int
close_table(void **state)
{
	(void)state;
	return munmap(t, sizeof(*t));
}

static inline struct ipaddr
ip(const char *text)
{
	struct ipaddr a;

	assert_int_equal(ipaddr_parse(span_str(text), &a), 0);
	return a;
}

static inline struct greylist_key
key(const char *client, const char *sender, const char *rcpt)
{
	struct envelope_rcpt r = {.path = {.local = "a", .domain = rcpt}};
	struct envelope e = {.client = ip(client),
	    .sender = {.local = "b", .domain = sender},
	    .nrcpts = 1,
	    .rcpts = &r};
	struct greylist_key k;

	greylist_key_of(&e, NULL, &k);
	return k;
}

#endif
