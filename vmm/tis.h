/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_TIS_H
#define VMM_TIS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The TPM's register interface, TIS 1.3 / PTP FIFO (TCG PC Client Platform TPM Profile; section 11.1
 * of the machine interfaces), over whatever executes the commands.
 *
 * The registers are accessed by vCPU threads, under lock. A command is executed while the write of
 * tpmGo waits, for TIS_WAIT_MS at most, because Linux sleeps a millisecond between two looks; a
 * command that takes longer completes at a later look at the status. There is no thread here and
 * nothing to wake: what the guest does not look at does not matter to it.
 */

#define TIS_LOCALITIES	  5
#define TIS_LOCALITY_SIZE 0x1000
#define TIS_WINDOW	  (TIS_LOCALITIES * TIS_LOCALITY_SIZE)
#define TIS_BUFFER	  4096 /* bytes of the longest command or response (swtpm's default) */
#define TIS_WAIT_MS	  50   /* most commands take 1; making an RSA key takes seconds */

struct tis_backend {
	/* Start a command. False when the TPM is gone. */
	bool (*send)(void *ctx, unsigned locality, const uint8_t *command, size_t len);
	/* Wait at most timeout_ms: bytes of the response, 0 not yet, -1 the TPM is gone. */
	int (*receive)(void *ctx, uint8_t *response, size_t max, int timeout_ms);
	/* Ask that the command under way ends soon. */
	void (*cancel)(void *ctx);
};

enum tis_state {
	TIS_IDLE,
	TIS_READY,
	TIS_RECEPTION,
	TIS_EXECUTION,
	TIS_COMPLETION,
	TIS_ABORTING, /* of an execution: Ready when its response has come and gone */
};

struct tis {
	const struct tis_backend *backend;
	void *ctx;
	pthread_mutex_t lock;
	enum tis_state state;
	int active;		    /* locality, or -1 */
	uint8_t requested, seized;  /* bit per locality */
	uint8_t buffer[TIS_BUFFER]; /* the command, then the response */
	size_t len;		    /* bytes in buffer */
	size_t expected;	    /* of a command, 0 until its header is in */
	size_t pos;		    /* next byte of the response */
};

/* backend and ctx stay the caller's. */
void tis_init(struct tis *tis, const struct tis_backend *backend, void *ctx)
	__attribute__((nonnull(1, 2)));
void tis_free(struct tis *tis) __attribute__((nonnull));

/* Register access at offset within TIS_WINDOW; len is 1, 2, 4 or 8. For vCPU threads. */
void tis_read(struct tis *tis, uint64_t offset, void *data, uint32_t len) __attribute__((nonnull));
void tis_write(struct tis *tis, uint64_t offset, const void *data, uint32_t len)
	__attribute__((nonnull));

/*
 * Have the TPM to oneself between two of the guest's commands, for commands of the host's own.
 * Waits for a command of the guest's that is under way, at most timeout_ms: 0, -EBUSY. Until
 * tis_return() the guest's accesses to the registers wait, so be short.
 */
int tis_borrow(struct tis *tis, int timeout_ms) __attribute__((nonnull));
void tis_return(struct tis *tis) __attribute__((nonnull));

/*
 * Execute a command while the TPM is borrowed. Returns the response's length, or -ETIMEDOUT (the TPM
 * is then of no use any more), -EPIPE when it is gone.
 */
int tis_execute(struct tis *tis, const uint8_t *command, size_t len, uint8_t *response, size_t max,
		int timeout_ms) __attribute__((nonnull));

#endif
