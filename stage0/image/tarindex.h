/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_TARINDEX_H
#define STAGE0_IMAGE_TARINDEX_H

#include <stdint.h>

#include "common/error.h"

/*
 * Where the members of an uncompressed tar file are, found from its headers alone: for archives of
 * images, whose members are read in another order than they come in.
 */

enum tarindex_type {
	TARINDEX_FILE,
	TARINDEX_LINK,	  /* another name of an earlier member: target is its name */
	TARINDEX_SYMLINK, /* target is relative to the member's directory */
	TARINDEX_OTHER,
};

struct tarindex_member {
	char *name; /* without "./" and slashes before it */
	char *target;
	enum tarindex_type type;
	uint64_t offset, size; /* of a file's content */
};

struct tarindex;

/* Read the headers of the regular file fd. The caller frees *ret. -EBADMSG: it is no good tar. */
int tarindex_read(int fd, struct tarindex **ret, struct error *err) __attribute__((nonnull));
void tarindex_free(struct tarindex *index); /* NULL is fine */
static inline void tarindex_freep(struct tarindex **index)
{
	tarindex_free(*index);
}
#define cleanup_tarindex cleanup(tarindex_freep)

/*
 * The file of that name, links followed within the archive. *ret is the index's. -ENOENT: there is
 * none; -EBADMSG: there are several, or it is no file, or links lead nowhere.
 */
int tarindex_find(const struct tarindex *index, const char *name,
		  const struct tarindex_member **ret, struct error *err) __attribute__((nonnull));

#endif
