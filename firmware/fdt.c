/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware/fdt.h"

#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdio.h>

#define IOAPIC_PHANDLE 1

/* Interrupt types of the IOAPIC's second cell (spec section 5). */
#define IRQ_LEVEL_HIGH	1
#define IRQ_EDGE_RISING 3

#define MMIO_WINDOW   0x200 /* of a virtio-mmio device */
#define SERIAL_WINDOW 0x1000
#define SERIAL_CLOCK  1843200 /* Hz, a PC's */
#define TPM_WINDOW    0x5000  /* five localities */

/* libfdt's sequential writer; the first error sticks. */
struct writer {
	void *fdt;
	int error;
};

static void keep(struct writer *w, int error)
{
	if (w->error == 0)
		w->error = error;
}

static void begin(struct writer *w, const char *name)
{
	keep(w, fdt_begin_node(w->fdt, name));
}

static void end(struct writer *w)
{
	keep(w, fdt_end_node(w->fdt));
}

static void prop_string(struct writer *w, const char *name, const char *value)
{
	keep(w, fdt_property_string(w->fdt, name, value));
}

static void prop_u32(struct writer *w, const char *name, uint32_t value)
{
	keep(w, fdt_property_u32(w->fdt, name, value));
}

static void prop_empty(struct writer *w, const char *name)
{
	keep(w, fdt_property(w->fdt, name, NULL, 0));
}

/* Two address cells and two size cells. */
static void prop_reg(struct writer *w, uint64_t base, uint64_t size)
{
	fdt64_t reg[2] = {cpu_to_fdt64(base), cpu_to_fdt64(size)};

	keep(w, fdt_property(w->fdt, "reg", reg, sizeof(reg)));
}

static void prop_interrupt(struct writer *w, uint32_t pin, uint32_t type)
{
	fdt32_t interrupts[2] = {cpu_to_fdt32(pin), cpu_to_fdt32(type)};

	keep(w, fdt_property(w->fdt, "interrupts", interrupts, sizeof(interrupts)));
}

static void begin_at(struct writer *w, const char *kind, uint64_t address)
{
	char name[48];

	snprintf(name, sizeof(name), "%s@%" PRIx64, kind, address);
	begin(w, name);
}

static void write_cpus(struct writer *w, unsigned ncpus)
{
	begin(w, "cpus");
	prop_u32(w, "#address-cells", 1);
	prop_u32(w, "#size-cells", 0);
	for (unsigned id = 0; id < ncpus; id++) {
		begin_at(w, "cpu", id);
		prop_string(w, "device_type", "cpu");
		prop_u32(w, "reg", id); /* the APIC id */
		end(w);
	}
	end(w);
}

static void write_ioapic(struct writer *w)
{
	begin_at(w, "interrupt-controller", LAYOUT_IOAPIC_BASE);
	prop_string(w, "compatible", "intel,ce4100-ioapic");
	prop_empty(w, "interrupt-controller");
	prop_u32(w, "#interrupt-cells", 2);
	prop_u32(w, "#address-cells", 0);
	prop_reg(w, LAYOUT_IOAPIC_BASE, 0x1000);
	prop_u32(w, "phandle", IOAPIC_PHANDLE);
	end(w);
}

static void write_serial(struct writer *w, uint32_t irq)
{
	begin_at(w, "serial", LAYOUT_SERIAL_BASE);
	prop_string(w, "compatible", "ns16550a");
	prop_u32(w, "clock-frequency", SERIAL_CLOCK);
	prop_reg(w, LAYOUT_SERIAL_BASE, SERIAL_WINDOW);
	prop_interrupt(w, irq, IRQ_LEVEL_HIGH);
	end(w);
}

/* The log's properties are always there, so that its address does not depend on themselves. */
static void write_tpm(struct writer *w, uint64_t log_gpa, uint32_t log_len)
{
	begin_at(w, "tpm", LAYOUT_TPM_BASE);
	prop_string(w, "compatible", "tcg,tpm-tis-mmio");
	prop_reg(w, LAYOUT_TPM_BASE, TPM_WINDOW);
	keep(w, fdt_property_u64(w->fdt, "linux,sml-base", log_gpa));
	prop_u32(w, "linux,sml-size", log_len);
	end(w);
}

static void write_soc(struct writer *w, const struct firmware_params *params)
{
	begin(w, "soc");
	prop_string(w, "compatible", "simple-bus");
	prop_u32(w, "#address-cells", 2);
	prop_u32(w, "#size-cells", 2);
	prop_empty(w, "ranges");
	prop_u32(w, "interrupt-parent", IOAPIC_PHANDLE);
	write_ioapic(w);
	for (unsigned i = 0; i < params->nvirtio; i++) {
		bool late = params->virtio[i].late;

		begin_at(w, late ? "virtio_late" : "virtio_mmio", params->virtio[i].gpa);
		prop_string(w, "compatible", late ? "tripod,virtio-late" : "virtio,mmio");
		prop_reg(w, params->virtio[i].gpa, MMIO_WINDOW);
		prop_interrupt(w, params->virtio[i].irq, IRQ_EDGE_RISING);
		end(w);
	}
	if (params->serial)
		write_serial(w, params->serial_irq);
	if (params->tpm)
		write_tpm(w, params->log_gpa, params->log_len);
	end(w);
}

int fdt_build(const struct firmware_params *params, void *dst, size_t *ret_size, struct error *err)
{
	struct writer w = {.fdt = dst};

	keep(&w, fdt_create(dst, FDT_SIZE_MAX));
	keep(&w, fdt_finish_reservemap(dst));
	begin(&w, "");
	prop_u32(&w, "#address-cells", 2);
	prop_u32(&w, "#size-cells", 2);
	prop_string(&w, "compatible", "tripod,machine");
	write_cpus(&w, params->ncpus);
	write_soc(&w, params);
	end(&w);
	keep(&w, fdt_finish(dst));
	if (w.error)
		return error_set(err, -ENOSPC, "device tree: %s", fdt_strerror(w.error));
	*ret_size = fdt_totalsize(dst);
	return 0;
}
