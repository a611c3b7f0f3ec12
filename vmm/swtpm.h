/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_SWTPM_H
#define VMM_SWTPM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/eventlog.h"
#include "vmm/tis.h"

/*
 * The pod's TPM: one swtpm process, ours alone, spoken to over two socket pairs (control and data;
 * section 13 of the machine interfaces). It dies with us. Its answers are checked like a file's:
 * it handles the guest's commands, so it may be the guest's by now.
 */

#define SWTPM_TIMEOUT_MS 5000 /* for each answer during the launch; usual is below 1 */

struct swtpm {
	pid_t pid;
	int pidfd, ctrl, data; /* owned, -1: none */
	bool pending;	       /* a command's response has not come yet */
	size_t got;	       /* bytes of it that have */
	uint8_t response[TIS_BUFFER];
};

#define SWTPM_NONE                                                                                 \
	{                                                                                          \
		.pid = -1, .pidfd = -1, .ctrl = -1, .data = -1                                     \
	}

/*
 * Start the process, its state in the open directory state_dir, and return without waiting for it.
 * -ENOENT: it is not installed. swtpm_free() ends it, and so does the calling thread's end.
 */
int swtpm_start(struct swtpm *swtpm, int state_dir, struct error *err) __attribute__((nonnull));
/* Bring a fresh TPM up: only the SHA-256 and SHA-384 banks active, TPM2_Startup(CLEAR) done. */
int swtpm_power_on(struct swtpm *swtpm, struct error *err) __attribute__((nonnull));
/* Extend PCRs as a log's records say. */
int swtpm_extend_log(struct swtpm *swtpm, const void *log, size_t len, struct error *err)
	__attribute__((nonnull));
/* Keep the platform hierarchy for the host: the guest can not use it any more. */
int swtpm_own_platform(struct swtpm *swtpm, const uint8_t *auth, size_t len, struct error *err)
	__attribute__((nonnull));
void swtpm_free(struct swtpm *swtpm) __attribute__((nonnull));

/* For struct tis: ctx is the struct swtpm. */
extern const struct tis_backend swtpm_backend;

#endif
