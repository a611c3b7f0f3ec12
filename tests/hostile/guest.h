/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_HOSTILE_GUEST_H
#define TESTS_HOSTILE_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A guest kernel that is hostile: flat code in ring 0, without interrupts, that drives the machine's
 * virtio devices wrongly. One scenario a boot, named on the command line (hostile=NAME); what it saw
 * goes to the serial port; it ends by resetting the machine.
 */

/* firmware/firmware.h */
#define SERIAL_BASE 0xcffff000
#define VIRTIO_BASE 0xd0000000
#define IOAPIC_BASE 0xfec00000
#define LAPIC_BASE  0xfee00000
#define HIGH_BASE   UINT64_C(0x100000000)

/* What devices may write to, far from code, stack and page tables: all zero but what they write. */
#define BUF	 0x04000000
#define BUF_SIZE 0x02000000
#define RINGS	 0x03000000 /* 256 KiB a device, 32 KiB a queue */

#define DEVICES_MAX 16
#define QUEUES_MAX  8

enum { ID_BLOCK = 2, ID_RNG = 4, ID_BALLOON = 5, ID_VSOCK = 19, ID_MEM = 24 };

enum {
	REG_DEVICE_SEL = 0x14,
	REG_DRIVER = 0x20,
	REG_DRIVER_SEL = 0x24,
	REG_QUEUE_SEL = 0x30,
	REG_SIZE_MAX = 0x34,
	REG_SIZE = 0x38,
	REG_READY = 0x44,
	REG_NOTIFY = 0x50,
	REG_ISR = 0x60,
	REG_ACK = 0x64,
	REG_STATUS = 0x70,
	REG_DESC = 0x80,
	REG_AVAIL = 0x90,
	REG_USED = 0xa0,
	REG_CONFIG = 0x100
};

#define RUNNING	    15
#define NEEDS_RESET 64

#define NEXT	 1
#define WRITE	 2
#define INDIRECT 4

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct queue {
	unsigned size;
	volatile struct desc *desc;
	volatile uint16_t *avail; /* flags, idx, ring[] */
	volatile uint16_t *used;  /* flags, idx, {u32 id, u32 len}[] */
};

struct device {
	uint64_t base;
	unsigned index, id, nqueues;
	struct queue q[QUEUES_MAX];
};

extern struct device devices[DEVICES_MAX];
extern unsigned ndevices;

/* lib.c */
void print(const char *text);
void print_number(uint64_t n);
/* Count a check; say what failed. */
void check(bool ok, const char *what, const struct device *dev, unsigned queue);
void zero(volatile void *p, size_t len);
uint32_t random32(void);
/* Run work(arg) on the second CPU until stop_second(); work looks at second_stop. */
void start_second(void (*work)(void));
void stop_second(void);
extern volatile bool second_stop;
__attribute__((noreturn)) void reset_machine(void);

static inline uint32_t read32(const struct device *dev, unsigned reg)
{
	return *(volatile uint32_t *)(uintptr_t)(dev->base + reg);
}

static inline void write32(const struct device *dev, unsigned reg, uint32_t value)
{
	*(volatile uint32_t *)(uintptr_t)(dev->base + reg) = value;
}

static inline void barrier(void)
{
	__asm__ volatile("" ::: "memory");
}

static inline void pause(void)
{
	__asm__ volatile("nop" ::: "memory");
}

/* driver.c */
void find_devices(void);
struct device *find_device(unsigned id);
/* Reset, and up to FEATURES_OK. */
void negotiate(struct device *dev);
void set_queue(struct device *dev, unsigned queue, unsigned size, uint64_t desc, uint64_t avail,
	       uint64_t used);
/* negotiate(), clean rings for every queue, DRIVER_OK. */
void bring_up(struct device *dev);
/* Make the next n descriptors after first a chain by hand with set_desc(), then publish(head). */
void set_desc(struct queue *q, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
	      uint16_t next);
void publish(struct queue *q, uint16_t head);
void kick(const struct device *dev, unsigned queue);
/* Whether it comes to be, within a time that is long enough for a busy host. */
bool becomes_broken(const struct device *dev);
bool becomes_used(const struct queue *q, uint16_t idx);
/* Whether a disk is offered to be read only. */
bool is_read_only(const struct device *dev);
/* A device after all that: it resets, comes up, and does its work if we know how to ask. */
void check_alive(struct device *dev);
/* Read len bytes of a disk to addr. The block request's status, or -1 when none came. */
int block_read(struct device *dev, uint64_t sector, uint64_t addr, uint32_t len);

/* One request of in_len bytes at in, answer to out; false when nothing came back. */
bool request(struct device *dev, unsigned queue, uint64_t in, uint32_t in_len, uint64_t out,
	     uint32_t out_len);

/* scenarios */
void scenario_rules(void);
void scenario_lengths(void);
void scenario_geometry(void);
void scenario_registers(void);
void scenario_rewrite(void);
void scenario_reset(void);
void scenario_storm(void);
void scenario_forever(void);
void scenario_requests(void);
void scenario_vsock(void);
void scenario_undermine(void);
void scenario_triple(void);
void scenario_halt(void);
void scenario_tpm(void);

void hostile_main(const uint8_t *boot_params);
void hostile_second(void);

/* Write value to a register of width bytes (1, 2, 4, else 8) and read it back. */
void io_access(uint64_t addr, unsigned width, uint64_t value);

#endif
