/*
 * section_route_read: the secrets and authorities of routes, read as whoever
 * reads the configuration: the workers never open them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "config/file.h"
#include "config/section_route.h"
#include "io/tls_client.h"

#define SECRET_MAX 1024

/* Its first line; why not, or NULL. */
static const char *
take_secret(struct config_all *all, struct span text, char **r, struct span *s)
{
	const char *lf = text.len ? memchr(text.ptr, '\n', text.len) : NULL;

	if (lf)
		text.len = (size_t)(lf - text.ptr);
	if (text.len && text.ptr[text.len - 1] == '\r')
		text.len--;
	if (!text.len)
		return "is empty: write the secret into its first line";
	if (text.len > SECRET_MAX)
		return "has more than 1024 octets in its first line";
	for (size_t i = 0; i < text.len; i++)
		if (ascii_is_control(text.ptr[i]))
			return "has a control character in its first line";
	*r = arena_dup(&all->arena, text);
	*s = (struct span){*r, text.len};
	return NULL;
}

char *
config_secret_read(struct config_all *all, struct config_faults *f,
    const char *key, const struct config_item *at, const char *path,
    struct span *r)
{
	struct buf text = {0};
	char *secret = NULL;

	if (config_read_pem(all, f, at, path, &text)) {
		config_fault_item(f, key, at,
		    take_secret(all, buf_span(&text), &secret, r));
		config_check_secret(all, f, at, path);
	}
	buf_wipe(&text);
	return secret;
}

static void
read_secret(struct config_all *all, struct config_faults *f,
    struct config_route *x, const char *path)
{
	struct config_item at = config_where(x->block, "secret-file");

	x->secret = config_secret_read(all, f, "secret-file", &at, path,
	    &x->pub.secret);
}

/* The ca of its block; NULL: the system's authorities. */
static const char *
ca_of(const struct config_route *x)
{
	const struct route_block *data = x->block ? x->block->data : NULL;

	return data ? data->ca : NULL;
}

static void
fault_ca(struct config_faults *f, const struct config_route *x, const char *why)
{
	struct config_item at = x->at;

	if (x->block && config_where(x->block, "ca").text)
		at = config_where(x->block, "ca");
	config_error(f, at.file, at.line, "%s%s: %s", at.text ? "ca = " : "",
	    at.text ? at.text : x->pub.shown, why);
}

/* One that trusts the system's, too, which are two hundred. */
static struct tls_client *
find_context(const struct config_all *all, const struct config_route *x)
{
	for (const struct config_route *o = all->routes; o != x; o = o->next)
		if (o->pub.strict && !ca_of(o))
			return o->pub.strict;
	return NULL;
}

static void
make_context(struct config_all *all, struct config_faults *f,
    struct config_route *x, const char *ca)
{
	bool strict = x->pub.tls == ROUTE_TLS_REQUIRED;
	const struct tls_client_options o = {.verify = strict,
	    .system = strict && !ca,
	    .file = ca};
	const char *why = NULL;
	struct tls_client *c = o.system ? find_context(all, x) : NULL;

	if (!c)
		c = tls_client_new(&o, &why);
	if (!c)
		fault_ca(f, x, why);
	else if (strict)
		x->pub.strict = c;
	else
		x->pub.lax = c;
}

void
route_read(struct config_all *all, struct config_faults *f,
    struct config_route *x)
{
	const struct route_block *data = x->block ? x->block->data : NULL;
	const char *ca = ca_of(x);
	struct buf pem = {0};
	bool good = true;

	if (data && data->secret_file)
		read_secret(all, f, x, data->secret_file);
	if (x->pub.tls == ROUTE_TLS_OFF)
		return;
	if (ca) {
		struct config_item at = config_where(x->block, "ca");

		good = config_read_pem(all, f, &at, ca, &pem);
		buf_free(&pem);
	}
	if (good)
		make_context(all, f, x, ca);
}

void
config_routes_free(struct config_all *all)
{
	for (struct config_route *x = all->routes; x; x = x->next) {
		for (struct config_route *o = x->next; o; o = o->next)
			if (o->pub.strict == x->pub.strict)
				o->pub.strict = NULL;
		tls_client_free(&x->pub.strict);
		tls_client_free(&x->pub.lax);
		if (x->secret)
			explicit_bzero(x->secret, x->pub.secret.len);
	}
	if (all->redis_password)
		explicit_bzero(all->redis_password,
		    all->pub.redis.password.len);
}
