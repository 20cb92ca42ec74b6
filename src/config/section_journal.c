/*
 * section_journal: how accepted mail is made durable.
 */
#include "config/section.h"
#include "journal/segment.h"

#define SEGMENT_UNIT 4096 /* a page of the journal */
#define RECORD_EACH  512

static const struct config_key keys[] = {
    {"enabled", KEY_BOOL, ALL(pub.deliver.journal), .def = "yes",
	.help = "no: each message is fsynced in its Maildir before 250"},
    {"segment", KEY_SIZE, ALL(pub.deliver.segment), .def = "64M", .min = MIB,
	.max = SEGMENT_MAX,
	.help = "each file of the journal, full size from the start"},
    {"size", KEY_SIZE, ALL(pub.deliver.size), .def = "1G", .min = 8 * MIB,
	.max = TIB, .help = "mail in the journal at once, over all workers"},
    {"inline", KEY_SIZE, ALL(pub.deliver.inline_size), .def = "64K", .min = 0,
	.max = MIB / 2,
	.help = "largest body in the journal; a larger one is a file"},
    {"checkpoint", KEY_DURATION, ALL(pub.deliver.checkpoint), .def = "2s",
	.min = 10, .max = HOUR,
	.help = "how often mailboxes are synced and the journal emptied"},
    {"reserve", KEY_PERCENT, ALL(pub.deliver.reserve), .def = "5%", .min = 0,
	.max = 50, .help = "part of each file system that is never used"},
    {"held", KEY_SIZE, ALL(pub.deliver.held), .def = "1G", .min = MIB,
	.max = TIB,
	.help = "mail that waits for its mailbox; more, and none is taken"},
};

/*
 * A record with its body may be half a segment, and a recipient takes about
 * RECORD_EACH octets of it.
 */
static void
check_record(const struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const struct deliver_options *o = &all->pub.deliver;
	struct config_item at = config_where(b, "inline");
	unsigned long long n = 4 * o->inline_size;

	if (n > o->segment)
		config_error(f, at.file, at.line,
		    "inline = %lluK is more than a quarter of segment: write "
		    "segment = %lluM, or a smaller inline",
		    n >> 12, (n + MIB - 1) / MIB);
	n = 2ull * RECORD_EACH * all->smtp.recipients;
	if (n <= o->segment)
		return;
	at = config_where(config_block_first(all, &section_limits),
	    "recipients");
	if (!at.text)
		at = config_where(b, "segment");
	config_warn(f, at.file, at.line,
	    "a message to %u recipients can take more than half a segment, and "
	    "then the last of them get 452: write segment = %lluM",
	    all->smtp.recipients, (n + MIB - 1) / MIB);
}

/*
 * A worker writes to one segment while the next is begun, and a reload has
 * two workers where there was one.
 */
static void
build(struct config_all *all, struct config_faults *f, struct config_block *b)
{
	struct deliver_options *o = &all->pub.deliver;
	uint64_t least = 4 * all->pub.workers * o->segment;
	struct config_item at = config_where(b, "size");

	o->segment = o->segment / SEGMENT_UNIT * SEGMENT_UNIT;
	if (!o->journal)
		return;
	check_record(all, f, b);
	if (o->size >= least)
		return;
	if (!at.text) { /* a default must fit what was asked for */
		o->size = least;
		return;
	}
	config_error(f, at.file, at.line,
	    "the journal needs 4 segments for each of %u workers: write "
	    "size = %lluM, or a smaller segment",
	    all->pub.workers, (unsigned long long)(least >> 20));
}

const struct config_section section_journal = {
    .name = "journal",
    .help = "how accepted mail is made durable",
    KEYS(keys),
    .build = build,
};
