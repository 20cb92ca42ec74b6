/*
 * milter_say: what a milter is told of a message, step by step.
 */
#include <stdio.h>

#include "policy/milter_state.h"

#ifndef SMTPD_VERSION
#define SMTPD_VERSION "unknown"
#endif

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MACROS(c, ...)                                                         \
	do {                                                                   \
		const struct milter_macro all_[] = {__VA_ARGS__};              \
                                                                               \
		milter_wire_macros(&m->out, (c), all_, COUNT(all_));           \
	} while (0)

/* Macros go out also where the command does not: they are for what follows. */
static bool
wants(const struct milter *m, enum milter_command c)
{
	return milter_wants(&m->options, c);
}

static void
said(struct milter *m, enum milter_command c)
{
	m->awaits = milter_answers(&m->options, c);
}

/* With its NUL. */
static const char *
format_path(const struct smtp_path *p, struct buf *text)
{
	smtp_path_format(p, text);
	buf_append(text, "", 1);
	return text->data;
}

static const struct envelope *
envelope(const struct milter *m)
{
	return m->task.message->env;
}

static enum milter_said
say_options(struct milter *m)
{
	milter_wire_options(&m->out);
	m->awaits = true;
	m->step = STEP_CONNECT;
	return MILTER_SAID;
}

static enum milter_said
say_connect(struct milter *m)
{
	const struct filter_message *msg = m->task.message;
	const struct envelope *e = msg->env;
	const char *name = msg->client_name ? msg->client_name : "unknown";
	char client[IPADDR_STRLEN], server[IPADDR_STRLEN], port[6], local[6];

	ipaddr_format(&e->client, client);
	ipaddr_format(&e->server, server);
	snprintf(port, sizeof(port), "%u", (unsigned)e->port);
	snprintf(local, sizeof(local), "%u", (unsigned)msg->port);
	MACROS(MILTER_CONNECT, {"j", m->task.machine},
	    {"{daemon_name}", msg->hostname},
	    {"{daemon_addr}", *server ? server : NULL},
	    {"{daemon_port}", msg->port ? local : NULL},
	    {"{client_addr}", *client ? client : NULL},
	    {"{client_port}", *client ? port : NULL}, {"{client_name}", name},
	    {"{client_ptr}", name}, {"v", "smtpd " SMTPD_VERSION});
	if (wants(m, MILTER_CONNECT)) {
		milter_wire_connect(&m->out, msg->client_name, &e->client,
		    e->port);
		said(m, MILTER_CONNECT);
	}
	m->step = STEP_HELO;
	return MILTER_SAID;
}

static enum milter_said
say_helo(struct milter *m)
{
	const struct envelope *e = envelope(m);

	MACROS(MILTER_HELO, {"{tls_version}", e->tls_version},
	    {"{cipher}", e->tls_cipher});
	if (e->helo && wants(m, MILTER_HELO)) {
		milter_wire_helo(&m->out, e->helo);
		said(m, MILTER_HELO);
	}
	m->step = STEP_MAIL;
	return MILTER_SAID;
}

static enum milter_said
say_mail(struct milter *m)
{
	const struct envelope *e = envelope(m);
	char id[MESSAGE_ID_MAX], size[32];
	const char *const args[] = {e->size ? size : NULL,
	    e->eightbit ? "BODY=8BITMIME" : NULL, e->utf8 ? "SMTPUTF8" : NULL};
	struct buf text = {0};
	const char *from = format_path(&e->sender, &text);

	envelope_message_id(e, id);
	snprintf(size, sizeof(size), "SIZE=%llu", (unsigned long long)e->size);
	MACROS(MILTER_MAIL, {"i", id}, {"{auth_type}", e->mechanism},
	    {"{auth_authen}", e->login}, {"{mail_addr}", from},
	    {"{mail_host}", *e->sender.domain ? e->sender.domain : NULL});
	if (wants(m, MILTER_MAIL)) {
		milter_wire_path(&m->out, MILTER_MAIL, span_str(from), args,
		    COUNT(args));
		said(m, MILTER_MAIL);
	}
	buf_free(&text);
	m->rcpt = e->rcpts;
	m->step = STEP_RCPT;
	return MILTER_SAID;
}

