/*
 * scan: looks at a text before libconfuse does.
 */
#ifndef CONFIG_SCAN_H
#define CONFIG_SCAN_H

#include "config/fault.h"

enum config_scanned {
	SCAN_GOOD,
	SCAN_UNKNOWN, /* something was blanked that is not a comment */
	SCAN_BAD,     /* not for libconfuse */
};

/*
 * Refuses what libconfuse would misread and reports every unknown key.
 * Comments and what is unknown are blanked in place; text[len] is NUL.
 */
enum config_scanned config_scan(struct config_faults *f, const char *file,
    char *text, size_t len);

#endif
