/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_HTTPD_H
#define TESTS_UNIT_HTTPD_H

#include <sys/types.h>

#include "stage0/fetch/http.h"

/*
 * tests/httpd.py, started for all tests of a program, as cmocka group fixtures: *state is a struct
 * httpd, with an HTTP client whose times are short.
 */
struct httpd {
	char dir[64];			     /* its certificate is ca.pem there */
	char http[64], other[64], https[64]; /* "http://127.0.0.1:PORT" and so on */
	const char *host, *tls_host;	     /* "127.0.0.1:PORT" in the first and the last */
	struct http_settings settings;
	struct http *client;
	pid_t pid;
	int pidfd, feed;
	char ca[80];
};

int httpd_setup(void **state);
int httpd_teardown(void **state);

/* What was asked for so far, one line each; the caller frees it. */
char *httpd_log(struct httpd *httpd);
/* How many of those lines have text in them. */
unsigned httpd_logged(struct httpd *httpd, const char *text);

#endif
