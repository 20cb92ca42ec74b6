/*
 * check_options: names the right option where somebody took another.
 */
#include "tools/check_options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
#include "io/full_io.h"
#include "setup.h"

#define WORD_MAX  500 /* octets of what stands in a command */
#define READ_STEP 65536

static int
wrong(const char *option, const char *value, const char *write)
{
	fprintf(stderr, "smtpd check: %s \"%.80s\": %s\n", option, value,
	    write);
	return -1;
}

/* What goes into a command is one line. */
static bool
is_word(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (ascii_is_control(s[i]))
			return false;
	return n < WORD_MAX;
}

static int
check_address(const char *option, const char *value)
{
	struct ipaddr ip;

	if (ipaddr_parse(span_str(value), &ip) == 0)
		return wrong(option, value, "that is an IP: write --ip for it");
	return is_word(value)
		   ? 0
		   : wrong(option, value, "it is no address of mail");
}

static int
check_values(struct check_options *o)
{
	if (strchr(o->ip, '@'))
		return wrong("--ip", o->ip,
		    "that is an address of mail: write --from or --rcpt for "
		    "it");
	if (ipaddr_parse(span_str(o->ip), &o->client) < 0)
		return wrong("--ip", o->ip, "write an IP, as in 192.0.2.1");
	if (!o->helo)
		o->helo = smtp_literal_format(&o->client, o->literal);
	if (strcmp(o->from, "<>") == 0)
		o->from = "";
	if (!is_word(o->helo))
		return wrong("--helo", o->helo, "it is no name");
	if (check_address("--from", o->from) < 0 ||
	    check_address("--rcpt", o->rcpt) < 0)
		return -1;
	return 0;
}

/* argv ends with NULL. */
static int
parse(char **argv, struct check_options *o)
{
	const struct {
		const char *name, **value;
	} known[] = {{"-f", &o->file}, {"--ip", &o->ip}, {"--helo", &o->helo},
	    {"--from", &o->from}, {"--rcpt", &o->rcpt}, {"--user", &o->user}};
	const size_t n = sizeof(known) / sizeof(known[0]);
	size_t i;

	for (; *argv; argv++) {
		for (i = 0; i < n && strcmp(*argv, known[i].name) != 0;)
			i++;
		if (i < n && argv[1])
			*known[i].value = *++argv;
		else if (!strcmp(*argv, "--no-dns"))
			o->no_dns = true;
		else if (!strcmp(*argv, "--no-milter"))
			o->no_milter = true;
		else if (**argv != '-' && !o->message)
			o->message = *argv;
		else
			return -1;
	}
	return o->ip && o->rcpt ? 0 : -1;
}

int
check_options_read(struct check_options *o, char **argv)
{
	*o = (struct check_options){.file = CONFIG_PATH, .from = ""};
	if (parse(argv, o) == 0)
		return check_values(o);
	fputs("usage: smtpd check --ip address [--helo name] [--from sender] "
	      "--rcpt recipient\n"
	      "       [--user login] [--no-dns] [--no-milter]\n"
	      "       [-f file] [message]\n",
	    stderr);
	return -1;
}

/* --- the message --- */

static const char example[] = "From: <check@localhost>\r\n"
			      "Subject: smtpd check\r\n"
			      "\r\n"
			      "This message is delivered to nobody.\r\n.\r\n";

/* CRLF, and dots at the beginning of a line doubled (RFC 5321 4.5.2). */
static void
stuff(struct span text, struct buf *out)
{
	bool begun = true;

	for (size_t i = 0; i < text.len; i++) {
		char ch = text.ptr[i];

		if (begun && ch == '.')
			buf_append(out, ".", 1);
		if (ch == '\n' && (!i || text.ptr[i - 1] != '\r'))
			buf_append(out, "\r", 1);
		buf_append(out, &ch, 1);
		begun = ch == '\n';
	}
	buf_append_str(out, begun ? ".\r\n" : "\r\n.\r\n");
}

static int
read_all(const char *path, uint64_t max, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = -1;

	while (fd >= 0 && out->len <= max &&
	       (n = read(fd, buf_reserve(out, READ_STEP), READ_STEP)) > 0)
		out->len += (size_t)n;
	if (n < 0)
		fprintf(stderr, "smtpd check: %s: %s\n", path, strerror(errno));
	full_close(&fd);
	return n < 0 ? EXIT_FAILED : 0;
}

int
check_options_message(const struct check_options *o, const struct config *c,
    struct buf *out)
{
	struct buf text = {0};
	uint64_t max = 0;
	int status;

	for (unsigned i = 0; i < c->nlistens; i++)
		if (c->listens[i].smtp.message_size > max)
			max = c->listens[i].smtp.message_size;
	if (!o->message) {
		buf_append(out, example, sizeof(example) - 1);
		return 0;
	}
	status = read_all(o->message, max, &text);
	if (!status)
		stuff(buf_span(&text), out);
	buf_free(&text);
	return status;
}
