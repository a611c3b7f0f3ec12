/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "vmm/podmut.h"

#define DISK_PAD UINT64_C(4096) /* each file of a disk begins at a multiple of it */

uint64_t guest_memory(uint64_t asked)
{
	uint64_t more = asked > GUEST_BOOT_MEMORY ? asked - GUEST_BOOT_MEMORY : 0;

	return GUEST_BOOT_MEMORY + ALIGN_UP(more, MEMORY_SLOT);
}

int guest_segments(int *fds, unsigned nfds, struct blk_segment *ret, size_t *ret_n,
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

/* Limits of the pod, and of each app for its image; the disk all write to has the sum of those. */
static void set_limits(struct guest *guest, const struct shape *shape)
{
	uint64_t sum[2] = {0, 0};
	bool all[2] = {true, true};

	blk_limit_init(&guest->pod_limit, shape->disk_rate[0], shape->disk_rate[1]);
	for (unsigned i = 0; i < shape->pod.napps; i++) {
		const uint64_t *rate = shape->pod.apps[i].iso.disk_rate;

		blk_limit_init(&guest->app_limit[i], rate[0], rate[1]);
		for (unsigned k = 0; k < ARRAY_SIZE(sum); k++) {
			all[k] = all[k] && rate[k];
			sum[k] += MIN(rate[k], RATELIMIT_MAX);
		}
	}
	blk_limit_init(&guest->apps_limit, all[0] ? sum[0] : 0, all[1] ? sum[1] : 0);
}

struct blk *guest_disk(const struct guest *guest, uint32_t n)
{
	if (n == GUEST_WRITABLE)
		return guest->writable;
	return n < guest->ndisks ? guest->disk[n] : NULL;
}

/* The descriptors measured are those the guest reads from. */
static int add_disk(struct guest *guest, const struct guest_params *params,
		    struct launch_parts *parts, const struct pod_app *app, struct loop *loop,
		    struct error *err)
{
	struct blk_segment segments[BLK_SEGMENTS_MAX];
	int fds[BLK_SEGMENTS_MAX];
	unsigned nfds;
	char name[16];
	struct blk_params blk = {
		.name = name,
		.serial = app->name,
		.segments = segments,
		.limits = {&guest->app_limit[guest->ndisks], &guest->pod_limit},
		.loop = loop,
		.index = guest->ndisks,
	};
	int r = pod_open_disk(params->pod_dir, app, fds, BLK_SEGMENTS_MAX, &nfds, err);

	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "blk%u", guest->ndisks);
	r = launch_add_app(parts, params->pod_dir, app, fds, nfds, err);
	if (r == 0)
		r = guest_segments(fds, nfds, segments, &blk.nsegments, err);
	if (r == 0)
		r = blk_new(&blk, machine_memory(guest->machine), &guest->disk[guest->ndisks], err);
	if (r < 0) {
		for (unsigned i = 0; i < nfds; i++)
			close_fd(&fds[i]);
		return error_wrap(err, "app %s", app->name);
	}
	return machine_add_virtio(guest->machine, &guest->disk[guest->ndisks++]->dev, err);
}

/* The disk for what the apps write. Nothing of it is measured but its size: it is empty. */
static int add_writable(struct guest *guest, const struct guest_params *params, struct loop *loop,
			struct error *err)
{
	struct blk_segment segment = {.length = params->shape->disk};
	const struct blk_params blk = {
		.name = "disk",
		.serial = "disk",
		.segments = &segment,
		.nsegments = 1,
		.writable = true,
		.limits = {&guest->apps_limit, &guest->pod_limit},
		.loop = loop,
		.index = GUEST_WRITABLE,
	};
	cleanup_fd int fd = openat(params->pod_dir, SHAPE_DISK_IMAGE,
				   O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd < 0)
		return error_errno(err, SHAPE_DISK_IMAGE);
	segment.fd = fd;
	r = blk_new(&blk, machine_memory(guest->machine), &guest->writable, err);
	if (r < 0)
		return r;
	take_fd(&fd);
	return machine_add_virtio(guest->machine, &guest->writable->dev, err);
}

/* Disks of no size, for apps that come later. */
static int add_slots(struct guest *guest, struct error *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < PODMUT_SLOTS; i++) {
		char name[16];
		const struct blk_params blk = {.name = name, .serial = "", .slot = true};

		snprintf(name, sizeof(name), "blk%u", i);
		r = blk_new(&blk, machine_memory(guest->machine), &guest->disk[i], err);
		if (r == 0)
			r = machine_add_virtio(guest->machine, &guest->disk[guest->ndisks++]->dev,
					       err);
	}
	return r;
}

