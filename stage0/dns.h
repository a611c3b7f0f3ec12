/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_DNS_H
#define STAGE0_DNS_H

#include "common/error.h"
#include "common/str.h"

/* Names: what the command line says about the apps' resolv.conf and hosts (rkt-behaviour 8.8). */

struct dns_options {
	struct strv servers; /* --dns, each maybe a list; or "host", or "none" */
	struct strv search, opt;
	char *domain;
	struct strv hosts; /* --hosts-entry IP=NAME, each maybe a list; or "host" */
};

struct dns {
	char *resolv; /* the text of the file; NULL: none is made */
	char *hosts;
	char *mode; /* stage1's argument "resolv=MODE,hosts=MODE"; NULL: the default */
};

/* hostname gets on the first line of hosts. The caller frees *ret with dns_free(). */
int dns_make(const struct dns_options *options, const char *hostname, struct dns *ret,
	     struct error *err) __attribute__((nonnull));
void dns_free(struct dns *dns) __attribute__((nonnull));

/* Put the files where stage1 looks for them, in the pod directory dirfd. */
int dns_write(const struct dns *dns, int dirfd, struct error *err) __attribute__((nonnull));

#endif
