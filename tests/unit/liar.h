/*
 * liar: a resolver of the tests, by UDP and TCP on 127.0.0.1, on the loop of
 * whoever asks it. What it says is in the first label of the name it is asked
 * for: see liar.c. For a clock that stands still: liar_busy() says when
 * something is on its way.
 */
#ifndef LIAR_H
#define LIAR_H

#include <stdbool.h>
#include <stdint.h>

#include "io/loop.h"
#include "proto/dns.h"

struct liar;

/* NULL: no port was free. */
struct liar *liar_new(struct loop *l);
void liar_free(struct liar **l);

/* Of this name it says these records instead; MX as "10 host.test". What is
 * added must last. */
void liar_add(struct liar *l, const char *name, enum dns_type type,
    const char *value);
/* Or what it says of a name with this first label; if that type is asked for,
 * 0: whichever. */
void liar_like(struct liar *l, const char *name, unsigned type,
    const char *label);
/* Nothing was added. */
void liar_forget(struct liar *l);

/* "127.0.0.1:5353" */
const char *liar_server(const struct liar *l);

/*
 * Whatever it is asked for, fn says what it answers: 1, an A of these octets;
 * 0, there is no such name; -1, nothing; -2, SERVFAIL.
 */
typedef int liar_fn(void *ctx, const char *name, uint8_t octets[4]);
void liar_script(struct liar *l, liar_fn *fn, void *ctx);

/* Does it hear and say nothing? */
void liar_mute(struct liar *l, bool mute);

/* Questions that came since this was asked last; all, and those by TCP. */
unsigned liar_asked(struct liar *l);
unsigned liar_asked_tcp(struct liar *l);

/* Is there more to the ids that it saw than counting? */
bool liar_ids_jump(const struct liar *l);

bool liar_busy(void);

#endif
