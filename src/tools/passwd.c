/*
 * passwd: asks for a password, twice and unseen from a terminal, once from a
 * pipe, and prints the line that belongs into the password file. The
 * password is wiped; it never stands in the arguments, where ps shows it.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "policy/auth.h"
#include "proto/sasl.h"
#include "setup.h"
#include "tools/tool.h"

static int
fail(const char *text)
{
	fprintf(stderr, "smtpd passwd: %s\n", text);
	return 1;
}

/* --- reading --- */

/* One line without its end; NULL, or what is wrong with it. */
static const char *
read_line(struct buf *out)
{
	char c;
	ssize_t n;

	out->len = 0;
	/* never moved: a copy left behind could not be wiped */
	buf_reserve(out, AUTH_PASSWORD_MAX + 1);
	while ((n = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n') {
		if (out->len >= AUTH_PASSWORD_MAX)
			return "the password is too long: 511 octets are what "
			       "crypt(3) takes";
		buf_append(out, &c, 1);
	}
	if (n < 0 || (n == 0 && !out->len))
		return "no password was given";
	return NULL;
}

static const char *
prompt(const char *text, struct buf *out)
{
	const char *bad;

	fputs(text, stderr);
	bad = read_line(out);
	fputc('\n', stderr);
	return bad;
}

static const char *
ask_twice(struct buf *password)
{
	struct buf again = {0};
	const char *bad = prompt("Password: ", password);

	if (!bad)
		bad = prompt("Once more: ", &again);
	if (!bad && !span_equal(buf_span(password), buf_span(&again)))
		bad = "the two differ: nothing was printed, begin again";
	buf_wipe(&again);
	return bad;
}

/* --- the terminal --- */

static volatile sig_atomic_t caught;

static void
on_signal(int sig)
{
	caught = sig;
}

static const int deadly[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM};
#define DEADLY (sizeof(deadly) / sizeof(deadly[0]))

/* Whoever gives up half-way gets a terminal back that shows what is typed:
 * a deadly signal interrupts the reading, and kills when that is done. */
static void
delay_signals(struct sigaction old[DEADLY], struct sigaction *old_stop)
{
	const struct sigaction delay = {.sa_handler = on_signal};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	for (size_t i = 0; i < DEADLY; i++)
		sigaction(deadly[i], &delay, &old[i]);
	sigaction(SIGTSTP, &ignore, old_stop);
}

static void
restore_signals(const struct sigaction old[DEADLY],
    const struct sigaction *old_stop)
{
	for (size_t i = 0; i < DEADLY; i++)
		sigaction(deadly[i], &old[i], NULL);
	sigaction(SIGTSTP, old_stop, NULL);
}

/* Twice the same, without echo; what the terminal was it is again. */
static const char *
ask_terminal(struct buf *password)
{
	struct sigaction old[DEADLY], old_stop;
	struct termios before, silent;
	const char *bad;

	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return "the terminal cannot be asked: use a pipe";
	silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	delay_signals(old, &old_stop);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	bad = ask_twice(password);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	restore_signals(old, &old_stop);
	if (caught) {
		buf_wipe(password);
		raise(caught);
	}
	return bad;
}

/* --- what is asked for --- */

static const char *
check_user(struct span user)
{
	if (!user.len || user.len > SASL_USER_MAX || !utf8_valid(user))
		return "the user's name is empty, too long or not UTF-8";
	for (size_t i = 0; i < user.len; i++)
		if (user.ptr[i] == ':' || ascii_is_control(user.ptr[i]))
			return "a user's name has no colon and no control "
			       "characters";
	/* what the password file would take for blanks or a comment */
	if (user.ptr[0] == '#' || ascii_trim(user).len != user.len)
		return "a user's name has no blanks around it and no # in "
		       "front";
	return NULL;
}

/* What the mechanisms can carry, and no more: see RFC 4013 section 2.3. */
static const char *
check_password(struct span password)
{
	if (!password.len)
		return "the password is empty";
	if (!utf8_valid(password))
		return "the password is not UTF-8: no mail program could send "
		       "it";
	for (size_t i = 0; i < password.len; i++)
		if (ascii_is_control(password.ptr[i]))
			return "the password has control characters (does its "
			       "line end in CR LF?)";
	return NULL;
}

static int
print_line(struct span user, const struct buf *password, bool scram)
{
	struct buf line = {0};
	int status = 0;

	if (auth_password_line(user, buf_span(password), scram, &line) < 0) {
		status = fail("this system's crypt(3) knows no yescrypt");
	} else {
		buf_append(&line, "\n", 1);
		if (fwrite(line.data, 1, line.len, stdout) != line.len ||
		    fflush(stdout) != 0)
			status = fail("cannot write the line");
	}
	buf_free(&line);
	return status;
}

int
passwd_main(int argc, char **argv)
{
	bool scram = argc < 2 || strcmp(argv[1], "--no-scram") != 0;
	const char *user = argv[scram ? 1 : 2];
	struct buf password = {0};
	const char *bad;
	int status;

	if (argc != (scram ? 2 : 3) || user[0] == '-') {
		fputs("usage: smtpd passwd [--no-scram] user >> "
		      "password-file\n",
		    stderr);
		return EXIT_USAGE;
	}
	bad = check_user(span_str(user));
	if (!bad)
		bad = isatty(STDIN_FILENO) ? ask_terminal(&password)
					   : read_line(&password);
	if (!bad)
		bad = check_password(buf_span(&password));
	status = bad ? fail(bad) : print_line(span_str(user), &password, scram);
	buf_wipe(&password);
	return status;
}
