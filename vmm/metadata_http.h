/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_METADATA_HTTP_H
#define VMM_METADATA_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/str.h"

/*
 * The little of HTTP/1.1 (RFC 9112) that the metadata service takes: one request, whole, with a body
 * of a length that is said. What comes from an app is hostile: nothing is allocated for it here, and
 * everything has a limit.
 */

#define MDHTTP_HEAD_MAX	   8192 /* bytes of request line and headers: what most servers take */
#define MDHTTP_BODY_MAX	   (64U << 10) /* of a form: what is signed is an identity, no document */
#define MDHTTP_REQUEST_MAX (MDHTTP_HEAD_MAX + MDHTTP_BODY_MAX)

enum mdhttp_method {
	MDHTTP_GET,
	MDHTTP_HEAD,
	MDHTTP_POST,
	MDHTTP_OTHER,
};

struct mdhttp_request {
	enum mdhttp_method method;
	bool form;	  /* the body is said to be application/x-www-form-urlencoded */
	const char *path; /* as sent, without query; not terminated */
	size_t path_len;
	const char *body;
	size_t body_len;
};

enum mdhttp_state {
	MDHTTP_MORE,	 /* the request is not whole */
	MDHTTP_CONTINUE, /* likewise, and "100 Continue" is waited for before the body is sent */
	MDHTTP_WHOLE,
	MDHTTP_WRONG, /* *ret_status says what to answer */
};

/*
 * Look at what has come of a request, from its first byte. What follows a whole one is ignored. ret
 * points into bytes.
 */
enum mdhttp_state mdhttp_parse(const char *bytes, size_t len, struct mdhttp_request *ret,
			       int *ret_status) __attribute__((nonnull));

/*
 * Undo percent-encoding, and with plus also that of blanks by '+'. ret has room for len bytes.
 * Returns how many they are, -1 when it is none.
 */
long mdhttp_decode(const char *text, size_t len, bool plus, char *ret) __attribute__((nonnull));

/*
 * The value of the first field called name of a form, decoded, at ret, which has room for len bytes.
 * Returns how long it is, or -1: there is no such field, or it is malformed.
 */
long mdhttp_form_field(const char *form, size_t len, const char *name, char *ret)
	__attribute__((nonnull));

/* Append a whole response, after which the connection ends; type may be NULL when body_len is 0. */
struct mdhttp_response {
	int status;
	const char *type;
	const char *allow; /* methods, with 405 */
	const char *body;
	size_t body_len;
	bool no_body; /* of HEAD: said, but not sent */
};
void mdhttp_respond(struct str *out, const struct mdhttp_response *response)
	__attribute__((nonnull));

/* What is sent in the state MDHTTP_CONTINUE. */
#define MDHTTP_CONTINUE_TEXT "HTTP/1.1 100 Continue\r\n\r\n"

#endif
