/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>

#include "common/file.h"
#include "common/str.h"
#include "common/util.h"
#include "firmware/cmdline.h"
#include "vmm/jail.h"
#include "vmm/probe.h"

_Static_assert(FIRMWARE_MAX_VIRTIO + 1 <= IOAPIC_MAX_PINS,
	       "a pin a device, one for the serial port");

/* Buses */

static void virtio_window_read(void *opaque, uint64_t offset, void *data, uint32_t len)
{
	struct machine *machine = opaque;
	uint64_t n = offset / VIRTIO_MMIO_SIZE;

	if (n < machine->nvirtio)
		virtio_mmio_read(machine->virtio[n], offset % VIRTIO_MMIO_SIZE, data, len);
	else
		memset(data, 0xff, len);
}

static void virtio_window_write(void *opaque, uint64_t offset, const void *data, uint32_t len)
{
	struct machine *machine = opaque;
	uint64_t n = offset / VIRTIO_MMIO_SIZE;

	if (n < machine->nvirtio)
		virtio_mmio_write(machine->virtio[n], offset % VIRTIO_MMIO_SIZE, data, len);
}

static const struct bus_ops virtio_window_ops = {virtio_window_read, virtio_window_write};

static void ioapic_bus_read(void *opaque, uint64_t offset, void *data, uint32_t len)
{
	ioapic_read(opaque, offset, data, len);
}

static void ioapic_bus_write(void *opaque, uint64_t offset, const void *data, uint32_t len)
{
	ioapic_write(opaque, offset, data, len);
}

static const struct bus_ops ioapic_bus_ops = {ioapic_bus_read, ioapic_bus_write};

static void serial_bus_read(void *opaque, uint64_t offset, void *data, uint32_t len)
{
	serial_read(opaque, offset, data, len);
}

static void serial_bus_write(void *opaque, uint64_t offset, const void *data, uint32_t len)
{
	serial_write(opaque, offset, data, len);
}

static const struct bus_ops serial_bus_ops = {serial_bus_read, serial_bus_write};

/* Interrupts */

static void routes_changed(void *opaque)
{
	struct machine *machine = opaque;
	struct kvm_irq_routing *table = machine->routes;

	table->nr = 0;
	for (unsigned pin = 0; pin < machine->ioapic.npins; pin++) {
		struct kvm_irq_routing_entry *entry = &table->entries[table->nr];
		struct ioapic_msi msi;

		if (!ioapic_route(&machine->ioapic, pin, &msi))
			continue;
		*entry = (struct kvm_irq_routing_entry){
			.gsi = pin,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi.address_lo = (uint32_t)msi.address,
			.u.msi.address_hi = (uint32_t)(msi.address >> 32),
			.u.msi.data = msi.data,
		};
		table->nr++;
	}
	/* Fails only without memory in the host's kernel; the guest then misses interrupts. */
	(void)kvm_set_routes(&machine->kvm, table);
}

static void inject(void *opaque, const struct ioapic_msi *msi)
{
	struct machine *machine = opaque;

	kvm_inject_msi(&machine->kvm, msi->address, msi->data);
}

static const struct ioapic_ops ioapic_ops = {routes_changed, inject};

/* The serial port's pin is the one after the devices'. */
static void set_serial_line(void *opaque, bool up)
{
	struct machine *machine = opaque;

	ioapic_set_line(&machine->ioapic, machine->nvirtio, up);
}

/* Making it */

static int start_set_up(struct machine *machine, const struct machine_config *config,
			struct error *err)
{
	int r = kvm_open(&machine->kvm, err);

	if (r == 0)
		r = kvm_create_vm(&machine->kvm, IOAPIC_MAX_PINS, err);
	if (r < 0)
		return r;
	machine->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (machine->end_fd < 0)
		return error_errno(err, "eventfd");
	r = loop_add(machine->loop, machine->end_fd, EPOLLIN, LOOP_VCPU, 0, err);
	if (r < 0)
		return r;
	machine->vcpus.kvm = &machine->kvm;
	machine->vcpus.mmio = &machine->mmio;
	machine->vcpus.pio = &machine->pio;
	machine->vcpus.ioapic = &machine->ioapic;
	machine->vcpus.end_fd = machine->end_fd;
	machine->vcpus.jailed = config->jail;
	machine->writable = config->writable;
	r = vcpus_prepare(&machine->vcpus, config->ncpus, err);
	if (r == 0)
		r = memory_new(config->memory, config->hotplug, &machine->memory, err);
	if (r == 0)
		r = memory_map(machine->memory, &machine->kvm, err);
	return r;
}

