/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_OCI_PLATFORM_H
#define STAGE0_IMAGE_OCI_PLATFORM_H

#include <json-c/json.h>
#include <stdbool.h>

#include "common/error.h"

/* Kinds of machine in OCI's words, and which image is for which (spec/images.md 13.4). */

#define OCI_PLATFORM_WORD 32 /* bytes of each word, with a NUL; the longest known has 8 */

struct oci_platform {
	char os[OCI_PLATFORM_WORD], arch[OCI_PLATFORM_WORD];
	char variant[OCI_PLATFORM_WORD]; /* "": whatever the machine can run */
};

/* This machine. */
void oci_platform_host(struct oci_platform *ret) __attribute__((nonnull));

/* OS/ARCH[/VARIANT], or ARCH alone for Linux; ARCH also as uname spells it. -EINVAL: it is neither. */
int oci_platform_parse(const char *text, struct oci_platform *ret, struct error *err)
	__attribute__((nonnull));

/*
 * How good an image of this os, architecture and variant (NULL: none is named) is for the wanted
 * platform: 0 when it is not for it, else the higher the better.
 */
unsigned oci_platform_rank(const struct oci_platform *wanted, const char *os, const char *arch,
			   const char *variant) __attribute__((nonnull(1)));

#endif
