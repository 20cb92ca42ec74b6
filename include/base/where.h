/*
 * where: the line of the configuration behind a decision.
 */
#ifndef BASE_WHERE_H
#define BASE_WHERE_H

/* file lasts as long as the configuration; NULL: no line, a default. */
struct where {
	const char *file;
	unsigned line;
};

#endif
