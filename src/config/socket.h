/*
 * socket: others that are asked over a socket.
 */
#ifndef CONFIG_SOCKET_H
#define CONFIG_SOCKET_H

#include "config/section.h"

/* What /etc/hosts says of its host, which a worker asks the DNS for
 * otherwise. */
void config_look_up(struct config_all *all, struct route_place *p);
/* "host:port" or the path of a Unix socket, looked up. False: it is neither. */
bool config_socket_parse(struct config_all *all, const char *text,
    struct route_place *p);

/*
 * What to write for text that is a host without a kind in front, in whatever
 * way; otherwise why.
 */
const char *config_host_suggest(struct config_all *all, const char *text,
    const char *why);

/* A worker may connect to this port. */
void config_note_port(struct config_all *all, uint16_t port);
/* The same of a place's, if it has one, and that its name is asked for. */
void config_note_place(struct config_all *all, const struct route_place *p);

#endif
