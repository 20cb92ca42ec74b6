/*
 * dnsbl_ask: what is heard of a list is told to its health; what that wants
 * tested, its worker's watch tests.
 */
#ifndef POLICY_DNSBL_ASK_H
#define POLICY_DNSBL_ASK_H

#include "policy/dnsbl.h"

/* Tests the zone of this number at once. NULL: the next who looks does. */
void dnsbl_watch_test(struct dnsbl_watch *w, unsigned zone);

#endif
