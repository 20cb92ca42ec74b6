/*
 * trail: a short list. A client that tries a thousand recipients does not
 * drive out what was said of itself, as long as they pass.
 */
#include "policy/trail.h"

#include <string.h>

static unsigned
oldest_pass(const struct trail *t)
{
	unsigned i = 0;

	while (i < t->n && t->entries[i].kind != VERDICT_PASS)
		i++;
	return i < t->n ? i : 0;
}

void
trail_add(struct trail *t, const char *check, const struct verdict *v)
{
	struct trail_entry *e = t->entries;
	struct trail_entry new = {.check = check,
	    .kind = v->kind,
	    .observed = v->observed,
	    .at = v->at};
	unsigned i;

	memcpy(new.value, v->value, sizeof(new.value));
	if (t->n == TRAIL_MAX) {
		i = oldest_pass(t);
		t->n--;
		memmove(e + i, e + i + 1, (t->n - i) * sizeof(*e));
	}
	e[t->n++] = new;
}

void
trail_format(const struct trail *t, struct buf *out)
{
	static const char *const kinds[] = {
	    [VERDICT_PASS] = "pass",
	    [VERDICT_ALLOW] = "allow",
	    [VERDICT_DEFER] = "defer",
	    [VERDICT_REJECT] = "reject",
	};

	for (unsigned i = 0; i < t->n; i++) {
		const struct trail_entry *e = &t->entries[i];

		buf_printf(out, "%s%s %s%s%s%s ", i ? "\n" : "", e->check,
		    e->observed ? "observed " : "", kinds[e->kind],
		    *e->value ? " " : "", e->value);
		if (e->at.file)
			buf_printf(out, "%s:%u", e->at.file, e->at.line);
		else
			buf_append_str(out, "default");
	}
}
