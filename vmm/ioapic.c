/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/ioapic.h"

#include <assert.h>
#include <string.h>

/* Windows in the page */
#define IOREGSEL 0x00
#define IOWIN	 0x10
#define IOEOI	 0x40

/* Indirect registers */
#define IOAPICID   0x00
#define IOAPICVER  0x01
#define IOAPICARB  0x02
#define IOREDTBL   0x10
#define IOAPIC_VER 0x20

#define RTE_VECTOR	  UINT64_C(0xff)
#define RTE_DELIVERY_MODE 8 /* shift, three bits */
#define RTE_DEST_LOGICAL  (UINT64_C(1) << 11)
#define RTE_DELIVS	  (UINT64_C(1) << 12) /* read only */
#define RTE_REMOTE_IRR	  (UINT64_C(1) << 14) /* read only */
#define RTE_LEVEL	  (UINT64_C(1) << 15)
#define RTE_MASKED	  (UINT64_C(1) << 16)
#define RTE_DEST	  56 /* shift */
#define RTE_READ_ONLY	  (RTE_DELIVS | RTE_REMOTE_IRR)
#define RTE_WRITABLE	  (UINT64_C(0xff0000000001ffff) & ~RTE_READ_ONLY)

#define DELIVERY_LOWEST 1  /* and 0 is fixed; others are for chip sets */
#define VECTOR_MIN	16 /* lower ones are illegal */

#define MSI_BASE	 UINT64_C(0xfee00000)
#define MSI_DEST	 12 /* shift */
#define MSI_DEST_LOGICAL (1 << 2)
#define MSI_ASSERT	 (1 << 14)
#define MSI_LEVEL	 (1 << 15)

void ioapic_init(struct ioapic *ioapic, unsigned npins, const struct ioapic_ops *ops, void *opaque)
{
	assert(npins > 0 && npins <= IOAPIC_MAX_PINS);
	memset(ioapic, 0, sizeof(*ioapic));
	pthread_mutex_init(&ioapic->lock, NULL);
	ioapic->ops = ops;
	ioapic->opaque = opaque;
	ioapic->npins = npins;
	for (unsigned pin = 0; pin < npins; pin++)
		ioapic->rte[pin] = RTE_MASKED;
}

void ioapic_free(struct ioapic *ioapic)
{
	pthread_mutex_destroy(&ioapic->lock);
}

static bool rte_to_msi(uint64_t rte, struct ioapic_msi *ret)
{
	uint32_t mode = rte >> RTE_DELIVERY_MODE & 7;

	if ((rte & RTE_MASKED) || mode > DELIVERY_LOWEST || (rte & RTE_VECTOR) < VECTOR_MIN)
		return false;
	ret->address = MSI_BASE | (rte >> RTE_DEST) << MSI_DEST;
	if (rte & RTE_DEST_LOGICAL)
		ret->address |= MSI_DEST_LOGICAL;
	ret->data = (uint32_t)(rte & RTE_VECTOR) | mode << RTE_DELIVERY_MODE;
	if (rte & RTE_LEVEL)
		ret->data |= MSI_LEVEL | MSI_ASSERT;
	return true;
}

bool ioapic_route(const struct ioapic *ioapic, unsigned pin, struct ioapic_msi *ret)
{
	return rte_to_msi(ioapic->rte[pin], ret);
}

static bool same_route(uint64_t a, uint64_t b)
{
	struct ioapic_msi ma, mb;
	bool have_a = rte_to_msi(a, &ma), have_b = rte_to_msi(b, &mb);

	if (!have_a || !have_b)
		return have_a == have_b;
	return ma.address == mb.address && ma.data == mb.data;
}

/* Send a level-triggered pin's message if it is due. */
static void deliver_level(struct ioapic *ioapic, unsigned pin)
{
	uint64_t rte = ioapic->rte[pin];
	struct ioapic_msi msi;

	if (!ioapic->line[pin] || !(rte & RTE_LEVEL) || (rte & RTE_REMOTE_IRR))
		return;
	if (!rte_to_msi(rte, &msi))
		return;
	ioapic->rte[pin] |= RTE_REMOTE_IRR;
	ioapic->ops->inject(ioapic->opaque, &msi);
}

