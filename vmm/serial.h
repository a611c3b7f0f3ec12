/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_SERIAL_H
#define VMM_SERIAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * An 8250 that only sends, for --debug: the guest kernel's console. Every byte is an exit, so no
 * pod has it otherwise. What the guest writes is gathered to lines, which go to fd in one piece.
 */

#define SERIAL_SIZE	0x1000 /* of guest physical space; eight registers are there */
#define SERIAL_LINE_MAX 256    /* longer lines are written in parts */

struct serial {
	pthread_mutex_t lock;
	int fd; /* not ours */
	/* The interrupt line; called with the lock held. */
	void (*set_line)(void *opaque, bool up);
	void *opaque;

	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	bool thr_empty; /* the interrupt condition: reported once, until IIR is read */
	char line[SERIAL_LINE_MAX];
	size_t len;
};

void serial_init(struct serial *serial, int fd, void (*set_line)(void *opaque, bool up),
		 void *opaque) __attribute__((nonnull(1, 3)));
/* Writes out what is left of the last line. */
void serial_free(struct serial *serial) __attribute__((nonnull));

/* Register access; only single bytes mean something. */
void serial_read(struct serial *serial, uint64_t offset, void *data, uint32_t len)
	__attribute__((nonnull));
void serial_write(struct serial *serial, uint64_t offset, const void *data, uint32_t len)
	__attribute__((nonnull));

#endif
