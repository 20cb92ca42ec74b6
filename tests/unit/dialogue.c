/*
 * dialogue: reads transcripts and compares replies with them.
 *
 * Owns what it reads until dialogue_free(). Never runs anything: the same
 * files are sent to the engine by proto_dialogues.c and to the daemon by
 * tests/system/.
 */
#include "dialogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"

static const struct smtp_config defaults = {
    .hostname = "mx.example.org",
    .greeting = "ESMTP ready",
    .message_size = 50 << 20,
    .line = 65536,
    .recipients = 1000,
    .errors = 20,
};

static const char *
set_config(struct dialogue *d, struct span s)
{
	const char *eq = memchr(s.ptr, '=', s.len);
	struct span key = s;
	struct span value;
	uint64_t n;

	if (span_equal(s, SPAN_LIT("role=submission"))) {
		d->conf.submission = true;
		return NULL;
	}
	if (!eq)
		return "config: key=value is expected";
	key.len = (size_t)(eq - s.ptr);
	value = (struct span){eq + 1, s.len - key.len - 1};
	if (ascii_parse_u64(value, 1 << 30, &n))
		return "a bad number";
	if (span_equal(key, SPAN_LIT("message-size")))
		d->conf.message_size = n;
	else if (span_equal(key, SPAN_LIT("line")))
		d->conf.line = n;
	else if (span_equal(key, SPAN_LIT("recipients")))
		d->conf.recipients = (unsigned)n;
	else if (span_equal(key, SPAN_LIT("errors")))
		d->conf.errors = (unsigned)n;
	else
		return "an unknown key";
	return NULL;
}

static const char *
add_reply(struct dialogue *d, struct span s)
{
	struct dialogue_reply *r = &d->replies[d->nreplies];

	if (d->closes)
		return "a reply behind the close";
	if (span_equal(s, SPAN_LIT("close"))) {
		d->closes = true;
		return NULL;
	}
	if (d->nreplies == DIALOGUE_MAX)
		return "too many replies";
	r->pattern = strndup(s.ptr, s.len);
	if (!r->pattern)
		abort();
	r->at = d->sent.len;
	d->nreplies++;
	return NULL;
}

/* "\\{N:reply}" */
static const char *
add_replies(struct dialogue *d, struct span s)
{
	const char *colon = memchr(s.ptr, ':', s.len);
	const char *bad = NULL;
	uint64_t n;

	if (s.len < 2 || memcmp(s.ptr, "\\{", 2) != 0)
		return add_reply(d, s);
	if (!colon || s.ptr[s.len - 1] != '}')
		return "a repeat without its end";
	span_skip(&s, 2);
	if (ascii_parse_u64((struct span){s.ptr, (size_t)(colon - s.ptr)},
		DIALOGUE_MAX, &n))
		return "a bad repeat count";
	span_skip(&s, (size_t)(colon - s.ptr) + 1);
	s.len--;
	while (!bad && n--)
		bad = add_reply(d, s);
	return bad;
}

static const char *
add_sent(struct dialogue *d, struct span s)
{
	const char *bad = dialogue_decode(s, &d->sent);

	if (d->closes)
		return "a command behind the close";
	if (d->nlines == DIALOGUE_MAX)
		return "too many lines";
	d->lines[d->nlines++] = d->sent.len;
	return bad;
}

static const char *
add_body(struct dialogue *d, struct span s, bool more)
{
	if (!more && d->nbodies++ == DIALOGUE_MAX)
		return "too many messages";
	return dialogue_decode(s, &d->bodies[d->nbodies - 1]);
}

static const char *
add_envelope(struct dialogue *d, struct span s)
{
	if (d->nbodies == DIALOGUE_MAX || d->envelopes[d->nbodies])
		return "an envelope too many";
	d->envelopes[d->nbodies] = strndup(s.ptr, s.len);
	return d->envelopes[d->nbodies] ? NULL : "no memory";
}

bool
dialogue_skip(struct span *s, struct span word)
{
	if (s->len < word.len || memcmp(s->ptr, word.ptr, word.len) != 0)
		return false;
	span_skip(s, word.len);
	return true;
}

static const char *
read_line(struct dialogue *d, struct span s, bool more)
{
	if (s.len == 0 || s.ptr[0] == '#')
		return NULL;
	if (dialogue_skip(&s, SPAN_LIT("C: ")))
		return add_sent(d, s);
	if (dialogue_skip(&s, SPAN_LIT("S: ")))
		return add_replies(d, s);
	if (dialogue_skip(&s, SPAN_LIT("M: ")))
		return add_body(d, s, more);
	if (dialogue_skip(&s, SPAN_LIT("E: ")))
		return add_envelope(d, s);
	if (dialogue_skip(&s, SPAN_LIT("config: ")))
		return set_config(d, s);
	if (span_equal(s, SPAN_LIT("client: bare-newline=normalize"))) {
		d->normalize = true;
		return NULL;
	}
	if (span_equal(s, SPAN_LIT("client: proxy=local"))) {
		d->nobody = true;
		return NULL;
	}
	if (span_equal(s, SPAN_LIT("client: greylisted"))) {
		d->greylisted = true;
		return NULL;
	}
	return "not a line of a dialogue";
}

const char *
dialogue_load(const char *path, struct dialogue *d, unsigned *line)
{
	FILE *f = fopen(path, "r");
	const char *bad = NULL;
	char *text = NULL;
	size_t cap = 0;
	ssize_t n;
	bool more = false;

	*d = (struct dialogue){.conf = defaults};
	*line = 0;
	if (!f)
		return "it cannot be opened";
	while (!bad && (n = getline(&text, &cap, f)) > 0) {
		struct span s = {text, (size_t)n};

		++*line;
		if (text[n - 1] == '\n')
			s.len--;
		bad = read_line(d, s, more);
		more = s.len && text[0] == 'M';
	}
	free(text);
	fclose(f);
	return bad ? bad : d->nreplies ? NULL : "no reply in it";
}

void
dialogue_free(struct dialogue *d)
{
	for (size_t i = 0; i < d->nreplies; i++)
		free(d->replies[i].pattern);
	for (size_t i = 0; i < d->nbodies; i++) {
		buf_free(&d->bodies[i]);
		free(d->envelopes[i]);
	}
	buf_free(&d->sent);
}
