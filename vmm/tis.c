/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states and what leads from one to the next (PTP table 22, without the optional parts):
 *
 *	Idle	   commandReady -> Ready
 *	Ready	   FIFO write -> Reception
 *	Reception  FIFO write; the whole command in and tpmGo -> Execution; commandReady -> Ready
 *	Execution  response in -> Completion; commandReady -> Aborting
 *	Completion FIFO read; responseRetry rewinds; commandReady -> Ready
 *	Aborting   response in -> Ready
 *
 * Giving the locality up ends whatever goes on and leads to Idle, or to Aborting. A command whose
 * header gives an impossible size is taken no further than the header: Expect goes away, and tpmGo
 * answers with TPM_RC_COMMAND_SIZE itself. A TPM that is gone answers everything with
 * TPM_RC_FAILURE: the guest sees a broken TPM, not a hanging one.
 */
#include "vmm/tis.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "common/clock.h"
#include "common/util.h"
#include "vmm/tpm_command.h"

enum {
	TPM_ACCESS = 0x000,
	TPM_INT_ENABLE = 0x008,
	TPM_INTF_CAPABILITY = 0x014,
	TPM_STS = 0x018,
	TPM_DATA_FIFO = 0x024,
	TPM_INTERFACE_ID = 0x030,
	TPM_XDATA_FIFO = 0x080,
	TPM_XDATA_FIFO_END = 0x0c0,
	TPM_DID_VID = 0xf00,
	TPM_RID = 0xf04,
};

#define ACCESS_ESTABLISHMENT 0x01 /* 1: no dynamic launch has happened */
#define ACCESS_REQUEST_USE   0x02
#define ACCESS_PENDING	     0x04
#define ACCESS_SEIZE	     0x08
#define ACCESS_BEEN_SEIZED   0x10
#define ACCESS_ACTIVE	     0x20
#define ACCESS_VALID	     0x80

#define STS_RESPONSE_RETRY 0x02
#define STS_SELF_TEST_DONE 0x04
#define STS_EXPECT	   0x08
#define STS_DATA_AVAIL	   0x10
#define STS_GO		   0x20
#define STS_COMMAND_READY  0x40
#define STS_VALID	   0x80
#define STS_BURST_SHIFT	   8
#define STS_CANCEL	   (1U << 24)
#define STS_FAMILY_2_0	   (1U << 26)

/* TIS 1.3, no interrupts but the mandatory capability bits, bursts of any size up to 64 bytes */
#define INTF_CAPABILITY 0x30000615
/* FIFO interface, five localities, FIFO supported, the selector locked */
#define INTERFACE_ID (1U << 8 | 1U << 13 | 1U << 19)
#define DID_VID	     0x00015054 /* not any vendor's; not 0xffff, which means no TPM */

#define BORROW_POLL_MS 5 /* between looks whether the guest's command has ended */

#define HEADER_SIZE	    10
#define TPM_RC_FAILURE	    0x101
#define TPM_RC_COMMAND_SIZE 0x142

void tis_init(struct tis *tis, const struct tis_backend *backend, void *ctx)
{
	*tis = (struct tis){.backend = backend, .ctx = ctx, .active = -1};
	pthread_mutex_init(&tis->lock, NULL);
}

void tis_free(struct tis *tis)
{
	pthread_mutex_destroy(&tis->lock);
}

static uint32_t header_size(const uint8_t *header)
{
	uint32_t size;

	memcpy(&size, header + 2, sizeof(size));
	return be32toh(size);
}

static void enter(struct tis *tis, enum tis_state state)
{
	tis->state = state;
	tis->pos = 0;
	if (state != TIS_COMPLETION)
		tis->len = tis->expected = 0;
}

/* Answer in the TPM's place. */
static void complete_with(struct tis *tis, uint32_t rc)
{
	uint16_t tag = htobe16(TPM_ST_NO_SESSIONS);
	uint32_t size = htobe32(HEADER_SIZE);

	rc = htobe32(rc);
	memcpy(tis->buffer, &tag, sizeof(tag));
	memcpy(tis->buffer + 2, &size, sizeof(size));
	memcpy(tis->buffer + 6, &rc, sizeof(rc));
	tis->len = HEADER_SIZE;
	enter(tis, TIS_COMPLETION);
}

/* Look for the response of a command under way. */
static void progress(struct tis *tis, int timeout_ms)
{
	bool aborting = tis->state == TIS_ABORTING;
	int n;

	if (tis->state != TIS_EXECUTION && !aborting)
		return;
	n = tis->backend->receive(tis->ctx, tis->buffer, sizeof(tis->buffer), timeout_ms);
	if (n == 0)
		return;
	if (aborting) {
		enter(tis, tis->active >= 0 ? TIS_READY : TIS_IDLE);
	} else if (n < 0) {
		complete_with(tis, TPM_RC_FAILURE);
	} else {
		assert((size_t)n <= sizeof(tis->buffer));
		tis->len = (size_t)n;
		enter(tis, TIS_COMPLETION);
	}
}

