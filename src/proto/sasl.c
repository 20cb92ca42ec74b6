/*
 * sasl: splits and writes the messages of PLAIN and SCRAM.
 *
 * Attributes come in the order of RFC 5802 section 7 and nowhere else; what
 * is not known and not optional makes the message malformed.
 */
#include "proto/sasl.h"

#include <assert.h>
#include <string.h>

#include "base/ascii.h"
#include "base/base64.h"
#include "base/utf8.h"

static const char *
plain_fault(const struct sasl_plain *p)
{
	if (!p->user.len)
		return "The user is missing";
	if (!p->password.len)
		return "The password is missing";
	if (p->user.len > SASL_USER_MAX || p->password.len > SASL_PASSWORD_MAX)
		return "User or password is too long";
	if (memchr(p->password.ptr, '\0', p->password.len))
		return "The password has a NUL";
	return NULL;
}

const char *
sasl_plain_parse(struct span message, struct sasl_plain *r)
{
	const char *first =
	    message.len ? memchr(message.ptr, '\0', message.len) : NULL;
	const char *end, *second = NULL;

	if (!message.len)
		return "User and password are missing";
	if (!utf8_valid(message))
		return "User and password must be UTF-8";
	end = message.ptr + message.len;
	if (first)
		second = memchr(first + 1, '\0', (size_t)(end - first - 1));
	if (!second)
		return "PLAIN wants a NUL before the user and another one "
		       "before the password";
	r->authzid = (struct span){message.ptr, (size_t)(first - message.ptr)};
	r->user = (struct span){first + 1, (size_t)(second - first - 1)};
	r->password = (struct span){second + 1, (size_t)(end - second - 1)};
	return plain_fault(r);
}

/* Takes what stands up to the next comma, and the comma. */
static struct span
next_part(struct span *s)
{
	const char *comma = s->len ? memchr(s->ptr, ',', s->len) : NULL;
	struct span part = *s;

	if (comma)
		part.len = (size_t)(comma - s->ptr);
	span_skip(s, part.len + (comma ? 1 : 0));
	return part;
}

/* The value of "k=value", which is never empty; 0 or -1. */
static int
attribute(struct span part, char key, struct span *value)
{
	if (part.len < 3 || part.ptr[0] != key || part.ptr[1] != '=')
		return -1;
	*value = part;
	span_skip(value, 2);
	return 0;
}

/* saslname: "=2C" is a comma, "=3D" an equals sign, '=' nothing else. */
static int
undo_saslname(struct span s, struct buf *out)
{
	while (s.len) {
		bool coded = s.ptr[0] == '=';
		char c = s.ptr[0];

		if (coded) {
			struct span code = {s.ptr, s.len < 3 ? s.len : 3};

			if (span_equal(code, SPAN_LIT("=2C")))
				c = ',';
			else if (!span_equal(code, SPAN_LIT("=3D")))
				return -1;
		}
		if (c == '\0')
			return -1;
		buf_append(out, &c, 1);
		span_skip(&s, coded ? 3 : 1);
	}
	return out->len <= SASL_USER_MAX ? 0 : -1;
}

static int
parse_binding(struct span flag, enum scram_binding *r)
{
	if (span_equal(flag, SPAN_LIT("n")))
		*r = SCRAM_NONE;
	else if (span_equal(flag, SPAN_LIT("y")))
		*r = SCRAM_UNUSED;
	else if (span_equal(flag, SPAN_LIT("p=tls-exporter")))
		*r = SCRAM_BOUND;
	else
		return -1;
	return 0;
}

/* Printable: what a nonce may hold, but for commas, which end it. */
static bool
nonce_valid(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c < 0x21 || c > 0x7e)
			return false;
	}
	return s.len > 0;
}

/*
 * What may follow what we know: attributes of a letter and a value, to be
 * ignored (RFC 5802 section 5.1), each with a comma in front.
 */
