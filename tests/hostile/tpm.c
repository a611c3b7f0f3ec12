/* SPDX-License-Identifier: Apache-2.0 */
/* The TPM's registers used as no driver would. */
#include "tests/hostile/guest.h"

#define TPM_BASE   UINT64_C(0xfed40000)
#define TPM_WINDOW 0x5000
#define LOCALITY   0x1000

enum { ACCESS = 0, STS = 0x18, FIFO = 0x24, XFIFO = 0x80 };
enum { USE = 2, SEIZE = 8, RELINQUISH = 0x20 };
enum { RETRY = 2, AVAIL = 0x10, GO = 0x20, READY = 0x40 };

/* The launch is measured beside the guest's boot, and the registers come after it: an exit a look. */
#define COMING_POLLS 2000000
#define ANSWER_POLLS 2000000

/* TPM2_GetRandom of 8 bytes, and its answer's length */
static const uint8_t get_random[] = {0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 8};
#define ANSWER_LEN 20

static uint8_t read8(uint64_t reg)
{
	return *(volatile uint8_t *)(uintptr_t)(TPM_BASE + reg);
}

static void write8(uint64_t reg, uint8_t value)
{
	*(volatile uint8_t *)(uintptr_t)(TPM_BASE + reg) = value;
}

static void poke(uint64_t reg, unsigned width, uint64_t value)
{
	io_access(TPM_BASE + reg, width, value);
}

/* Whatever was done before: nobody has a locality, then 0 has, and it is ready. */
static bool begin(void)
{
	for (unsigned l = 0; l < 5; l++)
		write8(l * LOCALITY + ACCESS, RELINQUISH | 0x10);
	write8(ACCESS, USE);
	write8(STS, READY);
	for (unsigned i = 0; i < ANSWER_POLLS; i++) {
		if (read8(STS) & READY)
			return true;
		write8(STS, READY);
	}
	return false;
}

static bool answered(void)
{
	for (unsigned i = 0; i < ANSWER_POLLS; i++)
		if (read8(STS) & AVAIL)
			return true;
	return false;
}

static void send(const uint8_t *bytes, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		write8(FIFO, bytes[i]);
}

/* The result code of what was sent. */
static uint32_t result(void)
{
	uint32_t code = 0;

	write8(STS, GO);
	if (!answered())
		return ~0U;
	for (unsigned i = 0; i < 10; i++)
		code = code << 8 | read8(FIFO);
	return code;
}

static void alive(const char *what)
{
	unsigned n = 0;

	if (!begin()) {
		check(false, what, &devices[0], 0);
		return;
	}
	send(get_random, sizeof(get_random));
	check(result() == 0, what, &devices[0], 0);
	for (n = 10; n < 64 && read8(STS) & AVAIL; n++)
		(void)read8(FIFO);
	check(n == ANSWER_LEN, "and its answer is whole", &devices[0], 0);
}

static void hammer(void)
{
	static uint32_t seed = 2463534242;

	while (!second_stop) {
		seed ^= seed << 13;
		seed ^= seed >> 17;
		seed ^= seed << 5;
		poke(seed % TPM_WINDOW & ~7U, 1U << (seed >> 28) % 4, seed >> 3);
	}
}

static void sizes(void)
{
	static const uint32_t size[] = {0, 9, 4097, 65536, 0x7fffffff, 0xffffffff};

	for (unsigned i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
		uint8_t header[10] = {0x80, 1, 0, 0, 0, 0, 0, 0, 1, 0x7b};

		for (unsigned b = 0; b < 4; b++)
			header[2 + b] = (uint8_t)(size[i] >> 8 * (3 - b));
		check(begin(), "a command can begin", &devices[0], i);
		send(header, sizeof(header));
		for (unsigned n = 0; n < 5000; n++)
			write8(n & 1 ? FIFO : XFIFO, (uint8_t)n);
		check(result() == 0x142, "an impossible size is answered", &devices[0], i);
	}
}

/* Words and double words as a burst, too many of them, and reads beyond the end. */
static void bursts(void)
{
	check(begin(), "a command can begin", &devices[0], 0);
	poke(FIFO, 8, UINT64_C(0x00000c0000000180));
	for (unsigned i = 0; i < 64; i++)
		poke(XFIFO + i % 8 * 8, 8, 0x08000000007b01);
	write8(STS, GO);
	for (unsigned i = 0; i < 2000; i++)
		poke(XFIFO + i % 8 * 8, 8, i);
	alive("the TPM lives after bursts");
}

static void abuse_order(void)
{
	for (unsigned i = 0; i < 300; i++) {
		uint32_t r = random32();

		switch (r % 6) {
		case 0:
			write8(STS, GO);
			break;
		case 1:
			write8(STS, RETRY);
			break;
		case 2:
			send(get_random, (r >> 8) % sizeof(get_random));
			break;
		case 3:
			begin();
			send(get_random, sizeof(get_random));
			write8(STS, GO);
			write8((r >> 8) % 5 * LOCALITY + ACCESS, r & 64 ? SEIZE : RELINQUISH);
			break;
		case 4:
			write8((r >> 8) % 5 * LOCALITY + ACCESS, (uint8_t)(r >> 16));
			break;
		default:
			write8(STS, (uint8_t)(r >> 16));
		}
	}
	alive("the TPM lives after steps in any order");
}

/* Commands a TPM has to make sense of itself. */
static void garbage(void)
{
	static const uint8_t header[10] = {[0] = 0x80, [8] = 1};

	for (unsigned i = 0; i < 100; i++) {
		unsigned len = 10 + random32() % 100;

		if (!begin())
			break;
		/* a header of that length, a command in the range of real ones */
		for (unsigned n = 0; n < len; n++) {
			uint8_t byte = (uint8_t)random32();

			if (n < sizeof(header))
				byte = header[n];
			if (n == 1)
				byte = (uint8_t)(1 + random32() % 2);
			else if (n == 5)
				byte = (uint8_t)len;
			else if (n == 9)
				byte = (uint8_t)(0x1f + random32() % 0x80);
			write8(FIFO, byte);
		}
		write8(STS, GO);
		if (!answered())
			break;
	}
	alive("the TPM lives after senseless commands");
}

void scenario_tpm(void)
{
	unsigned i = 0;

	while (i < COMING_POLLS && read8(ACCESS) == 0xff)
		i++;
	check(i < COMING_POLLS, "the TPM comes", &devices[0], 0);
	alive("a command is executed");
	for (unsigned offset = 0; offset < TPM_WINDOW; offset += offset % LOCALITY < 0x100 ? 1 : 37)
		for (unsigned width = 1; width <= 8; width *= 2)
			poke(offset, width, ~UINT64_C(0));
	alive("the TPM lives after all registers in all widths");
	for (i = 0; i < 4000; i++)
		poke((uint64_t)(random32() % (TPM_WINDOW + 16)) - 8, 1U << random32() % 4,
		     (uint64_t)random32() << 32 | random32());
	alive("the TPM lives after random accesses");
	sizes();
	alive("the TPM lives after impossible sizes");
	bursts();
	abuse_order();
	start_second(hammer);
	for (i = 0; i < 20; i++) {
		send(get_random, sizeof(get_random));
		write8(STS, GO);
		write8(STS, READY);
		write8(ACCESS, USE);
	}
	stop_second();
	alive("the TPM lives after two CPUs at once");
	garbage();
}
