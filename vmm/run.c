/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/run.h"

#include <errno.h>
#include <fcntl.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/util.h"
#include "vmm/klog.h"
#include "vmm/machine.h"

#define EVENTS_MAX 16

static void wait_for_end(struct machine *machine, struct vcpu_end *ret)
{
	struct loop_event events[EVENTS_MAX];

	while (!machine_ended(machine, ret)) {
		int n = loop_wait(machine->loop, events, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++)
			if (events[i].kind == LOOP_NOTIFY)
				machine_notified(machine, events[i].index);
	}
}

int run_explain(struct machine *machine, int kernel, bool shown, const struct vcpu_end *end,
		struct error *err)
{
	struct klog klog = {.n = 0};

	(void)klog_read(machine_memory(machine), kernel, &klog);
	if (end->kind == VCPU_END_RESET && klog.end != KLOG_END_PANIC)
		return 0;
	for (unsigned i = 0; !shown && i < klog.n; i++)
		log_error("guest: %s", klog.line[i]);
	if (klog.end == KLOG_END_PANIC)
		return error_set(err, -EIO, "the guest kernel died: %s", klog.panic);
	return error_set(err, -EIO, "%s", end->text);
}

static int boot(struct machine *machine, int kernel, const struct run_options *options,
		struct error *err)
{
	cleanup_str struct str cmdline = STR_INIT;
	cleanup_fd int initrd = -1;
	int r;

	if (options->initrd) {
		initrd = open(options->initrd, O_RDONLY | O_CLOEXEC);
		if (initrd < 0)
			return error_errno(err, "%s", options->initrd);
	}
	machine_cmdline(machine->emulated, machine->has_serial, options->words, &cmdline);
	r = machine_load(machine, kernel, initrd, str_get(&cmdline), err);
	return r < 0 ? r : machine_start(machine, err);
}

int run_machine(const struct run_options *options, struct error *err)
{
	uint64_t start = clock_now_ns(), count;
	struct machine_config config = {
		.memory = options->memory,
		.ncpus = options->ncpus,
		.serial_fd = options->debug ? STDERR_FILENO : -1,
		.jail = true,
	};
	cleanup_fd int kernel = open(options->kernel, O_RDONLY | O_CLOEXEC);
	struct machine *machine;
	struct vcpu_end end;
	struct loop loop;
	int r;

	if (kernel < 0)
		return error_errno(err, "%s", options->kernel);
	r = loop_init(&loop, err);
	if (r < 0)
		return r;
	r = machine_new(&config, &loop, &machine, err);
	if (r < 0) {
		loop_free(&loop);
		return r;
	}
	r = boot(machine, kernel, options, err);
	if (r == 0)
		wait_for_end(machine, &end);
	machine_stop(machine);
	if (r == 0) {
		log_debug("first guest instruction after %llu us, end after %llu ms",
			  (unsigned long long)((machine->vcpus.first_run_ns - start) / 1000),
			  (unsigned long long)((clock_now_ns() - start) / 1000000));
		if (machine_instructions(machine, &count) == 0)
			log_debug("%llu guest kernel instructions", (unsigned long long)count);
		r = run_explain(machine, kernel, options->debug, &end, err);
	}
	machine_free(machine);
	loop_free(&loop);
	return r;
}
