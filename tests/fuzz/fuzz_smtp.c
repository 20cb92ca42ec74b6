/*
 * The engine with any octets, any cutting, any answers: two octets choose
 * limits and answers, the rest is what the client sends. Every cutting says
 * and stores the same; drive.c holds what else must be true of each.
 */
#include <stdlib.h>

#include "drive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* From the seed and the number of the question alone, so for all cuttings. */
static const struct smtp_reply *
decide(struct drive *d)
{
	uint64_t rng = d->seed * 4096 + d->questions;
	uint64_t what = d->seed ? drive_random(&rng) % 20 : 20;

	if (what == 1)
		smtp_drain(&d->smtp);
	if (what == 2)
		smtp_limit_size(&d->smtp, 30);
	if (what == 3)
		smtp_hangup(&d->smtp, SMTP_REPLY(421, "4.3.2", "x"), &d->out);
	if (d->smtp.ask == SMTP_ASK_CONNECT && what < 6)
		return SMTP_REPLY(554, "5.7.1", "Not you");
	return what == 4   ? SMTP_REPLY(421, "4.3.0", "Enough")
	       : what == 5 ? SMTP_REPLY(452, "4.3.1", "Full")
	       : what == 6 ? SMTP_REPLY(550, "5.1.1", "No")
			   : NULL;
}

static void
run(struct drive *d, const struct smtp_config *conf, const uint8_t *data,
    size_t n, enum drive_cut cut)
{
	drive_init(d, conf);
	d->smtp.normalize = data[0] & 1;
	drive_run(d, (struct span){(const char *)data + 2, n - 2}, cut, n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 2)
		return 0;
	struct smtp_config conf = {.hostname = "mx.example.org",
	    .greeting = "ESMTP ready",
	    .message_size = data[0] & 2 ? 60 : 1 << 20,
	    .line = data[0] & 4 ? 20 : 65536,
	    .recipients = data[0] & 8 ? 2 : 100,
	    .errors = data[0] & 16 ? 3 : 1000,
	    .submission = (data[0] & 96) == 96};
	struct drive whole = {.answer = decide, .seed = data[1]};

	run(&whole, &conf, data, n, DRIVE_WHOLE);
	for (unsigned i = 0; i < 6; i++) {
		struct drive d = {.answer = decide,
		    .seed = data[1],
		    .late = i & 1};

		run(&d, &conf, data, n, (enum drive_cut)(i / 2));
		if (drive_differs(&d, &whole))
			abort();
		drive_free(&d);
	}
	drive_free(&whole);
	return 0;
}
