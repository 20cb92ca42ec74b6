/*
 * file: whole files, and those of one item a line, with comments. What a line
 * means is not known here.
 */
#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/siphash.h"
#include "base/utf8.h"
#include "io/full_io.h"

#define READ_STEP 65536

/* Never 0, as what is missing is. */
static uint64_t
mark(const struct stat *st)
{
	static const uint8_t key[SIPHASH_KEY_LEN];
	const uint64_t is[] = {st->st_dev, st->st_ino, (uint64_t)st->st_size,
	    (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec};

	return 1 | siphash(key, is, sizeof(is));
}

static void
note(struct config_all *all, const char *path, const struct stat *st)
{
	struct config_file *file = arena_alloc(&all->arena, sizeof(*file));

	*file = (struct config_file){.path = path,
	    .mark = mark(st),
	    .next = all->pub.files};
	all->pub.files = file;
}

uint64_t
config_files_look(const struct config *c, bool certificates)
{
	uint64_t all = 1;
	bool changed = false;

	for (const struct config_file *f = c->files; f; f = f->next) {
		struct stat st;
		uint64_t now;

		if (f->certificate != certificates)
			continue;
		now = stat(f->path, &st) == 0 ? mark(&st) : 0;
		changed |= now != f->mark;
		all = all * 31 + now;
	}
	return changed ? all | 1 : 0;
}

static int
read_all(int fd, const struct stat *st, struct buf *out)
{
	size_t start = out->len;
	ssize_t n;

	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)) {
		errno = ENXIO; /* as open() says of a socket */
		return -1;
	}
	for (;;) {
		n = read(fd, buf_reserve(out, READ_STEP), READ_STEP);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		out->len += (size_t)n;
		if (out->len - start > CONFIG_FILE_MAX) {
			errno = EFBIG;
			return -1;
		}
	}
}

/* Some editors put a byte order mark in front: it is no part of any name. */
static void
drop_bom(struct buf *b, size_t from)
{
	static const char bom[3] = {'\xef', '\xbb', '\xbf'};

	if (b->len - from < sizeof(bom) ||
	    memcmp(b->data + from, bom, sizeof(bom)) != 0)
		return;
	b->len -= sizeof(bom);
	memmove(b->data + from, b->data + from + sizeof(bom), b->len - from);
}

int
config_read(struct config_all *all, const char *path, struct buf *out)
{
	size_t from = out->len;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r;

	if (fd < 0)
		return -1;
	r = fstat(fd, &st);
	if (r == 0) {
		note(all, path, &st);
		r = read_all(fd, &st, out);
	}
	full_close(&fd);
	if (r == 0)
		drop_bom(out, from);
	return r;
}

const char *
config_read_why(void)
{
	return errno == ENXIO ? "it is no regular file" : strerror(errno);
}

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
config_read_named(struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path, struct buf *out)
{
	if (config_read(all, path, out) == 0)
		return 0;
	if (errno == EACCES)
		fault_permission(all, f, at, path);
	else
		config_error(f, at->file, at->line, "%s: %s", path,
		    config_read_why());
	return -1;
}

bool
config_read_pem(struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path, struct buf *out)
{
	if (config_read_named(all, f, at, path, out) < 0)
		return false;
	all->pub.files->certificate = true;
	return true;
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

void
config_check_directory(const struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && st.st_mode & (S_IWGRP | S_IWOTH))
		config_error(f, at->file ? at->file : all->pub.file, at->line,
		    "%s: others than user %.80s can write there: name a "
		    "directory that is its alone",
		    path, all->pub.user);
}
