/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_CONFIG_PRIV_H
#define STAGE0_CONFIG_PRIV_H

#include <string.h>

#include "common/util.h"
#include "stage0/config.h"

/* Between the files of the configuration. */

/* Add what one document says, found in a subdirectory (auth.d, ...). */
int config_read_document(struct config *config, const char *dir, struct json_object *doc,
			 struct error *err) __attribute__((nonnull(1, 2, 4)));

/*
 * Call each for every document TOP/SUB/NAME.json, in the order of their names, until it fails; its
 * error then names the file. No such directory is no document.
 */
typedef int config_document_fn(void *arg, struct json_object *doc, struct error *err);
int config_each_document(const char *top, const char *sub, config_document_fn *each, void *arg,
			 struct error *err) __attribute__((nonnull(1, 2, 3, 5)));

/* The entry of exactly this key, or NULL. */
struct config_auth *config_find_auth(const struct config *config, const char *host)
	__attribute__((nonnull));
struct config_docker_auth *config_find_docker_auth(const struct config *config,
						   const char *registry) __attribute__((nonnull));
struct config_registry *config_find_registry(const struct config *config, const char *prefix)
	__attribute__((nonnull));
void config_registry_free(struct config_registry *registry) __attribute__((nonnull));

/* Grow a list by one zeroed entry. */
#define list_grow(list, n)                                                                         \
	({                                                                                         \
		(list) = xrealloc((list), (n) + 1, sizeof(*(list)));                               \
		memset(&(list)[n], 0, sizeof(*(list)));                                            \
		&(list)[(n)++];                                                                    \
	})

#endif
