/*
 * The name that is greeted with where none is written: the machine's, looked
 * up once, by a child that is given a moment.
 */
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define CONFIG_OWN_LOOKUP
#include "config_text.h"

/* What a child counts, too. */
static atomic_uint *lookups;
static enum { FOUND, NO_DOT, UNKNOWN, SILENT } answer;

/* --- taken for the C library's own --- */

int
gethostname(char *name, size_t n)
{
	snprintf(name, n, "vm");
	return 0;
}

int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
    struct addrinfo **r)
{
	static char full[] = "vm.example.org";
	static struct addrinfo ai = {.ai_canonname = full};

	assert_string_equal(name, "vm");
	assert_null(service);
	assert_true(hints->ai_flags & AI_CANONNAME);
	++*lookups;
	while (answer == SILENT)
		pause();
	if (answer == NO_DOT)
		strcpy(full, "localhost");
	*r = &ai;
	return answer == UNKNOWN ? EAI_NONAME : 0;
}

/* A child that says nothing is given its moment, which passes at once. */
int
poll(struct pollfd *p, nfds_t n, int ms)
{
	assert_in_range(ms, 1, 10000);
	while (answer == SILENT && !*lookups)
		sched_yield();
	return answer == SILENT ? 0 : ppoll(p, n, NULL, NULL);
}

/* --- */

static void
reload_text(struct loaded *l, const char *text, const struct config *old)
{
	write_text("smtpd.conf", text);
	reload(l, path_of("smtpd.conf"), old);
}

/* FAULT A12: looked up at the start; a reload keeps it and asks nobody. */
static void
found_once(void **state)
{
	struct loaded first, then;

	(void)state;
	*lookups = 0;
	answer = FOUND;
	load_good(&first, DOMAIN);
	assert_string_equal(first.config->hostname, "vm.example.org");
	assert_int_equal(*lookups, 1);
	answer = SILENT;
	reload_text(&then, DOMAIN, first.config);
	assert_int_equal(then.status, CONFIG_OK);
	assert_string_equal(then.config->hostname, "vm.example.org");
	config_free(&first.config);
	/* the next one, behind one that has a name */
	reload_text(&first, "hostname = \"mx.example.net\"\n" DOMAIN,
	    then.config);
	assert_string_equal(first.config->hostname, "mx.example.net");
	config_free(&then.config);
	reload_text(&then, DOMAIN, first.config);
	assert_string_equal(then.config->hostname, "vm.example.org");
	assert_int_equal(*lookups, 1);
	config_free(&first.config);
	config_free(&then.config);
}

static void
assert_not_found(const struct loaded *l)
{
	assert_int_equal(l->status, CONFIG_WARNINGS);
	assert_int_equal(l->n, 1);
	assert_fault(l, 0, "smtpd.conf", 0,
	    "no hostname is written, and the full name of this machine, "
	    "\"vm\", was not found: write hostname = \"vm.example.org\"");
	assert_string_equal(l->config->hostname, "vm");
}

/* FAULT A12, D19: silent name servers take a moment; it is said what to do,
 * and no line is named, since there is none. Nobody is left behind. */
static void
not_found(void **state)
{
	struct loaded l, then;

	(void)state;
	for (answer = NO_DOT; answer <= SILENT; answer++) {
		*lookups = 0;
		load_text(&l, DOMAIN);
		assert_not_found(&l);
		assert_int_equal(*lookups, 1);
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
		reload_text(&then, DOMAIN, l.config);
		assert_not_found(&then);
		assert_int_equal(*lookups, 1);
		config_free(&l.config);
		config_free(&then.config);
	}
}

/* FAULT A12: a name that is taken out of the file is not looked up. */
static void
a_reload_asks_nobody(void **state)
{
	struct loaded l, then;

	(void)state;
	*lookups = 0;
	answer = SILENT;
	load_good(&l, HOST DOMAIN);
	reload_text(&then, DOMAIN, l.config);
	assert_not_found(&then);
	assert_int_equal(*lookups, 0);
	config_free(&l.config);
	config_free(&then.config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(found_once),
	    cmocka_unit_test(not_found),
	    cmocka_unit_test(a_reload_asks_nobody),
	};

	lookups = mmap(NULL, sizeof(*lookups), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
