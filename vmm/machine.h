/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/str.h"
#include "firmware/firmware.h"
#include "vmm/bus.h"
#include "vmm/ioapic.h"
#include "vmm/kvm.h"
#include "vmm/loop.h"
#include "vmm/memory.h"
#include "vmm/serial.h"
#include "vmm/vcpu.h"
#include "vmm/virtio.h"

/*
 * The machine: VM, memory, vCPUs, IOAPIC, and the virtio devices somebody made for it.
 *
 *	machine_new()		opens KVM, makes memory, starts setting vCPUs up beside the caller
 *	machine_add_virtio()	once a device, in the order they appear to the guest
 *	machine_load()		kernel, initrd, command line, device tree
 *	machine_start()		the guest runs
 *	machine_notified()	for each LOOP_NOTIFY event
 *	machine_ended()		after a LOOP_VCPU event: why
 *	machine_stop()		no vCPU runs any more; devices may be freed
 *	machine_free()
 *
 * After machine_start() nothing is allocated because of the guest.
 */

struct machine_config {
	uint64_t memory;  /* bytes to boot with, a multiple of MEMORY_ALIGN */
	uint64_t hotplug; /* bytes of virtio-mem's region, a multiple of MEMORY_SLOT, or 0 */
	unsigned ncpus;	  /* 1..FIRMWARE_MAX_CPUS */
	int serial_fd;	  /* the guest's console goes there (--debug); -1: no serial port */
	bool jail;	  /* machine_start() confines the process for good: see vmm/jail.h */
	/* With jail: the directory, below the working directory, to write files in. NULL: none. */
	const char *writable;
};

struct machine {
	struct loop *loop; /* the caller's */
	struct kvm kvm;
	struct memory *memory;
	struct bus mmio, pio;
	struct ioapic ioapic;
	struct serial serial;
	bool has_serial, emulated;
	bool offloaded;	      /* another process works on guest memory, by its memfd */
	const char *writable; /* the caller's */
	struct vcpus vcpus;
	struct kvm_irq_routing *routes; /* scratch for the IOAPIC's table */
	struct firmware_params params;
	struct firmware_entry entry;
	struct virtio_device *virtio[FIRMWARE_MAX_VIRTIO]; /* the caller's */
	unsigned nvirtio;
	int end_fd; /* owned */
};

int machine_new(const struct machine_config *config, struct loop *loop, struct machine **ret,
		struct error *err) __attribute__((nonnull));
void machine_free(struct machine *machine);

/* Guest memory as devices see it. */
static inline const struct gmem *machine_memory(const struct machine *machine)
{
	return &machine->memory->gmem;
}

/* All of it in a file, for who works an offloaded device's queues. The descriptor stays ours. */
static inline int machine_memfd(const struct machine *machine)
{
	return machine->memory->fd;
}

/*
 * Before the first back end that comes while the guest runs: what of guest memory is mapped from the
 * kernel's file is put into the memfd, too. The guest has it read-only by then.
 */
int machine_fill_memfd(struct machine *machine, struct error *err) __attribute__((nonnull));

/*
 * Give dev, complete (virtio_init() was called with machine_memory()), the next window and pin. dev
 * stays the caller's, who frees it after machine_stop() and before machine_free().
 */
int machine_add_virtio(struct machine *machine, struct virtio_device *dev, struct error *err)
	__attribute__((nonnull));

/* Where the nth device goes, in the description of a machine that has those before it. */
void machine_describe_virtio(struct firmware_params *params, unsigned n, bool late)
	__attribute__((nonnull));

/* The kernel's command line: of the kind of host, with or without a serial port, then words. */
void machine_cmdline(bool emulated, bool serial, const char *words, struct str *ret)
	__attribute__((nonnull));

/*
 * Load an uncompressed kernel and an initrd (-1: none), with a command line of machine_cmdline().
 */
int machine_load(struct machine *machine, int kernel_fd, int initrd_fd, const char *cmdline,
		 struct error *err) __attribute__((nonnull));
int machine_start(struct machine *machine, struct error *err) __attribute__((nonnull));

void machine_notified(struct machine *machine, uint32_t index) __attribute__((nonnull));
bool machine_ended(struct machine *machine, struct vcpu_end *ret) __attribute__((nonnull));
void machine_stop(struct machine *machine) __attribute__((nonnull));

/*
 * virtio-mem's region, 0 bytes when there is none, and struct mem_params' plug operation for it
 * (ctx is the machine; one MEMORY_SLOT at a time). For the device loop.
 */
uint64_t machine_hotplug(const struct machine *machine, uint64_t *ret_gpa, uint8_t **ret_hva)
	__attribute__((nonnull));
int machine_plug(void *machine, uint64_t gpa, uint64_t len, bool on) __attribute__((nonnull));

/* See vcpus_instructions(). */
int machine_instructions(struct machine *machine, uint64_t *ret) __attribute__((nonnull));

#endif