static bool
extensions_valid(const char *from, const char *end)
{
	while (from < end) {
		struct span rest = {from, (size_t)(end - from)}, part, value;

		assert(rest.ptr[0] == ',');
		span_skip(&rest, 1);
		part = next_part(&rest);
		if (!part.len || !ascii_is_alpha(part.ptr[0]) ||
		    attribute(part, part.ptr[0], &value) < 0 ||
		    memchr(value.ptr, '\0', value.len))
			return false;
		from = part.ptr + part.len;
	}
	return true;
}

static int
parse_first(struct span message, struct scram_first *r)
{
	struct span rest = message, part, value;

	if (parse_binding(next_part(&rest), &r->binding) < 0)
		return -1;
	part = next_part(&rest);
	/* GNU SASL says "a=" for nobody, where the grammar has nothing */
	if (part.len && !span_equal(part, SPAN_LIT("a=")) &&
	    (attribute(part, 'a', &value) < 0 ||
		undo_saslname(value, &r->authzid) < 0))
		return -1;
	r->gs2 = (struct span){message.ptr, message.len - rest.len};
	r->bare = rest;
	/* an "m=" here would be a demand that we do not know */
	if (attribute(next_part(&rest), 'n', &value) < 0 ||
	    undo_saslname(value, &r->user) < 0 || !r->user.len)
		return -1;
	if (attribute(next_part(&rest), 'r', &r->nonce) < 0 ||
	    !nonce_valid(r->nonce))
		return -1;
	return extensions_valid(r->nonce.ptr + r->nonce.len,
		   message.ptr + message.len)
		   ? 0
		   : -1;
}

int
scram_first_parse(struct span message, struct scram_first *r)
{
	*r = (struct scram_first){.binding = SCRAM_NONE};
	if (utf8_valid(message) && parse_first(message, r) == 0)
		return 0;
	buf_free(&r->user);
	buf_free(&r->authzid);
	return -1;
}

void
scram_server_first(struct span client_nonce, struct span server_nonce,
    struct span salt, unsigned iterations, struct buf *out)
{
	buf_append_str(out, "r=");
	buf_append_span(out, client_nonce);
	buf_append_span(out, server_nonce);
	buf_append_str(out, ",s=");
	base64_encode(salt, out);
	buf_printf(out, ",i=%u", iterations);
}

/* ",p=" and 44 letters at the very end. */
static int
parse_proof(struct span message, struct scram_final *r)
{
	enum { TAIL = 3 + 44 };
	struct buf proof = {0};
	struct span text;
	bool ok;

	if (message.len < TAIL ||
	    memcmp(message.ptr + message.len - TAIL, ",p=", 3) != 0)
		return -1;
	r->without_proof = (struct span){message.ptr, message.len - TAIL};
	text = (struct span){message.ptr + message.len - 44, 44};
	ok = base64_decode(text, &proof) == 0 && proof.len == sizeof(r->proof);
	if (ok)
		memcpy(r->proof, proof.data, sizeof(r->proof));
	buf_wipe(&proof);
	return ok ? 0 : -1;
}

static int
parse_final(struct span message, struct scram_final *r)
{
	struct span rest, binding;

	if (!utf8_valid(message) || parse_proof(message, r) < 0)
		return -1;
	rest = r->without_proof;
	if (attribute(next_part(&rest), 'c', &binding) < 0 ||
	    attribute(next_part(&rest), 'r', &r->nonce) < 0 ||
	    !nonce_valid(r->nonce) ||
	    !extensions_valid(r->nonce.ptr + r->nonce.len,
		r->without_proof.ptr + r->without_proof.len))
		return -1;
	return base64_decode(binding, &r->binding);
}

int
scram_final_parse(struct span message, struct scram_final *r)
{
	*r = (struct scram_final){.nonce = {NULL, 0}};
	if (parse_final(message, r) == 0)
		return 0;
	explicit_bzero(r->proof, sizeof(r->proof));
	buf_free(&r->binding);
	return -1;
}

void
scram_server_final(const uint8_t signature[32], struct buf *out)
{
	buf_append_str(out, "v=");
	base64_encode((struct span){(const char *)signature, 32}, out);
}
