/*
 * config_hostname: the name that is greeted with, where none is written.
 *
 * A machine whose own name has no dot is looked up for its full one, once,
 * at the first start, by a child: name servers that are silent would keep
 * whoever asks them for a minute.
 */
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/ascii.h"
#include "config/tree.h"

#define LOOKUP_MS 3000
#define NAME_LEN  256

/* In the child. */
static void
look_up(const char *name, int fd)
{
	const struct addrinfo hints = {.ai_flags = AI_CANONNAME};
	struct addrinfo *ai;
	const char *full;

	if (getaddrinfo(name, NULL, &hints, &ai) != 0)
		_exit(1);
	full = ai->ai_canonname;
	if (!full || !strchr(full, '.') || strlen(full) >= NAME_LEN)
		_exit(1);
	_exit(write(fd, full, strlen(full)) < 0 ? 1 : 0);
}

/* Turns name into the full one, if there is one. */
static void
find_full_name(char name[NAME_LEN])
{
	struct pollfd p = {.events = POLLIN};
	ssize_t n = 0;
	int fd[2];
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0)
		look_up(name, fd[1]);
	close(fd[1]);
	p.fd = fd[0];
	if (pid > 0) {
		if (poll(&p, 1, LOOKUP_MS) > 0)
			n = read(fd[0], name, NAME_LEN - 1);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(fd[0]);
	if (n > 0)
		name[n] = '\0';
}

/* As far as it is known. */
static void
name_machine(struct config_all *all, bool starting)
{
	char name[NAME_LEN] = "";

	gethostname(name, sizeof(name) - 1);
	if (starting && !strchr(name, '.'))
		find_full_name(name);
	all->pub.machine = arena_dup(&all->arena, span_str(name));
}

/* Found, not written: so it must be looked at like a written one. */
static void
take_machine_name(struct config_all *all, struct config_faults *f)
{
	const struct config_key *k =
	    config_key_find(all->top->section, SPAN_LIT("hostname"));
	const char *name = all->pub.machine;
	char why[CONFIG_WHY_MAX];

	if (config_value_set(k, all, name, NULL, &all->arena, why) < 0)
		config_error(f, all->pub.file, 0,
		    "this machine has no usable name (\"%.80s\"): write "
		    "hostname = \"mx.example.org\"",
		    name);
	else if (!strchr(name, '.') && all->whole)
		config_warn(f, all->pub.file, 0,
		    "no hostname is written, and the full name of this "
		    "machine, \"%.80s\", was not found: write "
		    "hostname = \"%.80s.example.org\"",
		    name, name);
}

void
config_build_hostname(struct config_all *all, struct config_faults *f,
    const struct config *old)
{
	struct config_item at = config_where(all->top, "hostname");
	const char *name = all->pub.hostname;

	/* a reload takes what the start has found, and asks nobody */
	if (old && old->machine)
		all->pub.machine =
		    arena_dup(&all->arena, span_str(old->machine));
	else if (!name && !at.text)
		name_machine(all, !old);
	if (!name && !at.text)
		take_machine_name(all, f);
	else if (name && all->whole && !strchr(name, '.') &&
		 !ascii_equal_str(span_str(name), "localhost"))
		config_warn(f, at.file, at.line,
		    "hostname \"%.80s\" has no dot: other servers expect a "
		    "full name, write hostname = \"%.80s.example.org\"",
		    name, name);
}
