/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_TPM_H
#define INITRD_TPM_H

#include <stdint.h>

#include "initrd/text.h"

/* The TPM, which no guest pays for that does not use it: its driver is bound when a plan says so. */

/* Bind the driver: /dev/tpm0 and /dev/tpmrm0 are there afterwards. 0, or a negative errno and why. */
int init_tpm_bind(struct init_text *why) __attribute__((nonnull));

/* Make the devices' nodes in the working directory, an app's /dev. */
int init_tpm_nodes(struct init_text *why) __attribute__((nonnull));

/* Give the nodes and the event log to the user of the app whose root was entered. 0 or a negative errno. */
int init_tpm_own(uint32_t uid, uint32_t gid);

#endif
