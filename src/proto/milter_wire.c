/*
 * milter_wire: numbers are sendmail's (libmilter/mfdef.h), big-endian.
 */
#include "proto/milter_wire.h"

#include <assert.h>
#include <string.h>

#include "base/ascii.h"
#include "proto/smtp_reply.h"

#define VERSION     6
#define VERSION_MIN 2
#define DATA_SINCE  4 /* the first version that knows DATA */

/* Actions: what it may do to a message. */
#define ADD_HEADERS    0x01u
#define CHANGE_HEADERS 0x10u
/* In name alone, since opendmarc talks to nobody who does not offer it: whoever
 * does it says what makes no sense here. */
#define QUARANTINE 0x20u
#define ACTIONS    (ADD_HEADERS | CHANGE_HEADERS | QUARANTINE)

/* Protocol: what it wants not to hear (NO), and not to answer (NR). */
#define NO_CONNECT    0x000001u
#define NO_HELO       0x000002u
#define NO_MAIL       0x000004u
#define NO_RCPT       0x000008u
#define NO_BODY       0x000010u
#define NO_HEADERS    0x000020u
#define NO_HEADER_END 0x000040u
#define NR_HEADERS    0x000080u
#define NO_UNKNOWN    0x000100u
#define NO_DATA       0x000200u
#define SKIP          0x000400u
#define NR_CONNECT    0x001000u
#define NR_HELO       0x002000u
#define NR_MAIL       0x004000u
#define NR_RCPT       0x008000u
#define NR_DATA       0x010000u
#define NR_UNKNOWN    0x020000u
#define NR_HEADER_END 0x040000u
#define NR_BODY       0x080000u
#define LEADING_SPACE 0x100000u
/* All of them; not 0x800, to hear of refused recipients. */
#define PROTOCOL 0x1ff7ffu

static const struct {
	char command;
	uint32_t no, nr;
} flags[] = {
    {MILTER_CONNECT, NO_CONNECT, NR_CONNECT},
    {MILTER_HELO, NO_HELO, NR_HELO},
    {MILTER_MAIL, NO_MAIL, NR_MAIL},
    {MILTER_RCPT, NO_RCPT, NR_RCPT},
    {MILTER_DATA, NO_DATA, NR_DATA},
    {MILTER_HEADER, NO_HEADERS, NR_HEADERS},
    {MILTER_HEADER_END, NO_HEADER_END, NR_HEADER_END},
    {MILTER_BODY, NO_BODY, NR_BODY},
};

/* --- what we say --- */

static void
put_be(char *p, uint32_t v, int octets)
{
	while (octets--) {
		p[octets] = (char)v;
		v >>= 8;
	}
}

static uint32_t
get_be(const char *p)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++)
		v = v << 8 | (uint8_t)p[i];
	return v;
}

static void
add_be(struct buf *out, uint32_t v, int octets)
{
	put_be(buf_reserve(out, (size_t)octets), v, octets);
	out->len += (size_t)octets;
}

/* Where it begins, for end(). */
static size_t
begin(struct buf *out, char command)
{
	size_t at = out->len;

	add_be(out, 0, 4);
	buf_append(out, &command, 1);
	return at;
}

static void
end(struct buf *out, size_t at)
{
	put_be(out->data + at, (uint32_t)(out->len - at - 4), 4);
}

static void
add_string(struct buf *out, const char *s)
{
	buf_append(out, s, strlen(s) + 1);
}

void
milter_wire_options(struct buf *out)
{
	size_t at = begin(out, MILTER_OPTIONS);

	add_be(out, VERSION, 4);
	add_be(out, ACTIONS, 4);
	add_be(out, PROTOCOL, 4);
	end(out, at);
}

void
milter_wire_macros(struct buf *out, enum milter_command for_command,
    const struct milter_macro *m, unsigned n)
{
	const char command = (char)for_command;
	size_t at = begin(out, 'D'), empty;

	buf_append(out, &command, 1);
	empty = out->len;
	for (unsigned i = 0; i < n; i++) {
		if (!m[i].value)
			continue;
		add_string(out, m[i].name);
		add_string(out, m[i].value);
	}
	if (out->len == empty)
		out->len = at;
	else
		end(out, at);
}

void
milter_wire_connect(struct buf *out, const char *name,
    const struct ipaddr *client, uint16_t port)
{
	size_t at = begin(out, MILTER_CONNECT);
	char text[IPADDR_STRLEN];

	add_string(out, name ? name : "unknown");
	if (client->family == IP_NONE) {
		buf_append(out, "U", 1);
	} else {
		buf_append(out, client->family == IP_V4 ? "4" : "6", 1);
		add_be(out, port, 2);
		add_string(out, ipaddr_format(client, text));
	}
	end(out, at);
}

void
milter_wire_helo(struct buf *out, const char *name)
{
	size_t at = begin(out, MILTER_HELO);

	add_string(out, name);
	end(out, at);
}

void
milter_wire_path(struct buf *out, enum milter_command command,
    struct span address, const char *const *args, unsigned n)
{
	size_t at = begin(out, (char)command);

	buf_append(out, "<", 1);
	buf_append_span(out, address);
	add_string(out, ">");
	for (unsigned i = 0; i < n; i++)
		if (args[i])
			add_string(out, args[i]);
	end(out, at);
}

void
milter_wire_header(struct buf *out, struct span name, struct span value,
    bool space)
{
	size_t at = begin(out, MILTER_HEADER), from;

	buf_append_span(out, name);
	buf_append(out, "", 1);
	if (!space && value.len && value.ptr[0] == ' ')
		span_skip(&value, 1);
	from = out->len;
	buf_append_span(out, value);
	for (; from < out->len; from++)
		if (!out->data[from] || out->data[from] == '\r')
			out->data[from] = ' ';
	buf_append(out, "", 1);
	end(out, at);
}

