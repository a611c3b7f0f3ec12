/* SPDX-License-Identifier: Apache-2.0 */
/* --measure: the log of a launch without a launch. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/str.h"
#include "common/util.h"
#include "vmm/guest.h"
#include "vmm/launch.h"
#include "vmm/machine.h"
#include "vmm/shape.h"

#define HOST_FLAG "--host="
#define CPUS_FLAG "--host-cpus="

/* The flags of our own, which come first. *ret_n: how many there are. */
static int parse_host(int argc, char **argv, struct shape_host *host, int *ret_n, struct error *err)
{
	int i = 0;

	for (; i < argc; i++) {
		unsigned long long n;

		if (strcmp(argv[i], HOST_FLAG "hardware") == 0) {
			host->emulated = false;
		} else if (strcmp(argv[i], HOST_FLAG "emulated") == 0) {
			host->emulated = true;
		} else if (str_starts_with(argv[i], HOST_FLAG)) {
			return error_set(err, -EINVAL, "%s: neither hardware nor emulated",
					 argv[i]);
		} else if (str_starts_with(argv[i], CPUS_FLAG)) {
			if (!str_to_u64(argv[i] + strlen(CPUS_FLAG), 1 << 20, &n) || n == 0)
				return error_set(err, -EINVAL, "%s: no number of CPUs", argv[i]);
			host->cpus = (unsigned)n;
		} else {
			break;
		}
	}
	*ret_n = i;
	return 0;
}

static int add_apps(struct launch_parts *parts, const struct pod_spec *pod, struct error *err)
{
	int fds[BLK_SEGMENTS_MAX];
	unsigned nfds;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < pod->napps; i++) {
		r = pod_open_disk(AT_FDCWD, &pod->apps[i], fds, BLK_SEGMENTS_MAX, &nfds, err);
		if (r < 0)
			break;
		r = launch_add_app(parts, AT_FDCWD, &pod->apps[i], fds, nfds, err);
		while (nfds)
			close(fds[--nfds]);
	}
	return r;
}

static int add_boot_files(struct launch_parts *parts, struct error *err)
{
	cleanup_fd int dir = guest_boot_dir(err), kernel = -1, initrd = -1;

	if (dir < 0)
		return dir;
	kernel = openat(dir, GUEST_KERNEL, O_RDONLY | O_CLOEXEC);
	initrd = openat(dir, GUEST_INITRD, O_RDONLY | O_CLOEXEC);
	if (kernel < 0 || initrd < 0)
		return error_errno(err, "%s", kernel < 0 ? GUEST_KERNEL : GUEST_INITRD);
	return launch_add_files(parts, AT_FDCWD, kernel, initrd, err);
}

static int measure(const struct stage1_args *args, const struct shape *shape,
		   struct launch_parts *parts, struct eventlog *ret, struct error *err)
{
	cleanup_str struct str cmdline = STR_INIT;
	cleanup_free struct firmware_params *machine = xcalloc(1, sizeof(*machine));
	struct launch launch = {
		.parts = parts,
		.machine = machine,
		.memory = GUEST_BOOT_MEMORY,
		.hotplug = shape->memory - GUEST_BOOT_MEMORY,
		.pod = &shape->pod,
		.args = args,
		.plan = &shape->plan,
	};
	int r = add_apps(parts, &shape->pod, err);

	if (r == 0)
		r = add_boot_files(parts, err);
	if (r < 0)
		return r;
	guest_describe(shape, args->debug, machine);
	machine_cmdline(shape->emulated, args->debug, shape->words, &cmdline);
	machine->cmdline = str_get(&cmdline);
	return launch_log(&launch, ret, err);
}

int launch_measure(int argc, char **argv, struct error *err)
{
	cleanup_free struct launch_parts *parts = xcalloc(1, sizeof(*parts));
	struct shape_host host;
	struct stage1_args args;
	struct shape shape;
	struct eventlog log;
	int n = 0, r;

	shape_probe(&host);
	r = parse_host(argc - 1, argv + 1, &host, &n, err);
	if (r == 0)
		r = stage1_parse(argc - n, argv + n, &args, err);
	if (r == 0)
		r = shape_make(&args, &host, &shape, err);
	if (r < 0)
		return r;
	launch_begin(parts);
	r = measure(&args, &shape, parts, &log, err);
	launch_end(parts);
	shape_free(&shape);
	if (r < 0)
		return r;
	r = write_all(STDOUT_FILENO, log.data, log.len);
	eventlog_free(&log);
	return r < 0 ? error_set(err, r, "standard output: %s", strerror(-r)) : 0;
}
