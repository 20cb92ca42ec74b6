/*
 * section_domain: a domain block as it is written, for those who look at it
 * after it was built.
 */
#ifndef CONFIG_SECTION_DOMAIN_H
#define CONFIG_SECTION_DOMAIN_H

#include "config/section.h"

struct domain_block {
	char *users_file, *users_from, *aliases_file;
	uint64_t message_size; /* 0: none of its own */
	const char *key; /* of the title, as idn_key() makes it; or NULL */
	struct mail_domain *domain;
	struct config_list aliases; /* of the file */
	bool bad;                   /* not all of it is in the tables */
};

/* The section's own `machine`. */
void domain_machine(const struct config_all *all, struct config_faults *f);

#endif
