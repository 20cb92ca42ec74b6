/*
 * passwd: "smtpd passwd USER" prints a line for the password file.
 */
#ifndef TOOLS_PASSWD_H
#define TOOLS_PASSWD_H

/* argv[0] is "passwd". The exit status. */
int passwd_main(int argc, char **argv);

#endif
