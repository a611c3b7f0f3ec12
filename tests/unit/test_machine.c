/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/util.h"
#include "tests/unit/guest_elf.h"
#include "vmm/machine.h"
#include "vmm/probe.h"

/*
 * Real machines with a few instructions for a kernel; skipped where there is no KVM. The code runs
 * in 64-bit kernel mode as the boot protocol leaves it.
 */

#define DEADLINE_MS 20000 /* a loaded host that emulates kernel mode is slow */

struct fixture {
	struct loop loop;
	struct machine *machine;
	int fds[2]; /* the serial console */
	int kernel;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct error err = ERROR_INIT;

	assert_int_equal(loop_init(&f->loop, &err), 0);
	assert_int_equal(pipe(f->fds), 0);
	f->kernel = -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->machine)
		machine_stop(f->machine);
	machine_free(f->machine);
	loop_free(&f->loop);
	close_fd(&f->kernel);
	close(f->fds[0]);
	close(f->fds[1]);
	free(f);
	return 0;
}

static void boot(struct fixture *f, const void *code, size_t len, unsigned ncpus)
{
	struct machine_config config = {.memory = 32 * MIB, .ncpus = ncpus, .serial_fd = f->fds[1]};
	struct guest_elf elf = guest_elf(code, len);
	struct error err = ERROR_INIT;
	struct kvm kvm = KVM_NONE;

	if (kvm_open(&kvm, &err) < 0)
		skip();
	kvm_close(&kvm);
	f->kernel = guest_elf_file(&elf);
	if (machine_new(&config, &f->loop, &f->machine, &err) < 0 ||
	    machine_load(f->machine, f->kernel, -1, "", &err) < 0 ||
	    machine_start(f->machine, &err) < 0)
		fail_msg("%s", err.msg);
}

static struct vcpu_end wait_for_end(struct fixture *f)
{
	struct vcpu_end end = {.kind = VCPU_END_NONE};
	struct loop_event event;

	assert_int_equal(loop_wait(&f->loop, &event, 1, DEADLINE_MS), 1);
	assert_int_equal(event.kind, LOOP_VCPU);
	assert_true(machine_ended(f->machine, &end));
	return end;
}

/* mov $0xfe, %al; out %al, $0x64 */
#define RESET "\xb0\xfe\xe6\x64"

static void a_guest_that_resets_ends(void **state)
{
	struct fixture *f = *state;

	boot(f, RESET, 4, 1);
	assert_int_equal(wait_for_end(f).kind, VCPU_END_RESET);
}

static void a_triple_fault_ends_the_guest_and_says_where(void **state)
{
	struct fixture *f = *state;
	struct vcpu_end end;

	boot(f, "\x90\x0f\x0b", 3, 1); /* nop; ud2: there is no IDT */
	end = wait_for_end(f);
	assert_int_equal(end.kind, VCPU_END_TRIPLE_FAULT);
	assert_int_equal(end.rip, GUEST_ELF_GPA + 1);
}

static void a_guest_that_never_exits_is_stopped(void **state)
{
	struct fixture *f = *state;
	struct vcpu_end end;

	boot(f, "\xeb\xfe", 2, 1); /* jmp . */
	machine_stop(f->machine);
	assert_false(machine_ended(f->machine, &end));
}

static void processors_waiting_for_their_start_are_stopped(void **state)
{
	struct fixture *f = *state;
	struct vcpu_end end;

	boot(f, "\xf4\xeb\xfd", 3, 4); /* hlt; jmp */
	machine_stop(f->machine);
	assert_false(machine_ended(f->machine, &end));
}

static void a_machine_that_never_started_is_stopped(void **state)
{
	struct machine_config config = {.memory = 32 * MIB, .ncpus = 2, .serial_fd = -1};
	struct fixture *f = *state;
	struct error err = ERROR_INIT;
	struct kvm kvm = KVM_NONE;

	if (kvm_open(&kvm, &err) < 0)
		skip();
	kvm_close(&kvm);
	assert_int_equal(machine_new(&config, &f->loop, &f->machine, &err), 0);
}

/*
 * The boot's page tables end below 1 GiB: mov $0xcfe00083, %eax; mov %rax, 0x5008 makes the serial
 * port's 2 MiB appear at 2 MiB, and %edi points there: mov $0x3ff000, %edi
 */
