/*
 * delivery_ask: the states of a message that others are asked about, for
 * delivery's table.
 */
#ifndef DELIVER_DELIVERY_ASK_H
#define DELIVER_DELIVERY_ASK_H

#include "deliver/delivery.h"

void delivery_enter_asking(struct delivery *v);
void delivery_enter_keeping(struct delivery *v);
void delivery_enter_forgetting(struct delivery *v);

#endif
