/*
 * crc32c: the Castagnoli checksum (RFC 3720, appendix B.4), by the machine's
 * own instruction where there is one. It finds damage, not forgery.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stdint.h>

#include "base/buf.h"

/* Made once with crc32c_init(), then constant: threads may share it. */
struct crc32c {
	uint32_t table[8][256];
	int hardware;
};

void crc32c_init(struct crc32c *c);

/* Goes on from crc; the first one is 0. */
uint32_t crc32c(const struct crc32c *c, uint32_t crc, struct span s);

#endif
