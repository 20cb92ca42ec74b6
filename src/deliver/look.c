/*
 * look: are the spool and the roots still what their paths lead to?
 *
 * A descriptor outlives a directory that is moved away, replaced or mounted
 * over, and mail that goes through it then is found by nobody. On the loop;
 * blocks as little as a look at a name does.
 */
#include "deliver/look.h"

#include <errno.h>

#include "deliver/deliver_state.h"
#include "io/clock.h"
#include "io/full_io.h"
#include "io/log.h"

static void
look_at_spool(struct deliver *d)
{
	const char *path = d->options->spool;
	bool lost = full_same(path, d->spool) < 0;

	if (lost && !d->spool_lost)
		log_event(LOG_ERROR, "spool-replaced", LOG_STR("path", path),
		    LOG_STR("help", "no mail is taken until the directory that "
				    "was there is back, or smtpd restarted"));
	else if (!lost && d->spool_lost)
		log_event(LOG_INFO, "spool-back", LOG_STR("path", path));
	d->spool_lost = lost;
}

static void
log_renewed(const struct maildir_root *r, int renewed, bool was_gone)
{
	const struct log_field error = LOG_ERRNO(errno);

	if (renewed > 0)
		log_event(LOG_WARN, "root-replaced", LOG_STR("path", r->path),
		    LOG_STR("why", "another directory is there now"));
	else if (renewed < 0 && !was_gone)
		log_event(LOG_ERROR, "root-gone", LOG_STR("path", r->path),
		    error,
		    LOG_STR("help", "its mail is held until it is back"));
	else if (!renewed && was_gone)
		log_event(LOG_INFO, "root-back", LOG_STR("path", r->path));
}

/* The sandbox is that of the directory which was there. */
static void
outgrow(struct deliver *d, const struct maildir_root *r)
{
	if (d->outgrown)
		return;
	d->outgrown = true;
	log_renewed(r, 1, false);
	if (d->outgrew)
		d->outgrew(d->outgrew_ctx);
}

/* True: what was placed in it may be elsewhere now. */
static bool
look_at_root(struct deliver *d, struct maildir_root *r)
{
	bool was_gone = r->gone;
	int renewed;

	if (!maildir_root_changed(r))
		return false;
	/* first: a checkpoint that syncs the new one must not take it for that
	 * in which all was placed */
	if (!was_gone && d->journal)
		journal_doubt(d->journal);
	renewed = maildir_root_renew(r);
	if (renewed < 0 && errno == ESTALE)
		outgrow(d, r);
	else
		log_renewed(r, renewed, was_gone);
	return renewed > 0 || (renewed < 0 && !was_gone);
}

/* The same descriptors, of other file systems. */
static void
measure_anew(struct deliver *d)
{
	struct recipients *r = d->options->recipients;
	const struct destination *place;

	space_free(&d->space);
	(void)space_add(&d->space, d->tmp);
	for (unsigned i = 0; (place = recipients_place(r, i)); i++)
		(void)space_add(&d->space, place->root.fd);
}

void
deliver_look(struct deliver *d)
{
	struct recipients *r = d->options->recipients;
	struct destination *place;
	bool moved = false;

	d->looked = clock_now();
	look_at_spool(d);
	for (unsigned i = 0; (place = recipients_place(r, i)); i++)
		moved |= look_at_root(d, &place->root);
	if (!moved)
		return;
	measure_anew(d);
	if (d->journal)
		journal_doubt(d->journal);
}
