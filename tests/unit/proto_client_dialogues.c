/*
 * Dialogues in which we are the client: whole, by line, and byte by byte, all
 * with the same octets and the same fates. What is put together in a file:
 *
 *	# what it shows
 *	config: lmtp                  also tls=offered, tls=required, implicit,
 *	                              may-log-in, login=NAME (secret "geheim")
 *	mail: <a@b> whole             the next message; also verify, 8bit, utf8,
 *	                              size=N, stalls (its end never comes)
 *	to: <c@d> taken               a recipient of it, and its fate with what
 *	to: <e@f> refused 550 5.1.1 x our own client hears; none and later too
 *	M: text                       a line of it
 *	S: text                       sent by the server; a batch of them comes
 *	                              without a pause, escapes as in dialogue.h
 *	S: close                      and then the connection ends
 *	C: text                       what we say, when the batch is through
 *	end: ready                    or "broken it closes with 421", and then
 *	                              (the reply behind it), misconfigured
 *
 * A message begins, goes on and ends, and TLS begins, behind a whole batch.
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/ascii.h"
#include "dialogue.h"
#include "proto/client.h"

#define MAX 40

struct letter {
	struct client_mail mail;
	struct client_rcpt rcpts[MAX];
	const char *fates[MAX];
	struct buf text;
	bool stalls;
};

/* What the server sends without a pause, and what we say to it. */
struct batch {
	struct buf sent, said;
	size_t lines[MAX];
	size_t nlines;
	bool closes;
};

struct script {
	struct arena arena;
	struct client_options options;
	struct letter letters[MAX];
	size_t nletters;
	struct batch batches[MAX];
	size_t nbatches;
	const char *end;
};

/* --- reading --- */

static char *
dup(struct script *s, struct span text)
{
	return arena_dup(&s->arena, text);
}

static struct span
word(struct span *s)
{
	struct span w = *s;
	const char *blank = s->len ? memchr(s->ptr, ' ', s->len) : NULL;

	if (blank)
		w.len = (size_t)(blank - s->ptr);
	span_skip(s, blank ? w.len + 1 : w.len);
	return w;
}

static struct span
path(struct span *s)
{
	struct span w = word(s);

	return (struct span){w.ptr + 1, w.len - 2};
}

static bool
has_utf8(const char *s)
{
	return s[strcspn(s, "\x80\xc3\xe2")] != '\0';
}

static bool
read_config(struct script *s, struct span text)
{
	struct client_options *o = &s->options;

	if (span_equal(text, SPAN_LIT("lmtp")))
		o->lmtp = true;
	else if (span_equal(text, SPAN_LIT("tls=offered")))
		o->tls = CLIENT_TLS_OFFERED;
	else if (span_equal(text, SPAN_LIT("tls=required")))
		o->tls = CLIENT_TLS_REQUIRED;
	else if (span_equal(text, SPAN_LIT("implicit")))
		o->implicit = true;
	else if (span_equal(text, SPAN_LIT("may-log-in")))
		o->may_log_in = true;
	else if (dialogue_skip(&text, SPAN_LIT("login=")))
		o->login = dup(s, text);
	else
		return false;
	return true;
}

static bool
read_mail(struct script *s, struct span text)
{
	struct letter *l = &s->letters[s->nletters++];
	struct client_mail *m = &l->mail;
	struct span w;

	assert_true(s->nletters < MAX);
	m->sender = dup(s, path(&text));
	m->sender_utf8 = has_utf8(m->sender);
	m->rcpts = l->rcpts;
	m->arena = &s->arena;
	while ((w = word(&text)).len) {
		if (span_equal(w, SPAN_LIT("whole")))
			m->whole = true;
		else if (span_equal(w, SPAN_LIT("verify")))
			m->verify = true;
		else if (span_equal(w, SPAN_LIT("8bit")))
			m->eightbit = true;
		else if (span_equal(w, SPAN_LIT("utf8")))
			m->utf8 = true;
		else if (span_equal(w, SPAN_LIT("stalls")))
			l->stalls = true;
		else if (!dialogue_skip(&w, SPAN_LIT("size=")) ||
			 ascii_parse_u64(w, UINT64_MAX, &m->wire))
			return false;
	}
	return true;
}

static bool
read_rcpt(struct script *s, struct span text)
{
	struct letter *l = &s->letters[s->nletters - 1];
	struct client_rcpt *r = &l->rcpts[l->mail.n];

	assert_true(s->nletters && l->mail.n < MAX);
	r->to = dup(s, path(&text));
	r->utf8 = has_utf8(r->to);
	l->fates[l->mail.n++] = dup(s, text);
	return true;
}

