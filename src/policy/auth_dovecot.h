/*
 * auth_dovecot: exchanges carried to Dovecot's auth service (its protocol
 * 1.2 for clients). policy/auth's own.
 */
#ifndef POLICY_AUTH_DOVECOT_H
#define POLICY_AUTH_DOVECOT_H

#include "base/buf.h"
#include "policy/auth.h"

struct auth_dovecot;
struct auth_exchange;

/* NULL with errno: the path is too long for a socket. */
struct auth_dovecot *auth_dovecot_new(struct auth *a, const char *path);
void auth_dovecot_free(struct auth_dovecot **d);

/* Its first step; message as auth_start() takes it. */
void auth_dovecot_start(struct auth_exchange *x, struct span message);

/* It is no longer wanted. */
void auth_dovecot_forget(struct auth_exchange *x);

#endif
