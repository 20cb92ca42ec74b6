/*
 * tool: a subcommand is one file here, with a NAME_main(), and one row below.
 */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

/* Its name, and its arguments as the usage of smtpd shows them. */
#define TOOLS(TOOL)                                                            \
	TOOL(passwd, "[--no-scram] user")                                      \
	TOOL(dns, "[--sts [mode]] [--chain file] [-f file]")                   \
	TOOL(probe, "[options] [domain | host:port | address]")                \
	TOOL(status, "[-f file] [--json]")                                     \
	TOOL(reload, "[-f file] [--wait]")                                     \
	TOOL(upgrade, "[-f file] [--wait]")                                    \
	TOOL(stop, "[-f file] [--now]")                                        \
	TOOL(check, "--ip address --rcpt recipient [options] [message]")       \
	TOOL(why, "[-f file] id")                                              \
	TOOL(held, "[-f file] [-v | --retry | --fail] [id ...]")               \
	TOOL(help, "")

/* argv[0] is its name. The exit status; a usage of its own is EXIT_USAGE. */
#define TOOL(name, usage) int name##_main(int argc, char **argv);
TOOLS(TOOL)
#undef TOOL

#endif