/* End what goes on; without a command under way that is immediate. */
static void abort_to(struct tis *tis, enum tis_state state)
{
	if (tis->state == TIS_EXECUTION) {
		tis->backend->cancel(tis->ctx);
		enter(tis, TIS_ABORTING);
		progress(tis, TIS_WAIT_MS);
	} else if (tis->state != TIS_ABORTING) {
		enter(tis, state);
	}
}

static void go(struct tis *tis)
{
	if (tis->state != TIS_RECEPTION || tis->expected == 0 || tis->len < tis->expected)
		return;
	if (header_size(tis->buffer) != tis->expected) {
		complete_with(tis, TPM_RC_COMMAND_SIZE);
		return;
	}
	if (!tis->backend->send(tis->ctx, (unsigned)tis->active, tis->buffer, tis->len)) {
		complete_with(tis, TPM_RC_FAILURE);
		return;
	}
	enter(tis, TIS_EXECUTION);
	progress(tis, TIS_WAIT_MS);
}

static void fifo_write(struct tis *tis, uint8_t byte)
{
	if (tis->state == TIS_READY)
		enter(tis, TIS_RECEPTION);
	if (tis->state != TIS_RECEPTION || (tis->expected > 0 && tis->len == tis->expected))
		return;
	tis->buffer[tis->len++] = byte;
	if (tis->len == HEADER_SIZE) {
		uint32_t size = header_size(tis->buffer);

		tis->expected = size < HEADER_SIZE || size > TIS_BUFFER ? HEADER_SIZE : size;
	}
}

static uint8_t fifo_read(struct tis *tis)
{
	if (tis->state != TIS_COMPLETION || tis->pos == tis->len)
		return 0xff;
	return tis->buffer[tis->pos++];
}

/* Localities */

static void activate_next(struct tis *tis)
{
	tis->active = -1;
	for (int l = TIS_LOCALITIES - 1; l >= 0; l--) {
		if (tis->requested & 1U << l) {
			tis->active = l;
			tis->requested &= (uint8_t) ~(1U << l);
			return;
		}
	}
}

static uint8_t access_read(const struct tis *tis, int locality)
{
	uint8_t value = ACCESS_VALID | ACCESS_ESTABLISHMENT, bit = (uint8_t)(1U << locality);

	if (tis->active == locality)
		value |= ACCESS_ACTIVE;
	if (tis->seized & bit)
		value |= ACCESS_BEEN_SEIZED;
	if (tis->requested & (uint8_t)~bit)
		value |= ACCESS_PENDING;
	if (tis->requested & bit)
		value |= ACCESS_REQUEST_USE;
	return value;
}

static void access_write(struct tis *tis, int locality, uint8_t value)
{
	uint8_t bit = (uint8_t)(1U << locality);

	if (value & ACCESS_ACTIVE) { /* written: give it up, or withdraw the request */
		tis->requested &= (uint8_t)~bit;
		if (tis->active == locality) {
			activate_next(tis);
			abort_to(tis, TIS_IDLE);
		}
	}
	if (value & ACCESS_BEEN_SEIZED)
		tis->seized &= (uint8_t)~bit;
	if (value & ACCESS_SEIZE && locality > tis->active && locality != TIS_LOCALITIES - 1) {
		if (tis->active >= 0) {
			tis->seized |= (uint8_t)(1U << tis->active);
			abort_to(tis, TIS_IDLE);
		}
		tis->active = locality;
		tis->requested &= (uint8_t)~bit;
	}
	/* locality 4 is the hardware's, for dynamic launches: never the guest's */
	if (value & ACCESS_REQUEST_USE && locality != TIS_LOCALITIES - 1 &&
	    tis->active != locality) {
		if (tis->active < 0)
			tis->active = locality;
		else
			tis->requested |= bit;
	}
}

/* Status */

static uint32_t sts_read(struct tis *tis)
{
	uint32_t value = STS_FAMILY_2_0 | STS_VALID | STS_SELF_TEST_DONE;
	size_t burst = 0;

	progress(tis, 0);
	switch (tis->state) {
	case TIS_READY:
		value |= STS_COMMAND_READY;
		burst = TIS_BUFFER;
		break;
	case TIS_RECEPTION:
		burst = (tis->expected ? tis->expected : TIS_BUFFER) - tis->len;
		if (burst > 0)
			value |= STS_EXPECT;
		break;
	case TIS_COMPLETION:
		burst = tis->len - tis->pos;
		if (burst > 0)
			value |= STS_DATA_AVAIL;
		break;
	case TIS_IDLE:
	case TIS_EXECUTION:
	case TIS_ABORTING:
		break;
	}
	return value | (uint32_t)burst << STS_BURST_SHIFT;
}