void
milter_wire_body(struct buf *out, struct span octets)
{
	size_t at = begin(out, MILTER_BODY);

	assert(octets.len <= MILTER_BODY_MAX);
	buf_append_span(out, octets);
	end(out, at);
}

void
milter_wire_command(struct buf *out, enum milter_command command)
{
	end(out, begin(out, (char)command));
}

/* --- what it says --- */

enum milter_cut
milter_wire_cut(struct span *in, struct milter_packet *p)
{
	uint32_t n;

	if (in->len < 4)
		return MILTER_CUT_MORE;
	n = get_be(in->ptr);
	if (!n || n > MILTER_PACKET_MAX)
		return MILTER_CUT_BAD;
	if (in->len - 4 < n)
		return MILTER_CUT_MORE;
	p->command = in->ptr[4];
	p->data = (struct span){in->ptr + 5, n - 1};
	span_skip(in, 4 + (size_t)n);
	return MILTER_CUT_PACKET;
}

bool
milter_wire_read_options(struct span data, struct milter_options *o)
{
	if (data.len < 12)
		return false;
	o->version = get_be(data.ptr);
	o->actions = get_be(data.ptr + 4) & ACTIONS;
	o->protocol = get_be(data.ptr + 8) & PROTOCOL;
	if (o->version < DATA_SINCE)
		o->protocol |= NO_DATA;
	return o->version >= VERSION_MIN && o->version <= VERSION;
}

static uint32_t
no_flag(enum milter_command c, bool answer)
{
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (flags[i].command == (char)c)
			return answer ? flags[i].nr : flags[i].no;
	return 0;
}

bool
milter_wants(const struct milter_options *o, enum milter_command c)
{
	return !(o->protocol & no_flag(c, false));
}

bool
milter_answers(const struct milter_options *o, enum milter_command c)
{
	return !(o->protocol & no_flag(c, true));
}

bool
milter_may_skip(const struct milter_options *o)
{
	return o->protocol & SKIP;
}

bool
milter_keeps_space(const struct milter_options *o)
{
	return o->protocol & LEADING_SPACE;
}

bool
milter_may_edit(const struct milter_options *o, char reply)
{
	return o->actions &
	       (reply == MILTER_CHANGE ? CHANGE_HEADERS : ADD_HEADERS);
}

/* Up to a NUL, which is taken too. */
static bool
cut_string(struct span *data, struct span *s)
{
	const char *nul = data->len ? memchr(data->ptr, '\0', data->len) : NULL;

	if (!nul)
		return false;
	*s = (struct span){data->ptr, (size_t)(nul - data->ptr)};
	span_skip(data, s->len + 1);
	return true;
}

bool
milter_wire_read_edit(const struct milter_packet *p, struct milter_edit *e)
{
	struct span data = p->data;

	*e = (struct milter_edit){.command = p->command};
	if (p->command != MILTER_ADD) {
		if (data.len < 4)
			return false;
		e->n = get_be(data.ptr);
		span_skip(&data, 4);
	}
	return cut_string(&data, &e->name) && cut_string(&data, &e->value) &&
	       !data.len;
}

/* --- a reply's text --- */

static bool
cut_line(struct span *s, struct span *line)
{
	const char *lf = s->len ? memchr(s->ptr, '\n', s->len) : NULL;

	*line = *s;
	if (lf)
		line->len = (size_t)(lf - s->ptr);
	if (!s->len)
		return false;
	span_skip(s, line->len + (lf != NULL));
	if (line->len && line->ptr[line->len - 1] == '\r')
		line->len--;
	return true;
}

/* "550 ", "550-" or "550" alone. */
static unsigned
cut_code(struct span *line)
{
	struct span digits = {line->ptr, 3};
	uint64_t code;

	if (line->len < 3 || ascii_parse_u64(digits, 599, &code) < 0 ||
	    code < 400 ||
	    (line->len > 3 && line->ptr[3] != ' ' && line->ptr[3] != '-'))
		return 0;
	span_skip(line, line->len > 3 ? 4 : 3);
	return (unsigned)code;
}

/* False: it is of another class. */
static bool
cut_status(struct span *line, struct milter_text *t)
{
	size_t n = smtp_reply_status_len(*line);

	if (!n)
		return true;
	if (line->ptr[0] != (char)('0' + t->code / 100) ||
	    n >= sizeof(t->status))
		return false;
	memcpy(t->status, line->ptr, n);
	t->status[n] = '\0';
	span_skip(line, n);
	return true;
}

/* A percent sign is sent as two. */
static void
add_text(struct milter_text *t, struct span line)
{
	size_t len = strlen(t->text);

	line = ascii_trim(line);
	if (len && line.len && len < MILTER_TEXT_MAX)
		t->text[len++] = ' ';
	for (size_t i = 0; i < line.len && len < MILTER_TEXT_MAX; i++) {
		t->text[len++] = line.ptr[i];
		if (line.ptr[i] == '%' && i + 1 < line.len &&
		    line.ptr[i + 1] == '%')
			i++;
	}
	ascii_mask(t->text, len);
	t->text[len] = '\0';
}

bool
milter_wire_read_text(struct span data, struct milter_text *t)
{
	struct span all, line;
	unsigned code;

	*t = (struct milter_text){.code = 0};
	if (!cut_string(&data, &all) || data.len)
		return false;
	while (cut_line(&all, &line)) {
		code = cut_code(&line);
		if (!code || (t->code && code != t->code))
			return false;
		t->code = code;
		if (!cut_status(&line, t))
			return false;
		add_text(t, line);
	}
	return t->code;
}
