/*
 * version: what this is; the Makefile says which.
 */
#ifndef VERSION_H
#define VERSION_H

#ifndef SMTPD_VERSION
#define SMTPD_VERSION "unknown"
#endif

#endif