/* Windows without a device, for volumes of the host that apps bring when they come. */
static int add_share_slots(struct guest *guest, struct error *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < PODMUT_SHARES; i++) {
		char tag[POD_TAG_SIZE];

		snprintf(tag, sizeof(tag), "v%u", i);
		r = fs_new(tag, -1, machine_memory(guest->machine), machine_memfd(guest->machine),
			   &guest->fs[i], err);
		if (r == 0)
			r = machine_add_virtio(guest->machine, &guest->fs[guest->nfs++]->dev, err);
	}
	return r;
}

static int add_nics(struct guest *guest, struct podnet *podnet, struct loop *loop,
		    struct error *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < podnet->nnics; i++) {
		struct podnet_nic *nic = &podnet->nic[i];
		const struct net_params params = {
			.backend = nic->backend,
			.fd = nic->fd,
			.index = i,
			.mtu = nic->mtu,
			.guard = nic->guard,
			.rx_bytes = podnet->rate[PODNET_IN_BYTES],
			.rx_packets = podnet->rate[PODNET_IN_PACKETS],
			.tx_bytes = podnet->rate[PODNET_OUT_BYTES],
			.tx_packets = podnet->rate[PODNET_OUT_PACKETS],
		};

		r = net_new(&params, loop, machine_memory(guest->machine), &guest->nic[i], err);
		if (r < 0)
			break;
		nic->fd = -1;
		guest->nnics++;
		r = machine_add_virtio(guest->machine, &guest->nic[i]->dev, err);
	}
	return r;
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
	return r;
}

static int add_balloon(struct guest *guest, struct error *err)
{
	int r = balloon_new(machine_memory(guest->machine), &guest->balloon, err);

	return r == 0 ? machine_add_virtio(guest->machine, &guest->balloon->dev, err) : r;
}

static int add_shares(struct guest *guest, struct podshares *shares, struct error *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < shares->n; i++) {
		struct podshare *share = &shares->v[i];

		r = fs_new(share->volume->tag, share->fd, machine_memory(guest->machine),
			   machine_memfd(guest->machine), &share->fs, err);
		if (r < 0)
			break;
		guest->fs[guest->nfs++] = share->fs;
		r = machine_add_virtio(guest->machine, &share->fs->dev, err);
	}
	return r;
}

/* What guest_describe() describes, in the same order. */
static int add_devices(struct guest *guest, const struct guest_params *params,
		       struct launch_parts *parts, struct loop *loop, struct error *err)
{
	const struct pod_spec *pod = &params->shape->pod;
	int r = add_balloon(guest, err); /* the first: init knows it by its address */

	set_limits(guest, params->shape);
	for (unsigned i = 0; r == 0 && i < pod->napps; i++)
		r = add_disk(guest, params, parts, &pod->apps[i], loop, err);
	if (r == 0 && params->shape->plan.mutable_pod)
		r = add_slots(guest, err);
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
	if (r == 0)
		r = add_nics(guest, params->net, loop, err);
	if (r == 0)
		r = add_memory(guest, err);
	if (r == 0 && params->shape->disk)
		r = add_writable(guest, params, loop, err);
	guest->fs_window = guest->machine->nvirtio;
	if (r == 0 && params->shape->plan.mutable_pod)
		r = add_share_slots(guest, err);
	return r == 0 ? add_shares(guest, params->shares, err) : r;
}

void guest_describe(const struct shape *shape, bool serial, struct firmware_params *ret)
{
	unsigned n = 1 + shape->pod.napps + 2 + shape->net.nnics;    /* balloon; vsock, entropy */
	unsigned late = shape->plan.mutable_pod ? PODMUT_SHARES : 0; /* the last ones */

	if (shape->plan.mutable_pod)
		n += PODMUT_SLOTS + PODMUT_SHARES;
	if (shape->memory > GUEST_BOOT_MEMORY)
		n++; /* virtio-mem */
	n += shape->disk != 0;
	n += podshares_count(&shape->pod);
	*ret = (struct firmware_params){.ncpus = shape->ncpus};
	ret->serial = serial;
	ret->tpm = shape->guest_tpm;
	for (unsigned i = 0; i < n && i < FIRMWARE_MAX_VIRTIO; i++)
		machine_describe_virtio(ret, i, i == 0 || i >= n - late);
}