static void sts_write(struct tis *tis, uint32_t value)
{
	if (value & STS_COMMAND_READY)
		abort_to(tis, TIS_READY);
	else if (value & STS_GO)
		go(tis);
	else if (value & STS_RESPONSE_RETRY && tis->state == TIS_COMPLETION)
		tis->pos = 0;
	else if (value & STS_CANCEL && tis->state == TIS_EXECUTION)
		tis->backend->cancel(tis->ctx);
}

/* Registers */

static bool is_fifo(uint64_t reg)
{
	return (reg & ~UINT64_C(3)) == TPM_DATA_FIFO ||
	       (reg >= TPM_XDATA_FIFO && reg < TPM_XDATA_FIFO_END);
}

/* The 32-bit register at reg (a multiple of four); those that change by being read are elsewhere. */
static uint32_t register_read(struct tis *tis, int locality, uint64_t reg)
{
	switch (reg) {
	case TPM_ACCESS:
		return access_read(tis, locality);
	case TPM_INTF_CAPABILITY:
		return INTF_CAPABILITY;
	case TPM_STS:
		return tis->active == locality ? sts_read(tis) : UINT32_MAX;
	case TPM_INTERFACE_ID:
		return INTERFACE_ID;
	case TPM_DID_VID:
		return DID_VID;
	case TPM_RID:
		return 1;
	default:
		return 0;
	}
}

void tis_read(struct tis *tis, uint64_t offset, void *data, uint32_t len)
{
	int locality = (int)(offset / TIS_LOCALITY_SIZE);
	uint64_t reg = offset % TIS_LOCALITY_SIZE;
	uint8_t bytes[8];

	memset(bytes, 0xff, sizeof(bytes));
	pthread_mutex_lock(&tis->lock);
	if (offset < TIS_WINDOW && len <= sizeof(bytes) && is_fifo(reg)) {
		for (uint32_t i = 0; i < len && tis->active == locality; i++)
			bytes[i] = fifo_read(tis);
	} else if (offset < TIS_WINDOW && len <= 4 && reg % 4 + len <= 4) {
		uint32_t value = register_read(tis, locality, reg & ~UINT64_C(3));

		memcpy(bytes, (uint8_t *)&value + reg % 4, len);
	}
	pthread_mutex_unlock(&tis->lock);
	memcpy(data, bytes, MIN(len, (uint32_t)sizeof(bytes)));
}

void tis_write(struct tis *tis, uint64_t offset, const void *data, uint32_t len)
{
	int locality = (int)(offset / TIS_LOCALITY_SIZE);
	uint64_t reg = offset % TIS_LOCALITY_SIZE;
	const uint8_t *bytes = data;

	pthread_mutex_lock(&tis->lock);
	if (offset < TIS_WINDOW && reg == TPM_ACCESS) {
		access_write(tis, locality, bytes[0]);
	} else if (offset < TIS_WINDOW && tis->active == locality) {
		if (is_fifo(reg)) {
			for (uint32_t i = 0; i < len; i++)
				fifo_write(tis, bytes[i]);
		} else if ((reg & ~UINT64_C(3)) == TPM_STS && reg % 4 + len <= 4) {
			uint32_t value = 0;

			memcpy((uint8_t *)&value + reg % 4, bytes, len);
			sts_write(tis, value);
		}
	}
	pthread_mutex_unlock(&tis->lock);
}

int tis_borrow(struct tis *tis, int timeout_ms)
{
	uint64_t deadline = clock_now_ns() + (uint64_t)timeout_ms * 1000000;

	for (;;) {
		pthread_mutex_lock(&tis->lock);
		progress(tis, 0);
		if (tis->state != TIS_EXECUTION && tis->state != TIS_ABORTING)
			return 0;
		pthread_mutex_unlock(&tis->lock);
		if (clock_now_ns() >= deadline)
			return -EBUSY;
		poll(NULL, 0, BORROW_POLL_MS);
	}
}

void tis_return(struct tis *tis)
{
	pthread_mutex_unlock(&tis->lock);
}

int tis_execute(struct tis *tis, const uint8_t *command, size_t len, uint8_t *response, size_t max,
		int timeout_ms)
{
	int n;

	if (!tis->backend->send(tis->ctx, 0, command, len))
		return -EPIPE;
	n = tis->backend->receive(tis->ctx, response, max, timeout_ms);
	if (n == 0)
		return -ETIMEDOUT;
	return n < 0 ? -EPIPE : n;
}
