/*
 * config_lines: the files that a configuration names: one item a line, with
 * comments. What a line means is not known here.
 */
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/utf8.h"
#include "config/tree.h"

static bool
is_line_text(struct span line)
{
	for (size_t i = 0; i < line.len; i++) {
		if (ascii_is_control(line.ptr[i]) && line.ptr[i] != '\t')
			return false;
	}
	return utf8_valid(line);
}

/* The next line, trimmed; a CR at its end goes too. */
static struct span
next_line(struct span *text)
{
	const char *lf = memchr(text->ptr, '\n', text->len);
	struct span line = *text;

	if (lf)
		line.len = (size_t)(lf - text->ptr);
	span_skip(text, line.len + (lf ? 1 : 0));
	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	return ascii_trim(line);
}

static void
split_lines(struct config_all *all, struct config_faults *f, const char *file,
    struct span text, struct config_list *out)
{
	for (unsigned n = 1; text.len; n++) {
		struct span line = next_line(&text);

		if (!line.len || line.ptr[0] == '#')
			continue;
		if (!is_line_text(line)) {
			config_error(f, file, n,
			    "this line is not text: write it in UTF-8");
			continue;
		}
		config_list_add(&all->arena, out,
		    (struct config_item){arena_dup(&all->arena, line), file,
			n});
	}
}

static const char *
group_of(const struct config_all *all)
{
	return all->pub.group ? all->pub.group : all->pub.user;
}

/* Who may not read it, and what lets the daemon do so. */
static void
fault_permission(const struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path)
{
	struct passwd pw, *found = NULL;
	const char *user = "of no name";
	char names[1024];
	struct stat st;

	if (getpwuid_r(geteuid(), &pw, names, sizeof(names), &found) == 0 &&
	    found)
		user = found->pw_name;
	if (stat(path, &st) < 0)
		config_error(f, at->file, at->line,
		    "%s: %s: a directory on the way is closed to user %s", path,
		    strerror(EACCES), user);
	else
		config_error(f, at->file, at->line,
		    "%s: %s for user %s: chgrp %s, chmod 640", path,
		    strerror(EACCES), user, group_of(all));
}

void
config_check_secret(const struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_mode & (S_IROTH | S_IWOTH | S_IWGRP))
		config_warn(f, at->file, at->line,
		    "%s is a secret, and others can %s it: chgrp %s, chmod 640",
		    path, st.st_mode & S_IROTH ? "read" : "write",
		    group_of(all));
}

int
config_read_named(const struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path, struct buf *out)
{
	if (config_read(path, out) == 0)
		return 0;
	if (errno == EACCES)
		fault_permission(all, f, at, path);
	else
		config_error(f, at->file, at->line, "%s: %s", path,
		    strerror(errno));
	return -1;
}

void
config_read_lines(struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path, struct config_list *out)
{
	struct buf text = {0};

	if (config_read_named(all, f, at, path, &text) == 0)
		split_lines(all, f, path, buf_span(&text), out);
	buf_free(&text);
}