#define MAP_SERIAL                                                                                 \
	"\xb8\x83\x00\xe0\xcf"                                                                     \
	"\x48\x89\x04\x25\x08\x50\x00\x00"                                                         \
	"\xbf\x00\xf0\x3f\x00"

static void the_serial_port_is_where_the_device_tree_says(void **state)
{
	/* movb $'H', (%rdi); movb $'\n', (%rdi) */
	static const char code[] = MAP_SERIAL "\xc6\x07H\xc6\x07\n" RESET;
	struct fixture *f = *state;
	char text[4];

	boot(f, code, sizeof(code) - 1, 1);
	assert_int_equal(wait_for_end(f).kind, VCPU_END_RESET);
	assert_int_equal(read(f->fds[0], text, sizeof(text)), 2);
	assert_memory_equal(text, "H\n", 2);
}

static void unclaimed_addresses_read_all_ones_in_the_guest(void **state)
{
	/*
	 * in $0x21, %al; mov $0x20000000, %esi (past RAM); and (%rsi), %al; and the serial
	 * port's scratch register keeps the result: mov %al, 7(%rdi)
	 */
	static const char code[] = MAP_SERIAL "\xe4\x21"
					      "\xbe\x00\x00\x00\x20"
					      "\x22\x06"
					      "\x88\x47\x07" RESET;
	struct fixture *f = *state;

	boot(f, code, sizeof(code) - 1, 1);
	assert_int_equal(wait_for_end(f).kind, VCPU_END_RESET);
	assert_int_equal(f->machine->serial.scr, 0xff);
}

static void an_instruction_kvm_does_not_know_is_named(void **state)
{
	struct fixture *f = *state;
	struct error err = ERROR_INIT;
	struct vcpu_end end;
	struct probe probe;

	if (probe_host(&probe, &err) < 0 || probe.insn[PROBE_STAC] != PROBE_FAILS)
		skip();
	boot(f, "\x0f\x01\xcb", 3, 1);
	end = wait_for_end(f);
	assert_int_equal(end.kind, VCPU_END_CRASH);
	assert_int_equal(end.rip, GUEST_ELF_GPA);
	assert_non_null(strstr(end.text, ": 0f 01 cb"));
}

static void instructions_are_counted_where_kernel_mode_is_emulated(void **state)
{
	static const char code[] = "\xb9\xe8\x03\x00\x00" /* mov $1000, %ecx */
				   "\xff\xc9\x75\xfc"	  /* 1: dec %ecx; jnz 1b */
		RESET;
	struct fixture *f = *state;
	uint64_t count = 0;
	int r;

	boot(f, code, sizeof(code) - 1, 1);
	assert_int_equal(wait_for_end(f).kind, VCPU_END_RESET);
	machine_stop(f->machine);
	r = machine_instructions(f->machine, &count);
	if (!probe_kernel_is_emulated())
		skip();
	assert_int_equal(r, 0);
	assert_in_range(count, 2000, 2010);
}

static void impossible_machines_are_refused(void **state)
{
	struct machine_config config = {.memory = 32 * MIB, .ncpus = 0, .serial_fd = -1};
	struct fixture *f = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(machine_new(&config, &f->loop, &f->machine, &err), -EINVAL);
	config.ncpus = FIRMWARE_MAX_CPUS + 1;
	assert_int_equal(machine_new(&config, &f->loop, &f->machine, &err), -EINVAL);
	config.ncpus = 1;
	config.memory = 1;
	assert_true(machine_new(&config, &f->loop, &f->machine, &err) < 0);
	assert_null(f->machine);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_guest_that_resets_ends),
		test(a_triple_fault_ends_the_guest_and_says_where),
		test(a_guest_that_never_exits_is_stopped),
		test(processors_waiting_for_their_start_are_stopped),
		test(a_machine_that_never_started_is_stopped),
		test(the_serial_port_is_where_the_device_tree_says),
		test(unclaimed_addresses_read_all_ones_in_the_guest),
		test(an_instruction_kvm_does_not_know_is_named),
		test(instructions_are_counted_where_kernel_mode_is_emulated),
		test(impossible_machines_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
