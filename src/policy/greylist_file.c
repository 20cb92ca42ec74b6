/*
 * greylist_file: block by block, so that nothing takes as much memory again.
 *
 * The words are as they lie in memory; another machine's order of octets shows
 * in the magic. What is empty is left alone when it is read: a page that
 * nobody has touched takes no memory.
 */
#include "policy/greylist_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "io/full_io.h"
#include "io/shared.h"

#define MAGIC UINT64_C(0x313059455247444d) /* "MDGREY01" on most machines */

#define WORDS (GREYLIST_FILE_BLOCK / sizeof(uint64_t))
#define SETS  (WORDS / SHARED_CELLS_SET)

struct header {
	uint64_t magic;
	int64_t wall; /* ms since 1970, for whoever looks */
	uint8_t key[SIPHASH_KEY_LEN];
	uint32_t crc; /* of what is before */
};

struct block {
	uint64_t words[WORDS];
	uint32_t crc; /* of the words */
};

#define BLOCK_SIZE (GREYLIST_FILE_BLOCK + sizeof(uint32_t))
#define FILE_SIZE  (GREYLIST_FILE_HEADER + GREYLIST_FILE_BLOCKS * BLOCK_SIZE)

/* What one file takes; not for a stack. */
struct work {
	struct crc32c sums;
	struct block block;
};

static uint64_t
block_at(unsigned i)
{
	return GREYLIST_FILE_HEADER + (uint64_t)i * BLOCK_SIZE;
}

static uint32_t
sum(const struct work *w, const void *p, size_t n)
{
	return crc32c(&w->sums, 0, (struct span){p, n});
}

static struct work *
work_new(void)
{
	struct work *w = mem_new(sizeof(*w));

	crc32c_init(&w->sums);
	return w;
}

static _Atomic uint64_t *
word_of(struct shared_grey *t, unsigned block, unsigned i)
{
	return &t->sets[block * SETS + i / SHARED_CELLS_SET]
		    .words[i % SHARED_CELLS_SET];
}

/* --- reading --- */

static int
read_header(const struct work *w, int fd, struct header *h)
{
	if (full_pread(fd, (char *)h, sizeof(*h), 0) < 0)
		return -1;
	errno = EBADMSG;
	return h->magic == MAGIC &&
		       h->crc == sum(w, h, offsetof(struct header, crc))
		   ? 0
		   : -1;
}

static bool
read_block(struct work *w, int fd, struct shared_grey *t, unsigned n)
{
	if (full_pread(fd, (char *)&w->block, BLOCK_SIZE, block_at(n)) < 0 ||
	    w->block.crc != sum(w, w->block.words, GREYLIST_FILE_BLOCK))
		return false;
	for (unsigned i = 0; i < WORDS; i++)
		if (w->block.words[i])
			*word_of(t, n, i) = w->block.words[i];
	return true;
}

static int
read_all(struct work *w, int fd, struct shared_grey *t)
{
	int bad = 0;
	struct header h;

	if (lseek(fd, 0, SEEK_END) != (off_t)FILE_SIZE) {
		errno = EMEDIUMTYPE;
		return -1;
	}
	if (read_header(w, fd, &h) < 0)
		return -1;
	memcpy(t->hash_key, h.key, sizeof(h.key));
	for (unsigned i = 0; i < GREYLIST_FILE_BLOCKS; i++)
		bad += !read_block(w, fd, t, i);
	return bad;
}

int
greylist_file_read(struct shared_grey *t, int dir)
{
	int fd = full_open(dir, GREYLIST_FILE, O_RDONLY, FILE_SIZE);
	struct work *w;
	int bad;

	if (fd < 0)
		return -1;
	w = work_new();
	bad = read_all(w, fd, t);
	free(w);
	full_close(&fd);
	return bad;
}

/* --- writing --- */

#define NEW_NAME sizeof("greylist.4294967295.new")

static void
name_of(unsigned slot, char out[NEW_NAME])
{
	snprintf(out, NEW_NAME, GREYLIST_FILE ".%u.new", slot);
}

static int
write_header(const struct work *w, int fd, const struct shared_grey *t,
    int64_t wall)
{
	char octets[GREYLIST_FILE_HEADER] = {0};
	struct header h = {.magic = MAGIC};

	h.wall = wall;
	memcpy(h.key, t->hash_key, sizeof(h.key));
	h.crc = sum(w, &h, offsetof(struct header, crc));
	memcpy(octets, &h, sizeof(h));
	return full_pwrite(fd, (struct span){octets, sizeof(octets)}, 0);
}

static int
write_block(struct work *w, int fd, struct shared_grey *t, unsigned n)
{
	for (unsigned i = 0; i < WORDS; i++)
		w->block.words[i] = *word_of(t, n, i);
	w->block.crc = sum(w, w->block.words, GREYLIST_FILE_BLOCK);
	return full_pwrite(fd,
	    (struct span){(const char *)&w->block, BLOCK_SIZE}, block_at(n));
}

static int
write_all(int fd, struct shared_grey *t, int64_t wall)
{
	struct work *w = work_new();
	int r = write_header(w, fd, t, wall);

	for (unsigned i = 0; r == 0 && i < GREYLIST_FILE_BLOCKS; i++)
		r = write_block(w, fd, t, i);
	free(w);
	return r < 0 ? -1 : fsync(fd);
}

static int
put(struct shared_grey *t, int dir, unsigned slot, const char *name,
    int64_t wall, bool (*still)(const struct shared_grey *t, unsigned slot))
{
	int r, fd;

	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return -1;
	fd = full_open(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0);
	if (fd < 0)
		return -1;
	r = write_all(fd, t, wall);
	full_close(&fd);
	if (r == 0 && still && !still(t, slot)) {
		errno = ECANCELED;
		r = -1;
	}
	if (r < 0 || renameat(dir, name, dir, GREYLIST_FILE) < 0)
		return full_unlink(dir, name);
	return full_sync_dir(dir);
}

int
greylist_file_write(struct shared_grey *t, int dir, unsigned slot, int64_t wall,
    bool (*still)(const struct shared_grey *t, unsigned slot))
{
	char name[NEW_NAME];
	int r;

	name_of(slot, name);
	/* before a word is looked at: what changes from now on counts anew */
	t->changed = 0;
	r = put(t, dir, slot, name, wall, still);
	if (r < 0)
		t->changed = 1;
	return r;
}

void
greylist_file_tidy(int dir)
{
	char name[NEW_NAME];

	for (unsigned i = 0; i < SHARED_SLOTS; i++) {
		name_of(i, name);
		full_unlink(dir, name);
	}
}