int guest_boot_dir(struct error *err)
{
	char exe[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	int fd;

	if (len < 0)
		return error_errno(err, "/proc/self/exe");
	exe[len] = '\0';
	*strrchr(exe, '/') = '\0';
	fd = open(*exe ? exe : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? error_errno(err, "%s", exe) : fd;
}

/* Everything is in place: what is it? */
static int measure(struct guest *guest, const struct guest_params *params,
		   const struct launch_parts *parts, const char *cmdline, struct error *err)
{
	struct firmware_params *machine = &guest->machine->params;
	struct launch launch = {
		.parts = parts,
		.machine = machine,
		.memory = GUEST_BOOT_MEMORY,
		.hotplug = guest->memory - GUEST_BOOT_MEMORY,
		.pod = &params->shape->pod,
		.args = params->args,
		.plan = &params->shape->plan,
	};
	int r;

	machine->tpm = params->shape->guest_tpm;
	machine->cmdline = cmdline;
	r = launch_log(&launch, &guest->log, err);
	if (r == 0)
		r = launch_record(params->pod_dir, &guest->log, err);
	if (r < 0)
		return r;
	machine->log = guest->log.data;
	machine->log_len = (uint32_t)guest->log.len;
	return 0;
}

static const struct bus_ops tpm_bus_ops = {tpm_bus_read, tpm_bus_write};

static int load(struct guest *guest, const struct guest_params *params, struct launch_parts *parts,
		struct error *err)
{
	cleanup_fd int initrd = openat(params->boot_dir, GUEST_INITRD, O_RDONLY | O_CLOEXEC);
	cleanup_str struct str cmdline = STR_INIT;
	int r;

	guest->kernel = openat(params->boot_dir, GUEST_KERNEL, O_RDONLY | O_CLOEXEC);
	if (guest->kernel < 0 || initrd < 0)
		return error_errno(err, "%s", guest->kernel < 0 ? GUEST_KERNEL : GUEST_INITRD);
	machine_cmdline(params->shape->emulated, params->args->debug, params->shape->words,
			&cmdline);
	r = launch_add_files(parts, params->pod_dir, guest->kernel, initrd, err);
	if (r == 0)
		r = measure(guest, params, parts, str_get(&cmdline), err);
	if (r == 0)
		r = machine_load(guest->machine, guest->kernel, initrd, str_get(&cmdline), err);
	if (r == 0 && params->shape->guest_tpm && params->tpm)
		bus_add(&guest->machine->mmio, LAYOUT_TPM_BASE, TIS_WINDOW, &tpm_bus_ops,
			params->tpm);
	return r;
}

static int fill(struct guest *guest, const struct guest_params *params, struct loop *loop,
		struct error *err)
{
	cleanup_free struct launch_parts *parts = xcalloc(1, sizeof(*parts));
	int r;

	launch_begin(parts);
	r = add_devices(guest, params, parts, loop, err);
	if (r == 0)
		r = load(guest, params, parts, err);
	launch_end(parts);
	return r;
}

int guest_new(const struct guest_params *params, struct loop *loop, struct guest **ret,
	      struct error *err)
{
	struct guest *guest = xcalloc(1, sizeof(*guest));
	const struct shape *shape = params->shape;
	struct machine_config config = {
		.memory = GUEST_BOOT_MEMORY,
		.hotplug = shape->memory - GUEST_BOOT_MEMORY,
		.ncpus = shape->ncpus,
		.serial_fd = params->args->debug ? STDERR_FILENO : -1,
		.jail = true,
		.writable = params->writable,
	};
	int r;

	guest->kernel = -1;
	guest->memory = shape->memory;
	guest->ncpus = shape->ncpus;
	r = machine_new(&config, loop, &guest->machine, err);
	if (r == 0)
		r = fill(guest, params, loop, err);
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
	blk_free(guest->writable);
	vsock_free(guest->vsock);
	rng_free(guest->rng);
	for (unsigned i = 0; i < guest->nnics; i++)
		net_free(guest->nic[i]);
	for (unsigned i = 0; i < guest->nfs; i++)
		fs_free(guest->fs[i]);
	mem_free(guest->mem);
	balloon_free(guest->balloon);
	machine_free(guest->machine);
	eventlog_free(&guest->log);
	close_fd(&guest->kernel);
	free(guest);
}