static enum milter_said
say_rcpt(struct milter *m)
{
	struct buf text = {0};
	const struct envelope_rcpt *r = m->rcpt;
	const char *to;

	if (!r) {
		m->step = STEP_DATA;
		return MILTER_SAID;
	}
	m->rcpt = r->next;
	to = format_path(&r->path, &text);
	MACROS(MILTER_RCPT, {"{rcpt_addr}", to},
	    {"{rcpt_host}", *r->path.domain ? r->path.domain : NULL});
	if (wants(m, MILTER_RCPT)) {
		milter_wire_path(&m->out, MILTER_RCPT, span_str(to), NULL, 0);
		said(m, MILTER_RCPT);
	}
	buf_free(&text);
	return MILTER_SAID;
}

/* Those of which there is nothing more to say than that they are. */
static void
say_plain(struct milter *m, enum milter_command c, enum milter_step next)
{
	char id[MESSAGE_ID_MAX];

	envelope_message_id(envelope(m), id);
	MACROS(c, {"i", id});
	if (wants(m, c)) {
		milter_wire_command(&m->out, c);
		said(m, c);
	}
	m->step = next;
}

static enum milter_said
say_data(struct milter *m)
{
	say_plain(m, MILTER_DATA, STEP_HEADER);
	m->field = m->task.header->above ? m->task.header->above
					 : m->task.header->fields;
	m->below = !m->task.header->above;
	return MILTER_SAID;
}

/* Our own lines are not there yet, and no field to a milter. */
static enum milter_said
say_header(struct milter *m)
{
	const struct header_field *f = m->field;

	if (f) {
		m->field = f->next;
		if (!m->field && !m->below) {
			m->field = m->task.header->fields;
			m->below = true;
		}
		if (!f->name.len || !wants(m, MILTER_HEADER))
			return MILTER_SAID;
		milter_wire_header(&m->out, f->name, f->value,
		    milter_keeps_space(&m->options));
		said(m, MILTER_HEADER);
	} else {
		m->step = STEP_HEADER_END;
	}
	return MILTER_SAID;
}

static enum milter_said
say_header_end(struct milter *m)
{
	say_plain(m, MILTER_HEADER_END, STEP_BODY);
	return MILTER_SAID;
}

static void
on_more(void *ctx)
{
	milter_go_on(ctx);
}

/* As it leaves for other servers, so that a signature fits. */
static enum milter_said
read_body(struct milter *m)
{
	const struct span none = {NULL, 0};
	struct span s;

	if (!m->content)
		m->content = content_new(m->task.services->jobs, none,
		    &m->task.body, on_more, m);
	switch (content_next(m->content, &s)) {
	case CONTENT_DATA:
		client_body_add(&m->lines, s, false, &m->text);
		return MILTER_SAID;
	case CONTENT_END:
		client_body_end(&m->lines, false, &m->text);
		m->read = true;
		return MILTER_SAID;
	case CONTENT_WAIT:
		return MILTER_WAITS;
	default:
		return MILTER_FAILS;
	}
}

static enum milter_said
say_body(struct milter *m)
{
	struct span piece = buf_span(&m->text);

	if (!wants(m, MILTER_BODY) || (m->read && !piece.len)) {
		m->step = STEP_BODY_END;
		return MILTER_SAID;
	}
	if (piece.len < MILTER_BODY_MAX && !m->read)
		return read_body(m);
	if (piece.len > MILTER_BODY_MAX)
		piece.len = MILTER_BODY_MAX;
	milter_wire_body(&m->out, piece);
	buf_consume(&m->text, piece.len);
	said(m, MILTER_BODY);
	return MILTER_SAID;
}

static enum milter_said
say_body_end(struct milter *m)
{
	say_plain(m, MILTER_BODY_END, STEP_ALL);
	return MILTER_SAID;
}

enum milter_said
milter_say(struct milter *m)
{
	static enum milter_said (*const steps[])(struct milter *) = {
	    [STEP_OPTIONS] = say_options,
	    [STEP_CONNECT] = say_connect,
	    [STEP_HELO] = say_helo,
	    [STEP_MAIL] = say_mail,
	    [STEP_RCPT] = say_rcpt,
	    [STEP_DATA] = say_data,
	    [STEP_HEADER] = say_header,
	    [STEP_HEADER_END] = say_header_end,
	    [STEP_BODY] = say_body,
	    [STEP_BODY_END] = say_body_end,
	};

	return steps[m->step](m);
}
