/*
 * hosts: hosts(5), line by line. What has no good address in front says
 * nothing.
 */
#include "io/hosts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"

/* Cut out of the line, of which *line is the rest; NULL at its end. */
static char *
next_word(char **line)
{
	char *word;

	do
		word = strsep(line, " \t\r\n");
	while (word && !*word);
	return word;
}

static void
add(struct known_host *h, const struct ipaddr *ip)
{
	/* a line may have a name twice */
	if (h->n && ipaddr_equal(&h->addrs[h->n - 1], ip))
		return;
	if (h->n < HOSTS_ADDRS_MAX)
		h->addrs[h->n++] = *ip;
}

static void
take_line(char *line, struct known_host *hosts, unsigned n)
{
	struct ipaddr ip;
	char *word;

	line[strcspn(line, "#")] = '\0';
	word = next_word(&line);
	if (!word || ipaddr_parse(span_str(word), &ip) < 0)
		return;
	while ((word = next_word(&line)))
		for (unsigned i = 0; i < n; i++)
			if (ascii_equal_str(span_str(word), hosts[i].name))
				add(&hosts[i], &ip);
}

/* 0, or -1 with errno. */
static int
take_lines(const char *path, struct known_host *hosts, unsigned n)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	int failed;

	if (!file)
		return -1;
	while (getline(&line, &room, file) > 0)
		take_line(line, hosts, n);
	failed = ferror(file) ? errno : 0;
	free(line);
	fclose(file);
	errno = failed;
	return failed ? -1 : 0;
}

int
hosts_read(const char *path, const char *const *names, unsigned n,
    struct arena *a, const struct known_host **r)
{
	struct known_host *hosts = arena_alloc(a, n * sizeof(*hosts));
	unsigned found = 0;

	*r = hosts;
	for (unsigned i = 0; i < n; i++)
		hosts[i].name = arena_dup(a, span_str(names[i]));
	if (take_lines(path, hosts, n) < 0)
		return -1;
	for (unsigned i = 0; i < n; i++)
		if (hosts[i].n)
			hosts[found++] = hosts[i];
	return (int)found;
}

const struct known_host *
hosts_find(const struct known_host *hosts, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (ascii_equal_str(span_str(name), hosts[i].name))
			return &hosts[i];
	return NULL;
}
