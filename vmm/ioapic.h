/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_IOAPIC_H
#define VMM_IOAPIC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The IOAPIC (Intel 82093AA with the EOI register of version 0x20), whose local APICs are in KVM.
 *
 * It moves no edge interrupt itself: a device's irqfd goes straight to the local APIC along a route
 * that KVM holds, and a redirection entry (RTE) is that route. When the guest changes what an entry
 * means, the owner is told to hand KVM a new table. Level-triggered lines are followed here:
 * a message when the line is up and no EOI is outstanding, another one after the EOI if it still
 * is.
 *
 * The guest may write anything. An entry that means nothing a device can use (masked, a delivery
 * mode other than fixed or lowest priority, a vector below 16) is simply no route.
 */

#define IOAPIC_SIZE	0x1000
#define IOAPIC_MAX_PINS 120 /* Linux stops at 128; ours are one a device */

/* What a pin is sent as. */
struct ioapic_msi {
	uint64_t address;
	uint32_t data;
};

struct ioapic_ops {
	/* Some pin's route changed; ioapic_route() tells. Lock held. */
	void (*routes_changed)(void *opaque);
	/* Send a message now. Lock held. */
	void (*inject)(void *opaque, const struct ioapic_msi *msi);
};

struct ioapic {
	pthread_mutex_t lock;
	const struct ioapic_ops *ops;
	void *opaque;
	unsigned npins;
	uint32_t id;
	uint32_t select; /* IOREGSEL */
	uint64_t rte[IOAPIC_MAX_PINS];
	bool line[IOAPIC_MAX_PINS]; /* of pins driven by ioapic_set_line() */
};

void ioapic_init(struct ioapic *ioapic, unsigned npins, const struct ioapic_ops *ops, void *opaque)
	__attribute__((nonnull(1, 3)));
void ioapic_free(struct ioapic *ioapic) __attribute__((nonnull));

/* Register access at offset in the page. Only aligned 32-bit accesses mean something. */
void ioapic_read(struct ioapic *ioapic, uint64_t offset, void *data, uint32_t len)
	__attribute__((nonnull));
void ioapic_write(struct ioapic *ioapic, uint64_t offset, const void *data, uint32_t len)
	__attribute__((nonnull));

/* An interrupt line that follows a device's state; not for pins with an irqfd. */
void ioapic_set_line(struct ioapic *ioapic, unsigned pin, bool up) __attribute__((nonnull));
/* A local APIC got an EOI for a level-triggered vector. */
void ioapic_eoi(struct ioapic *ioapic, uint8_t vector) __attribute__((nonnull));

/* Where pin goes now; false: nowhere. For routes_changed(), lock held. */
bool ioapic_route(const struct ioapic *ioapic, unsigned pin, struct ioapic_msi *ret)
	__attribute__((nonnull));

#endif