static bool
read_sent(struct script *s, struct span text)
{
	struct batch *b = &s->batches[s->nbatches - !!s->nbatches];

	if (!s->nbatches || b->said.len)
		b = &s->batches[s->nbatches++];
	assert_true(s->nbatches < MAX && b->nlines < MAX && !b->closes);
	b->closes = span_equal(text, SPAN_LIT("close"));
	if (b->closes)
		return true;
	if (dialogue_decode(text, &b->sent))
		return false;
	b->lines[b->nlines++] = b->sent.len;
	return true;
}

static bool
read_line(struct script *s, struct span text)
{
	if (!text.len || text.ptr[0] == '#')
		return true;
	if (dialogue_skip(&text, SPAN_LIT("config: ")))
		return read_config(s, text);
	if (dialogue_skip(&text, SPAN_LIT("mail: ")))
		return read_mail(s, text);
	if (dialogue_skip(&text, SPAN_LIT("to: ")))
		return read_rcpt(s, text);
	if (dialogue_skip(&text, SPAN_LIT("S: ")))
		return read_sent(s, text);
	if (dialogue_skip(&text, SPAN_LIT("C: ")) && s->nbatches)
		return !dialogue_decode(text,
		    &s->batches[s->nbatches - 1].said);
	if (dialogue_skip(&text, SPAN_LIT("end: "))) {
		s->end = dup(s, text);
		return true;
	}
	if (!dialogue_skip(&text, SPAN_LIT("M: ")) || !s->nletters)
		return false;
	struct buf *body = &s->letters[s->nletters - 1].text;
	bool good = !dialogue_decode(text, body);

	if (body->len > 1 && body->data[body->len - 2] == '\r')
		body->data[--body->len - 1] = '\n'; /* as in a spool */
	return good;
}

static void
load(struct script *s, const char *file)
{
	FILE *f = fopen(file, "r");
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	*s = (struct script){.options = {.helo = "mx.example.org",
				 .secret = SPAN_LIT("geheim")}};
	assert_non_null(f);
	for (int number = 1; (n = getline(&line, &cap, f)) > 0; number++) {
		n -= line[n - 1] == '\n';
		if (!read_line(s, (struct span){line, (size_t)n}))
			fail_msg("line %d: what is \"%.*s\"?", number, (int)n,
			    line);
	}
	free(line);
	fclose(f);
	assert_non_null(s->end);
}

static void
unload(struct script *s)
{
	for (size_t i = 0; i < s->nletters; i++)
		buf_free(&s->letters[i].text);
	for (size_t i = 0; i < s->nbatches; i++) {
		buf_free(&s->batches[i].sent);
		buf_free(&s->batches[i].said);
	}
	arena_reset(&s->arena);
}

/* --- a run --- */

struct run {
	struct script *s;
	const char *how;
	struct client c;
	struct buf in, out;
	enum client_step last; /* what waits for the end of the batch */
	size_t begun, told;    /* letters */
};

static void
format_fate(const struct client_rcpt *r, struct buf *out)
{
	static const char *const names[] = {"none", "taken", "refused", "again",
	    "down", "lost"};

	buf_append_str(out, r->later ? "later" : names[r->fate]);
	/* of a yes to the message: it goes no further than the log */
	assert_true(r->reply || r->fate == FATE_NONE || r->fate == FATE_TAKEN);
	assert_true(r->fate != FATE_NONE || !r->reply);
	if (r->reply && r->fate != FATE_TAKEN)
		buf_printf(out, " %u %s %s", r->reply->code, r->reply->status,
		    r->reply->text);
	buf_append(out, "", 1);
}

static void
check_fates(struct run *r, const struct letter *l)
{
	for (unsigned i = 0; i < l->mail.n; i++) {
		struct buf got = {0};

		format_fate(&l->rcpts[i], &got);
		if (strcmp(got.data, l->fates[i]) != 0)
			fail_msg("%s: mail %zu, <%s>: not \"%s\", but \"%s\"",
			    r->how, r->told + 1, l->rcpts[i].to, l->fates[i],
			    got.data);
		buf_free(&got);
	}
	r->told++;
}

/* What has come and was not taken, in a piece of memory of its own size. */
static enum client_step
step(struct run *r)
{
	char *copy = malloc(r->in.len + !r->in.len);
	struct span in = {copy, r->in.len};
	enum client_step what;

	if (r->in.len)
		memcpy(copy, r->in.data, r->in.len);
	what = client_step(&r->c, &in, &r->out);
	buf_consume(&r->in, r->in.len - in.len);
	free(copy);
	return what;
}

