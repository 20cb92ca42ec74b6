/*
 * scratch: see scratch.h. A question that cannot be answered fails the test.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch.h"

#define PATH_SIZE 4096

static char top[64];
static unsigned files;

int
scratch_setup(void **state)
{
	(void)state;
	snprintf(top, sizeof(top), "/dev/shm/smtpd-unit-XXXXXX");
	return mkdtemp(top) && !chdir(top) ? 0 : -1;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

int
scratch_teardown(void **state)
{
	(void)state;
	return chdir("/") || nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *
scratch_path(const char *rel)
{
	static char paths[8][PATH_SIZE];
	static unsigned next;
	char *p = paths[next++ % 8];

	snprintf(p, PATH_SIZE, "%s/%s", top, rel);
	return p;
}

const char *
scratch_maildir(const char *rel)
{
	static char text[PATH_SIZE + sizeof("maildir:")];

	snprintf(text, sizeof(text), "maildir:%s", scratch_path(rel));
	return text;
}

void
scratch_mkdir(const char *path)
{
	assert_int_equal(mkdir(path, 0700), 0);
}

void
scratch_mkdirs(const char *path)
{
	char *whole = strdup(path);

	assert_non_null(whole);
	for (char *p = whole; *p; p++) {
		if (p == whole || *p != '/')
			continue;
		*p = '\0';
		assert_true(mkdir(whole, 0700) == 0 || errno == EEXIST);
		*p = '/';
	}
	assert_true(mkdir(whole, 0700) == 0 || errno == EEXIST);
	free(whole);
}

void
scratch_touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	close(fd);
}

int
scratch_mode(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? -1 : (int)(st.st_mode & 07777);
}

bool
scratch_exists(const char *path)
{
	return scratch_mode(path) >= 0;
}

static unsigned
list(const char *dir, char *name, size_t size)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	unsigned n = 0;

	if (!d)
		return 0;
	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (name)
			snprintf(name, size, "%s/%s", dir, e->d_name);
		n++;
	}
	closedir(d);
	return n;
}

unsigned
scratch_count(const char *dir)
{
	return list(dir, NULL, 0);
}

static int
count_file(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)path;
	(void)f;
	if (type == FTW_F && S_ISREG(st->st_mode))
		files++;
	return 0;
}

unsigned
scratch_files(const char *dir)
{
	files = 0;
	nftw(dir, count_file, 16, FTW_PHYS);
	return files;
}

const char *
scratch_only(const char *dir)
{
	static char path[PATH_SIZE];

	assert_int_equal(list(dir, path, sizeof(path)), 1);
	return path;
}

struct buf
scratch_read(const char *path)
{
	struct buf b = {0};
	int fd = open(path, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	while ((n = read(fd, buf_reserve(&b, 65536), 65536)) > 0)
		b.len += (size_t)n;
	assert_int_equal(n, 0);
	close(fd);
	return b;
}
