/*
 * delivery_edit: brings what filters have changed into the spool. Our lines
 * come on top only now, since filters may have put some above them. On the
 * loop; what blocks is the spool's job.
 */
#include "deliver/delivery_edit.h"

#include "deliver/deliver_state.h"
#include "deliver/message_record.h"

static void
on_edited(void *ctx)
{
	struct delivery *v = ctx;

	delivery_become(v, DELIVERY_SPOOLED);
}

void
delivery_edit(struct delivery *v, const struct delivery_edit *e)
{
	v->edited = true;
	delivery_become(v, DELIVERY_EDITING);
	spool_edit(v->message.spool, e->ours, e->front, e->skip, on_edited, v);
}

bool
delivery_has_outgrown(const struct delivery *v)
{
	const struct message *m = &v->message;
	struct buf record = {0};
	uint64_t n;

	if (!v->edited || !v->d->journal)
		return false;
	message_record_encode(&record, m, v->file);
	n = record.len + m->body.tail.len;
	buf_free(&record);
	return n > deliver_record_max(v->d);
}
