/*
 * message_deliver: a message into every mailbox it goes to, then publishes.
 *
 * First every file is written to tmp/ and synced, the spool being read once
 * for up to BATCH of them; only when the last one is safe are they renamed
 * to new/. Whatever fails on the way takes everything back, so that a reply
 * other than 250 leaves nothing behind. Blocks; never logs.
 */
#include <errno.h>

#include "mail/message.h"

#define BATCH 64 /* files open at once, two descriptors each */

static int
create(struct message *m, struct message_copy *c)
{
	m->failed = c;
	if (maildir_create(c->root, c->path, c->name, &c->file) < 0)
		return -1;
	return message_write_top(m, c);
}

/* Writes and syncs n files, reading the body once. */
static int
write_batch(struct message *m, struct message_copy *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (create(m, &c[i]) < 0)
			return -1;
	if (message_write_rest(m, c, n) < 0)
		return -1;
	for (unsigned i = 0; i < n; i++) {
		m->failed = &c[i];
		if (maildir_sync(&c[i].file) < 0)
			return -1;
		if (m->ncopies > BATCH)
			maildir_close(&c[i].file);
	}
	m->failed = NULL;
	return 0;
}

static int
write_all(struct message *m)
{
	unsigned n;

	for (unsigned i = 0; i < m->ncopies; i += n) {
		n = m->ncopies - i < BATCH ? m->ncopies - i : BATCH;
		if (write_batch(m, m->copies + i, n) < 0)
			return -1;
	}
	return 0;
}

static int
publish_all(struct message *m)
{
	for (unsigned i = 0; i < m->ncopies; i++) {
		struct message_copy *c = &m->copies[i];

		m->failed = c;
		if (maildir_reopen(c->root, c->path, &c->file) < 0 ||
		    maildir_commit(&c->file) < 0)
			return -1;
		if (m->ncopies > BATCH)
			maildir_close(&c->file);
	}
	m->failed = NULL;
	return 0;
}

static void
take_back(struct message *m)
{
	for (unsigned i = 0; i < m->ncopies; i++) {
		struct message_copy *c = &m->copies[i];

		if (c->file.name[0] &&
		    !maildir_reopen(c->root, c->path, &c->file))
			maildir_abort(&c->file);
	}
}

static int
check_abandoned(struct message *m)
{
	if (!atomic_load(&m->abandoned))
		return 0;
	errno = ECANCELED;
	return -1;
}

/* Before and after: what is placed is where its path leads to. */
static int
check_roots(struct message *m)
{
	for (unsigned i = 0; i < m->ncopies; i++) {
		const struct maildir_root *r = m->copies[i].root;

		if (i && r == m->copies[i - 1].root)
			continue;
		m->failed = &m->copies[i];
		if (maildir_root_changed(r)) {
			errno = ESTALE;
			return -1;
		}
		if (r->gone) {
			errno = ENOENT;
			return -1;
		}
	}
	m->failed = NULL;
	return 0;
}

static int
deliver(struct message *m)
{
	errno = spool_error(m->spool);
	if (errno || check_abandoned(m) < 0 || check_roots(m) < 0 ||
	    write_all(m) < 0 || check_abandoned(m) < 0 || publish_all(m) < 0)
		return -1;
	return check_roots(m);
}

void
message_deliver(struct message *m)
{
	if (deliver(m) < 0) {
		m->error = errno;
		take_back(m);
	}
	for (unsigned i = 0; i < m->ncopies; i++)
		maildir_close(&m->copies[i].file);
}
