/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_PUMP_H
#define STAGE0_FETCH_PUMP_H

#include "common/error.h"
#include "stage0/image/store.h"
#include "stage0/trust/verify.h"

/*
 * The one pass over the bytes of an ACI: from where they come in, to the store, which takes the
 * archive apart, and to the verifier of its signature.
 */

struct pump;

/*
 * what names the image in messages; verify (NULL: none) is fed too and stays the caller's. Both stay
 * until pump_free(). Nothing is started before bytes come.
 */
struct pump *pump_new(struct store *store, const char *what, struct verify *verify)
	__attribute__((nonnull(1, 2), returns_nonnull));

/* The next bytes. An error that the store has with the image is given here or by pump_finish(). */
int pump_write(struct pump *pump, const void *bytes, size_t len, struct error *err)
	__attribute__((nonnull));

/* That was all: the image as the store has it staged. Call once; only pump_free() may follow. */
int pump_finish(struct pump *pump, struct store_staged **ret, struct error *err)
	__attribute__((nonnull));

/* Also ends a pass that was not finished, leaving nothing. NULL is fine. */
void pump_free(struct pump *pump);
static inline void pump_freep(struct pump **pump)
{
	pump_free(*pump);
}
#define cleanup_pump cleanup(pump_freep)

#endif
