/*
 * notify: sd_notify(3) and LISTEN_FDS without the library.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

/* Tells the service manager, when there is one: "READY=1". */
void notify(const char *state);

/*
 * How many sockets it handed over, from descriptor 3 on; made close-on-exec.
 * 0 when they are not for this process. Clears LISTEN_* in the environment.
 */
int notify_listen_fds(void);
#define NOTIFY_FIRST_FD 3

#endif