int machine_new(const struct machine_config *config, struct loop *loop, struct machine **ret,
		struct error *err)
{
	struct machine *machine;
	int r;

	if (config->ncpus < 1 || config->ncpus > FIRMWARE_MAX_CPUS)
		return error_set(err, -EINVAL, "%u CPUs are not possible, at most %d",
				 config->ncpus, FIRMWARE_MAX_CPUS);
	machine = xcalloc(1, sizeof(*machine));
	machine->loop = loop;
	machine->kvm = (struct kvm)KVM_NONE;
	machine->end_fd = -1;
	machine->emulated = probe_kernel_is_emulated();
	machine->params = (struct firmware_params){.ncpus = config->ncpus};
	machine->routes = xcalloc(1, sizeof(*machine->routes) +
					     IOAPIC_MAX_PINS * sizeof(machine->routes->entries[0]));
	if (config->serial_fd >= 0) {
		serial_init(&machine->serial, config->serial_fd, set_serial_line, machine);
		machine->has_serial = machine->params.serial = true;
	}
	r = start_set_up(machine, config, err);
	if (r < 0) {
		machine_stop(machine);
		machine_free(machine);
		return r;
	}
	*ret = machine;
	return 0;
}

void machine_free(struct machine *machine)
{
	if (!machine)
		return;
	vcpus_free(&machine->vcpus);
	close_fd(&machine->end_fd);
	if (machine->has_serial)
		serial_free(&machine->serial);
	if (machine->ioapic.npins > 0)
		ioapic_free(&machine->ioapic);
	kvm_close(&machine->kvm);
	memory_free(machine->memory);
	free(machine->routes);
	free(machine);
}

static int wire_virtio(struct machine *machine, unsigned n, struct error *err)
{
	const struct virtio_device *dev = machine->virtio[n];
	uint64_t notify = machine->params.virtio[n].gpa + VIRTIO_MMIO_NOTIFY;
	int r = kvm_add_irqfd(&machine->kvm, n, dev->irqfd, err);

	if (r == 0 && dev->offloaded)
		r = loop_add(machine->loop, dev->wakefd, EPOLLIN, LOOP_NOTIFY, LOOP_QUEUE(n, 0),
			     err);
	for (unsigned queue = 0; r == 0 && queue < dev->nqueues; queue++) {
		if (!dev->offloaded)
			r = loop_add(machine->loop, dev->kickfd[queue], EPOLLIN, LOOP_NOTIFY,
				     LOOP_QUEUE(n, queue), err);
		if (r == 0)
			r = kvm_add_ioeventfd(&machine->kvm, notify, queue, dev->kickfd[queue],
					      err);
	}
	return r;
}

void machine_describe_virtio(struct firmware_params *params, unsigned n, bool late)
{
	params->virtio[n] = (struct firmware_virtio){
		.gpa = LAYOUT_VIRTIO_BASE + (uint64_t)n * VIRTIO_MMIO_SIZE,
		.irq = n,
		.late = late,
	};
	params->nvirtio = n + 1;
	params->serial_irq = n + 1;
}

int machine_add_virtio(struct machine *machine, struct virtio_device *dev, struct error *err)
{
	unsigned n = machine->nvirtio;
	int r;

	if (n == FIRMWARE_MAX_VIRTIO)
		return error_set(err, -E2BIG, "more than %d devices", FIRMWARE_MAX_VIRTIO);
	machine->virtio[n] = dev;
	machine->offloaded |= dev->offloaded && dev->id; /* no id yet: machine_fill_memfd() */
	machine_describe_virtio(&machine->params, n, dev->late);
	machine->nvirtio = n + 1;
	r = wire_virtio(machine, n, err);
	if (r < 0) {
		machine->nvirtio = machine->params.nvirtio = machine->params.serial_irq = n;
		return error_wrap(err, "%s", dev->name);
	}
	return 0;
}