static void
run_steps(struct run *r)
{
	enum client_step what;

	while ((what = step(r)) != CLIENT_NEED_INPUT) {
		if (what == CLIENT_DONE) {
			check_fates(r, &r->s->letters[r->told]);
			continue;
		}
		r->last = what;
		if (what != CLIENT_READY)
			return;
	}
}

static void
feed(struct run *r, struct span s)
{
	buf_append_span(&r->in, s);
	run_steps(r);
}

static bool
go_on(struct run *r)
{
	struct letter *l = &r->s->letters[r->begun - !!r->begun];
	enum client_step what = r->last;

	r->last = CLIENT_NEED_INPUT;
	if (what == CLIENT_BROKEN) {
		r->last = what;
		return false;
	} else if (what == CLIENT_START_TLS) {
		client_secured(&r->c);
	} else if (what == CLIENT_NEED_BODY) {
		client_content(&r->c, buf_span(&l->text), &r->out);
		l->text.len = 0; /* once */
		if (l->stalls)
			return false;
		client_end(&r->c, &r->out);
	} else if (what == CLIENT_READY && r->begun < r->s->nletters) {
		l = &r->s->letters[r->begun++];
		client_begin(&r->c, &l->mail, &r->out);
	} else {
		return false;
	}
	run_steps(r);
	return true;
}

static void
run_batch(struct run *r, const struct batch *b, int how)
{
	struct span all = buf_span(&b->sent);
	size_t line = 0;

	for (size_t at = 0; at < all.len;) {
		size_t n = how == 0   ? all.len
			   : how == 1 ? b->lines[line++] - at
				      : 1;

		feed(r, (struct span){all.ptr + at, n});
		at += n;
	}
	while (go_on(r))
		;
	if (!span_equal(buf_span(&r->out), buf_span(&b->said)))
		fail_msg("%s: we say \"%.*s\", not \"%.*s\"", r->how,
		    (int)r->out.len, r->out.data, (int)b->said.len,
		    b->said.data);
	r->out.len = 0;
	if (!b->closes)
		return;
	client_lost(&r->c, false);
	r->last = CLIENT_BROKEN;
	if (r->told < r->begun)
		check_fates(r, &r->s->letters[r->told]);
}

static void
check_end(struct run *r)
{
	const struct client *c = &r->c;
	bool broken = r->last == CLIENT_BROKEN;
	struct buf got = {0};

	assert_int_equal(broken, c->broken != NULL);
	assert_int_equal(r->told, r->s->nletters);
	assert_int_equal(client_waits(c), CLIENT_WAIT_NOTHING);
	buf_printf(&got, "%s%s", broken ? "broken " : "ready",
	    broken ? c->broken : "");
	if (c->why[0])
		buf_printf(&got, " (%s)", c->why);
	if (c->misconfigured)
		buf_append_str(&got, " misconfigured");
	buf_append(&got, "", 1);
	if (strcmp(got.data, r->s->end) != 0)
		fail_msg("%s: the end is not \"%s\", but \"%s\"", r->how,
		    r->s->end, got.data);
	buf_free(&got);
	if (broken)
		assert_int_equal(step(r), CLIENT_BROKEN);
}

static void
test_dialogue(void **state)
{
	static const char *const hows[] = {"whole", "by line", "byte by byte"};

	for (int how = 0; how < 3; how++) {
		struct script s;
		struct run r = {.s = &s, .how = hows[how]};

		load(&s, *state);
		client_init(&r.c, &s.options);
		for (size_t i = 0; i < s.nbatches; i++)
			run_batch(&r, &s.batches[i], how);
		check_end(&r);
		buf_free(&r.in);
		buf_free(&r.out);
		unload(&s);
	}
}

int
main(void)
{
	const char *folder = getenv("DIALOGUES");
	char pattern[4096];
	struct CMUnitTest *tests;
	glob_t files;
	int failed;

	snprintf(pattern, sizeof(pattern), "%s/client/*.smtp",
	    folder ? folder : "tests/dialogues");
	if (glob(pattern, 0, NULL, &files) != 0) {
		fprintf(stderr, "no dialogues: %s\n", pattern);
		return 1;
	}
	tests = calloc(files.gl_pathc, sizeof(*tests));
	for (size_t i = 0; tests && i < files.gl_pathc; i++)
		tests[i] = (struct CMUnitTest){.name = files.gl_pathv[i],
		    .test_func = test_dialogue,
		    .initial_state = files.gl_pathv[i]};
	failed = _cmocka_run_group_tests("client dialogues", tests,
	    files.gl_pathc, NULL, NULL);
	globfree(&files);
	free(tests);
	return failed;
}
