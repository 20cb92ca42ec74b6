/*
 * filter_head: the header of a message, off the front of its body.
 *
 * Nothing of it is read before a milter is there for it, so that not more
 * headers are in memory than there are connections; one whose milters were not
 * there is read in the end.
 */
#include <string.h>

#include "policy/filter_state.h"
#include "proto/authres.h"
#include "proto/header.h"

/* The body without its first n octets. */
static struct spool_content
skip(struct spool_content c, uint64_t n)
{
	uint64_t filed = c.filed - c.from;
	uint64_t first = n < filed ? n : filed;

	c.from += first;
	span_skip(&c.tail, (size_t)(n - first));
	return c;
}

static void
too_big(struct filter *f)
{
	filter_refuse(f, SMTP_REPLY(552, "5.3.4", "Header too big"));
}

/* What its header takes, while it waits for others. */
static void
weigh(struct filter *f, size_t n)
{
	f->weight = n;
	for (const struct header_field *h = f->header.fields; h; h = h->next)
		f->weight += sizeof(*h);
	f->all->heads += f->weight;
}

/* block begins with n octets of header. */
static void
cut(struct filter *f, size_t n)
{
	struct span head = {f->block.data, n};
	bool blank = n < f->block.len && f->block.data[n] == '\n';

	content_free(&f->content);
	if (n > HEADER_MAX || !header_init(&f->header, head)) {
		too_big(f);
		return;
	}
	f->open = !blank && n < f->block.len;
	f->result.head = n + blank;
	f->result.forged = authres_delete(&f->header, f->all->conf->names,
	    f->all->conf->nnames);
	f->rest = skip(f->message.body, n + blank);
	buf_free(&f->block);
	f->cut = true;
	weigh(f, n);
	filter_go_on(f);
}

/* All of the message is there: its last line may have no end. */
static void
cut_all(struct filter *f)
{
	size_t len = f->block.len;
	ssize_t n;

	buf_append(&f->block, "\n", 1);
	n = header_length(buf_span(&f->block));
	f->block.len = len;
	cut(f, n < 0 ? len : (size_t)n);
}

static void
read_on(void *ctx)
{
	struct filter *f = ctx;
	enum content_step step;
	struct span s;
	ssize_t n = -1;

	while (n < 0 && f->block.len <= HEADER_MAX) {
		step = content_next(f->content, &s);
		if (step == CONTENT_WAIT)
			return;
		if (step == CONTENT_FAILED) {
			filter_unread(f);
			return;
		}
		if (step == CONTENT_END) {
			cut_all(f);
			return;
		}
		buf_append_span(&f->block, s);
		n = header_length(buf_span(&f->block));
	}
	if (n < 0)
		too_big(f);
	else
		cut(f, (size_t)n);
}

void
filter_cut(struct filter *f)
{
	f->block.len = 0;
	f->content = content_new(f->all->services.jobs, (struct span){NULL, 0},
	    &f->message.body, read_on, f);
	read_on(f);
}