static void write_rte(struct ioapic *ioapic, unsigned pin, bool high, uint32_t value)
{
	uint64_t old = ioapic->rte[pin], rte = old;

	if (high)
		rte = (rte & UINT32_MAX) | (uint64_t)value << 32;
	else
		rte = (rte & ~(uint64_t)UINT32_MAX) | value;
	rte = (rte & RTE_WRITABLE) | (old & RTE_READ_ONLY);
	/* Linux takes a pin to edge and back to get rid of a stuck remote IRR. */
	if (!(rte & RTE_LEVEL))
		rte &= ~RTE_REMOTE_IRR;

	ioapic->rte[pin] = rte;
	if (!same_route(old, rte))
		ioapic->ops->routes_changed(ioapic->opaque);
	deliver_level(ioapic, pin);
}

static void eoi_locked(struct ioapic *ioapic, uint8_t vector)
{
	for (unsigned pin = 0; pin < ioapic->npins; pin++) {
		uint64_t rte = ioapic->rte[pin];

		if (!(rte & RTE_LEVEL) || (rte & RTE_VECTOR) != vector)
			continue;
		ioapic->rte[pin] &= ~RTE_REMOTE_IRR;
		deliver_level(ioapic, pin);
	}
}

static uint32_t read_register(const struct ioapic *ioapic)
{
	unsigned n = ioapic->select - IOREDTBL;

	switch (ioapic->select) {
	case IOAPICID:
	case IOAPICARB:
		return ioapic->id;
	case IOAPICVER:
		return (ioapic->npins - 1) << 16 | IOAPIC_VER;
	default:
		if (ioapic->select < IOREDTBL || n / 2 >= ioapic->npins)
			return UINT32_MAX;
		return (uint32_t)(ioapic->rte[n / 2] >> (n % 2 ? 32 : 0));
	}
}

static void write_register(struct ioapic *ioapic, uint32_t value)
{
	unsigned n = ioapic->select - IOREDTBL;

	if (ioapic->select == IOAPICID)
		ioapic->id = value & 0x0f000000;
	else if (ioapic->select >= IOREDTBL && n / 2 < ioapic->npins)
		write_rte(ioapic, n / 2, n % 2, value);
}

void ioapic_read(struct ioapic *ioapic, uint64_t offset, void *data, uint32_t len)
{
	uint32_t value = 0;

	memset(data, 0, len);
	if (len != sizeof(value))
		return;
	pthread_mutex_lock(&ioapic->lock);
	if (offset == IOREGSEL)
		value = ioapic->select;
	else if (offset == IOWIN)
		value = read_register(ioapic);
	pthread_mutex_unlock(&ioapic->lock);
	memcpy(data, &value, sizeof(value));
}

void ioapic_write(struct ioapic *ioapic, uint64_t offset, const void *data, uint32_t len)
{
	uint32_t value;

	if (len != sizeof(value))
		return;
	memcpy(&value, data, sizeof(value));
	pthread_mutex_lock(&ioapic->lock);
	if (offset == IOREGSEL)
		ioapic->select = value & 0xff;
	else if (offset == IOWIN)
		write_register(ioapic, value);
	else if (offset == IOEOI)
		eoi_locked(ioapic, (uint8_t)value);
	pthread_mutex_unlock(&ioapic->lock);
}

void ioapic_set_line(struct ioapic *ioapic, unsigned pin, bool up)
{
	struct ioapic_msi msi;
	bool rose;

	assert(pin < ioapic->npins);
	pthread_mutex_lock(&ioapic->lock);
	rose = up && !ioapic->line[pin];
	ioapic->line[pin] = up;
	if (ioapic->rte[pin] & RTE_LEVEL)
		deliver_level(ioapic, pin);
	else if (rose && rte_to_msi(ioapic->rte[pin], &msi))
		ioapic->ops->inject(ioapic->opaque, &msi);
	pthread_mutex_unlock(&ioapic->lock);
}

void ioapic_eoi(struct ioapic *ioapic, uint8_t vector)
{
	pthread_mutex_lock(&ioapic->lock);
	eoi_locked(ioapic, vector);
	pthread_mutex_unlock(&ioapic->lock);
}
