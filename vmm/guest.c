/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"

#define DISK_PAD UINT64_C(4096) /* each file of a disk begins at a multiple of it */

uint64_t guest_memory(uint64_t asked)
{
	uint64_t more = asked > GUEST_BOOT_MEMORY ? asked - GUEST_BOOT_MEMORY : 0;

	return GUEST_BOOT_MEMORY + ALIGN_UP(more, MEMORY_SLOT);
}

/* The files as segments one behind the other; empty ones hold nothing and are closed. */
static int make_segments(int *fds, unsigned nfds, struct blk_segment *ret, size_t *ret_n,
			 struct error *err)
{
	uint64_t offset = 0;
	size_t n = 0;

	for (unsigned i = 0; i < nfds; i++) {
		struct stat st;

		if (fstat(fds[i], &st) < 0)
			return error_errno(err, "disk file %u", i);
		if (!S_ISREG(st.st_mode))
			return error_set(err, -EINVAL, "disk file %u is not a regular file", i);
		if (!st.st_size) {
			close_fd(&fds[i]);
			continue;
		}
		ret[n++] = (struct blk_segment){fds[i], offset, (uint64_t)st.st_size};
		/* a file's size is below 2^63, and there are few: can not wrap before blk refuses */
		offset += ALIGN_UP((uint64_t)st.st_size, DISK_PAD);
	}
	*ret_n = n;
	return 0;
}

static int add_disk(struct guest *guest, const struct guest_params *params,
		    const struct pod_app *app, struct error *err)
{
	struct blk_segment segments[BLK_SEGMENTS_MAX];
	int fds[BLK_SEGMENTS_MAX];
	unsigned nfds;
	char name[16];
	struct blk_params blk = {.name = name, .serial = app->name, .segments = segments};
	int r = pod_open_disk(params->pod_dir, app, fds, BLK_SEGMENTS_MAX, &nfds, err);

	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "blk%u", guest->ndisks);
	r = make_segments(fds, nfds, segments, &blk.nsegments, err);
	if (r == 0)
		r = blk_new(&blk, machine_memory(guest->machine), &guest->disk[guest->ndisks], err);
	if (r < 0) {
		for (unsigned i = 0; i < nfds; i++)
			close_fd(&fds[i]);
		return error_wrap(err, "app %s", app->name);
	}
	return machine_add_virtio(guest->machine, &guest->disk[guest->ndisks++]->dev, err);
}

static int add_memory(struct guest *guest, struct error *err)
{
	struct mem_params mem = {.plug = machine_plug, .ctx = guest->machine};
	int r;

	mem.size = machine_hotplug(guest->machine, &mem.gpa, &mem.hva);
	if (!mem.size)
		return 0;
	mem.requested = mem.size;
	r = mem_new(&mem, machine_memory(guest->machine), &guest->mem, err);
	if (r == 0)
		r = machine_add_virtio(guest->machine, &guest->mem->dev, err);
	if (r == 0)
		r = balloon_new(machine_memory(guest->machine), &guest->balloon, err);
	if (r == 0)
		r = machine_add_virtio(guest->machine, &guest->balloon->dev, err);
	return r;
}

static int add_devices(struct guest *guest, const struct guest_params *params, struct loop *loop,
		       struct error *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < params->pod->napps; i++)
		r = add_disk(guest, params, &params->pod->apps[i], err);
	if (r == 0)
		r = vsock_new(params->vsock_ops, params->vsock_ctx, machine_memory(guest->machine),
			      &guest->vsock, err);
	if (r == 0)
		r = machine_add_virtio(guest->machine, &guest->vsock->dev, err);
	if (r == 0)
		r = loop_add(loop, guest->vsock->wakefd, EPOLLIN, LOOP_VSOCK, 0, err);
	if (r == 0)
		r = rng_new(machine_memory(guest->machine), &guest->rng, err);
	if (r == 0)
		r = machine_add_virtio(guest->machine, &guest->rng->dev, err);
	return r == 0 ? add_memory(guest, err) : r;
}

static int load(struct guest *guest, const struct guest_params *params, struct error *err)
{
	cleanup_fd int initrd = openat(params->boot_dir, "initrd", O_RDONLY | O_CLOEXEC);

	guest->kernel = openat(params->boot_dir, "vmlinux", O_RDONLY | O_CLOEXEC);
	if (guest->kernel < 0 || initrd < 0)
		return error_errno(err, "%s", guest->kernel < 0 ? "vmlinux" : "initrd");
	return machine_load(guest->machine, guest->kernel, initrd, params->words, err);
}

int guest_new(const struct guest_params *params, struct loop *loop, struct guest **ret,
	      struct error *err)
{
	struct guest *guest = xcalloc(1, sizeof(*guest));
	struct machine_config config = {
		.memory = GUEST_BOOT_MEMORY,
		.hotplug = guest_memory(params->memory) - GUEST_BOOT_MEMORY,
		.ncpus = params->ncpus,
		.serial_fd = params->debug ? STDERR_FILENO : -1,
		.jail = true,
		.writable = params->writable,
	};
	int r;

	guest->kernel = -1;
	guest->memory = guest_memory(params->memory);
	guest->ncpus = params->ncpus;
	r = machine_new(&config, loop, &guest->machine, err);
	if (r == 0)
		r = add_devices(guest, params, loop, err);
	if (r == 0)
		r = load(guest, params, err);
	if (r < 0) {
		guest_free(guest);
		return r;
	}
	*ret = guest;
	return 0;
}

void guest_free(struct guest *guest)
{
	if (!guest)
		return;
	if (guest->machine)
		machine_stop(guest->machine);
	for (unsigned i = 0; i < guest->ndisks; i++)
		blk_free(guest->disk[i]);
	vsock_free(guest->vsock);
	rng_free(guest->rng);
	mem_free(guest->mem);
	balloon_free(guest->balloon);
	machine_free(guest->machine);
	close_fd(&guest->kernel);
	free(guest);
}
