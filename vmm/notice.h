/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_NOTICE_H
#define VMM_NOTICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an app says of itself (sd_notify(3)), as far as its service manager would act on it. */

#define NOTICE_STATUS_MAX 255 /* bytes of STATUS=: it is shown on a line */

struct notice {
	bool ready;			    /* READY=1 */
	bool stopping;			    /* STOPPING=1 */
	bool alive;			    /* WATCHDOG=1 */
	bool hung;			    /* WATCHDOG=trigger */
	bool has_status;		    /* STATUS=, which may be empty */
	uint64_t extend;		    /* EXTEND_TIMEOUT_USEC=; 0: not said */
	char status[NOTICE_STATUS_MAX + 1]; /* printable ASCII and whole UTF-8 characters */
};

/*
 * Add one message, a line for each assignment, to what was said before. It is hostile: what is not
 * understood is left out.
 */
void notice_take(struct notice *notice, const uint8_t *text, size_t len) __attribute__((nonnull));

#endif
