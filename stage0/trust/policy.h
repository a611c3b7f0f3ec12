/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_TRUST_POLICY_H
#define STAGE0_TRUST_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/str.h"
#include "stage0/trust/keystore.h"

/*
 * Which Docker and OCI images are accepted without --insecure-options=image (images.md 10.2, 16.8).
 * They carry digests, not signatures, so somebody has to vouch for a digest: an administrator by
 * listing it, or a key of the keystore by a detached signature over the manifest's bytes.
 *
 * Rules are files CONFIG/policy.d/NAME.json, of kind imagePolicy (docs/trust.md):
 *
 *   {"rktKind": "imagePolicy", "rktVersion": "v1",
 *    "images": ["registry.example.com/team", ...],
 *    "accept": [{"digests": ["sha256:...", ...]}, {"signature": "TEMPLATE"}]}
 *
 * The rule with the longest matching prefix decides alone; any one way in "accept" is enough; an
 * empty list rejects.
 */

struct policy;

/* Read the rules of all three directories; later ones replace a prefix's rule. The caller frees *ret. */
int policy_load(const struct config_dirs *dirs, struct policy **ret, struct error *err)
	__attribute__((nonnull));
void policy_free(struct policy *policy);
static inline void policy_freep(struct policy **policy)
{
	policy_free(*policy);
}
#define cleanup_policy cleanup(policy_freep)

/* The exact bytes of an index or a manifest, already checked against their digest. */
struct policy_document {
	const char *digest; /* "sha256:..." */
	const void *bytes;
	size_t len;
};

struct policy_image {
	/*
	 * "docker.io/library/redis", "localhost:5000/app"; for local images the kind and the
	 * absolute path: "oci:/srv/images/app".
	 */
	const char *name;
	/* from what the reference named (an index, maybe) down to the manifest that will be run */
	const struct policy_document *documents;
	size_t ndocuments;
};

/* Gets the body of an https URL, at most max bytes. *ret is malloc()ed and the caller's. */
typedef int policy_download_fn(void *ctx, const char *url, size_t max, char **ret, size_t *ret_len,
			       struct error *err);

struct policy_context {
	const struct config_dirs *dirs;
	policy_download_fn *download; /* NULL: signatures are read from files only */
	void *download_ctx;
};

/* Whether any rule speaks about name; without one an image is refused unless the user waives it. */
bool policy_covers(const struct policy *policy, const char *name) __attribute__((nonnull));

/*
 * 0 when the image is accepted, and ret_lines gets why. -EACCES when no rule covers it or its rule
 * rejects it, or what the signatures said, with a message of one line.
 */
int policy_check(const struct policy *policy, const struct policy_context *context,
		 const struct policy_image *image, struct strv *ret_lines, struct error *err)
	__attribute__((nonnull));

#endif