void machine_cmdline(bool emulated, bool serial, const char *words, struct str *ret)
{
	str_add(ret, CMDLINE_COMMON);
	if (emulated)
		str_add(ret, " " CMDLINE_EMULATED);
	str_add(ret, serial ? " " CMDLINE_DEBUG : " " CMDLINE_QUIET);
	if (*words)
		str_addf(ret, " %s", words);
}

int machine_load(struct machine *machine, int kernel_fd, int initrd_fd, const char *cmdline,
		 struct error *err)
{
	unsigned npins = machine->nvirtio + (machine->has_serial ? 1 : 0);
	int r;

	machine->params.kernel_fd = kernel_fd;
	machine->params.map_kernel = !machine->offloaded; /* what is mapped is not in the memfd */
	machine->params.initrd_fd = initrd_fd;
	machine->params.cmdline = cmdline;
	if (getrandom(machine->params.seed, sizeof(machine->params.seed), 0) !=
	    sizeof(machine->params.seed))
		return error_errno(err, "getrandom");
	r = firmware_load(machine_memory(machine), &machine->params, &machine->entry, err);
	explicit_bzero(machine->params.seed, sizeof(machine->params.seed));
	machine->params.cmdline = NULL;
	if (r < 0)
		return r;

	ioapic_init(&machine->ioapic, MAX(npins, 1U), &ioapic_ops, machine);
	bus_add(&machine->mmio, LAYOUT_VIRTIO_BASE,
		(uint64_t)FIRMWARE_MAX_VIRTIO * VIRTIO_MMIO_SIZE, &virtio_window_ops, machine);
	bus_add(&machine->mmio, LAYOUT_IOAPIC_BASE, IOAPIC_SIZE, &ioapic_bus_ops, &machine->ioapic);
	if (machine->has_serial)
		bus_add(&machine->mmio, LAYOUT_SERIAL_BASE, SERIAL_SIZE, &serial_bus_ops,
			&machine->serial);
	return 0;
}

int machine_fill_memfd(struct machine *machine, struct error *err)
{
	const struct gmem *mem = machine_memory(machine);

	for (; machine->entry.nmapped; machine->entry.nmapped--) {
		uint64_t gpa = machine->entry.mapped[machine->entry.nmapped - 1].gpa;
		uint64_t size = machine->entry.mapped[machine->entry.nmapped - 1].size;
		const uint8_t *hva = gmem_ptr(mem, gpa, size);
		int r = hva ? pwrite_all(machine_memfd(machine), hva, size,
					 hva - mem->region[0].hva)
			    : 0;

		if (r < 0)
			return error_set(err, r, "guest memory: %s", strerror(-r));
	}
	return 0;
}

/* Running it */

int machine_start(struct machine *machine, struct error *err)
{
	int r = vcpus_arm(&machine->vcpus, &machine->entry, err);

	close_fd(&machine->kvm.fd); /* what can make another VM is not needed any more */
	if (r == 0 && machine->vcpus.jailed)
		r = jail_process(machine->writable, err);
	if (r == 0)
		vcpus_go(&machine->vcpus);
	return r;
}

void machine_notified(struct machine *machine, uint32_t index)
{
	unsigned n = LOOP_DEVICE(index), queue = LOOP_QUEUE_OF(index);

	assert(n < machine->nvirtio && queue < machine->virtio[n]->nqueues);
	virtio_queue_notified(machine->virtio[n], queue);
}

bool machine_ended(struct machine *machine, struct vcpu_end *ret)
{
	return vcpus_ended(&machine->vcpus, ret);
}

void machine_stop(struct machine *machine)
{
	vcpus_stop(&machine->vcpus);
}

uint64_t machine_hotplug(const struct machine *machine, uint64_t *ret_gpa, uint8_t **ret_hva)
{
	const struct memory *memory = machine->memory;

	if (memory->hotplug_size > 0) {
		*ret_gpa = memory->hotplug_gpa;
		*ret_hva = memory->gmem.region[memory->gmem.nregions - 1].hva;
	}
	return memory->hotplug_size;
}

int machine_plug(void *machine, uint64_t gpa, uint64_t len, bool on)
{
	struct machine *m = machine;

	return len == MEMORY_SLOT ? memory_plug(m->memory, &m->kvm, gpa, on) : -EINVAL;
}

int machine_instructions(struct machine *machine, uint64_t *ret)
{
	return vcpus_instructions(&machine->vcpus, ret);
}
