/* SPDX-License-Identifier: Apache-2.0 */
/* The hostile guest's ground: page tables, the serial port, the second CPU, the end. */
#include "tests/hostile/guest.h"

#define AP_PAGE	   0x8000
#define PAGE_TABLE __attribute__((aligned(4096)))
#define GIB	   UINT64_C(0x40000000)

static uint64_t pml4[512] PAGE_TABLE, pdpt[512] PAGE_TABLE, pd[3][512] PAGE_TABLE;
static unsigned checks, failures;
static void (*volatile second_work)(void);
static volatile bool second_runs;
volatile bool second_stop;

extern const uint8_t ap_code[];
extern const uint64_t ap_code_size, ap_cr3_offset;

/* Identity: RAM below 1 GiB, the devices' GiB below 4, and the first pluggable one above. */
static void map_memory(void)
{
	static const unsigned gib[] = {0, 3, 4};

	for (unsigned i = 0; i < 3; i++) {
		for (unsigned k = 0; k < 512; k++)
			pd[i][k] = (gib[i] * GIB + k * UINT64_C(0x200000)) | 0x83;
		pdpt[gib[i]] = (uintptr_t)pd[i] | 3;
	}
	pml4[0] = (uintptr_t)pdpt | 3;
	__asm__ volatile("mov %0, %%cr3" ::"r"(pml4) : "memory");
}

void print(const char *text)
{
	while (*text)
		*(volatile uint8_t *)SERIAL_BASE = (uint8_t)*text++;
}

void print_number(uint64_t n)
{
	char digits[21], *p = digits + sizeof(digits);

	*--p = '\0';
	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	print(p);
}

void check(bool ok, const char *what, const struct device *dev, unsigned queue)
{
	checks++;
	if (ok)
		return;
	if (failures++ > 20)
		return; /* said often enough */
	print("hostile: not so: ");
	print(what);
	print(", device ");
	print_number(dev ? dev->id : 0);
	print(" queue ");
	print_number(queue);
	print("\n");
}

void zero(volatile void *p, size_t len)
{
	volatile uint64_t *word = p;

	for (size_t i = 0; i < (len + 7) / 8; i++)
		word[i] = 0;
}

/* The compiler may call these. */
void *memset(void *dst, int c, size_t len);
void *memcpy(void *dst, const void *src, size_t len);

void *memset(void *dst, int c, size_t len)
{
	volatile uint8_t *p = dst;

	while (len--)
		*p++ = (uint8_t)c;
	return dst;
}

void *memcpy(void *dst, const void *src, size_t len)
{
	volatile uint8_t *d = dst;
	const uint8_t *s = src;

	while (len--)
		*d++ = *s++;
	return dst;
}

uint32_t random32(void)
{
	static uint32_t seed = 2463534242;

	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static void ipi(uint32_t low)
{
	*(volatile uint32_t *)(LAPIC_BASE + 0x310) = 1U << 24; /* to APIC id 1 */
	*(volatile uint32_t *)(LAPIC_BASE + 0x300) = low;
}

void hostile_second(void)
{
	second_runs = true;
	for (;;) {
		void (*work)(void) = second_work;

		if (work) {
			work();
			second_work = NULL;
		}
		pause();
	}
}

void start_second(void (*work)(void))
{
	if (!second_runs) {
		volatile uint32_t *cr3 = (volatile uint32_t *)(AP_PAGE + ap_cr3_offset);

		memcpy((void *)AP_PAGE, ap_code, ap_code_size);
		*cr3 = (uint32_t)(uintptr_t)pml4;
		*(volatile uint32_t *)(LAPIC_BASE + 0xf0) = 0x1ff; /* switch the local APIC on */
		ipi(0xc500);					   /* INIT */
		for (unsigned i = 0; i < 20000; i++)
			pause();
		ipi(0x4600 | AP_PAGE >> 12); /* start-up */
		while (!second_runs)
			pause();
	}
	second_stop = false;
	second_work = work;
}

void stop_second(void)
{
	second_stop = true;
	while (second_work)
		pause();
}

__attribute__((noreturn)) void reset_machine(void)
{
	for (;;)
		__asm__ volatile("outb %0, $0x64" ::"a"((uint8_t)0xfe));
}

/* Scenarios that end by themselves in a way of their own come last. */
static const struct {
	const char *name;
	void (*run)(void);
} scenarios[] = {
	{"rules", scenario_rules},	 {"lengths", scenario_lengths},
	{"geometry", scenario_geometry}, {"registers", scenario_registers},
	{"rewrite", scenario_rewrite},	 {"reset", scenario_reset},
	{"storm", scenario_storm},	 {"requests", scenario_requests},
	{"vsock", scenario_vsock},	 {"undermine", scenario_undermine},
	{"forever", scenario_forever},	 {"triple", scenario_triple},
	{"halt", scenario_halt},	 {"tpm", scenario_tpm},
};

/* Whether the command line has "hostile=name" as its last word. */
static bool is_wanted(const char *line, const char *name)
{
	const char *word = "hostile=", *last = NULL;

	for (; *line; line++) {
		const char *p = line, *w = word;

		while (*w && *p == *w) {
			p++;
			w++;
		}
		if (!*w)
			last = p;
	}
	while (last && *name && *last == *name) {
		last++;
		name++;
	}
	return last && !*name && !*last;
}

void hostile_main(const uint8_t *boot_params)
{
	const char *line = (const char *)(uintptr_t) * (const uint32_t *)(boot_params + 0x228);

	map_memory();
	find_devices();
	for (unsigned i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		if (!is_wanted(line, scenarios[i].name))
			continue;
		print("hostile: ");
		print(scenarios[i].name);
		print(" begins\n");
		scenarios[i].run();
		print("hostile: ");
		print(scenarios[i].name);
		print(": ");
		print_number(checks);
		print(" checks, ");
		print_number(failures);
		print(" failed\n");
		reset_machine();
	}
	print("hostile: no such scenario\n");
	reset_machine();
}

void io_access(uint64_t addr, unsigned width, uint64_t value)
{
	volatile void *p = (volatile void *)(uintptr_t)addr;

	switch (width) {
	case 1:
		*(volatile uint8_t *)p = (uint8_t)value;
		(void)*(volatile uint8_t *)p;
		break;
	case 2:
		*(volatile uint16_t *)p = (uint16_t)value;
		(void)*(volatile uint16_t *)p;
		break;
	case 4:
		*(volatile uint32_t *)p = (uint32_t)value;
		(void)*(volatile uint32_t *)p;
		break;
	default:
		*(volatile uint64_t *)p = value;
		(void)*(volatile uint64_t *)p;
		break;
	}
}
