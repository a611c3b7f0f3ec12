/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_ACI_H
#define STAGE0_IMAGE_ACI_H

#include "common/error.h"
#include "stage0/image/entry.h"

/* What makes a tar archive an ACI (spec/images.md 3): one manifest, one rootfs, nothing else. */

struct aci;

enum aci_part {
	ACI_NOTHING,  /* the archive's own root */
	ACI_MANIFEST, /* the manifest */
	ACI_ROOTFS,   /* something of the root file system */
};

struct aci *aci_new(void) __attribute__((returns_nonnull));
void aci_free(struct aci *aci); /* NULL is fine */
static inline void aci_freep(struct aci **aci)
{
	aci_free(*aci);
}
#define cleanup_aci cleanup(aci_freep)

/*
 * Check the archive's next entry. For ACI_ROOTFS, entry's path (and hard link target) are made
 * relative to rootfs. -EBADMSG: no ACI may hold this.
 */
int aci_entry(struct aci *aci, struct entry *entry, enum aci_part *ret, struct error *err)
	__attribute__((nonnull));
/* The archive ended: is everything there? */
int aci_end(struct aci *aci, struct error *err) __attribute__((nonnull));

#endif
