/*
 * spool: what lies below the spool of a configuration, for tools that need no
 * daemon.
 */
#ifndef TOOLS_SPOOL_H
#define TOOLS_SPOOL_H

/*
 * Becomes the user of the configuration in file, and opens the directory name
 * below its spool, without following a link there. 0, or an exit status, and
 * then it was said why; *dir is -1 where there is no such directory. tool: in
 * front of what is said.
 */
int spool_enter(const char *tool, const char *file, const char *name, int *dir);

#endif
