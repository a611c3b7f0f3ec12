/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A QEMU TCG plugin that counts the instructions of a booting guest kernel, exactly, by initcall and
 * by function, without changing the guest.
 *
 * Counting starts at the kernel's first instruction and ends when the kernel is about to return to
 * user mode for the first time, which is PID 1. Every instruction at a kernel address counts; each
 * round of a string instruction counts too, as it does where KVM's emulator runs kernel mode.
 *
 * An initcall starts at the function that do_one_initcall() calls indirectly and ends behind that
 * call. What other threads do in between counts for it: the initcall waits for them.
 *
 * Arguments (-plugin FILE,symbols=PATH,entry=ADDR,out=PATH): symbols as `nm -n` prints them, the
 * physical entry address, and where to write the counts:
 *
 *	total N			to PID 1
 *	wait N			beside these, in loops that wait for a clock chip, which a pod has not
 *	initcall N NAME		inclusive
 *	function N NAME		exclusive
 *
 * QEMU ships no header for plugins in Debian's packages; the few declarations needed are here
 * (QEMU documentation, "QEMU TCG Plugins", API version 1).
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };

typedef void (*tb_trans_cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*insn_exec_cb)(unsigned vcpu, void *userdata);
typedef void (*udata_cb)(qemu_plugin_id_t id, void *userdata);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_trans_cb cb);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, insn_exec_cb cb,
					    enum qemu_plugin_cb_flags flags, void *userdata);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, udata_cb cb, void *userdata);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc,
			       char **argv);

#define KERNEL_MAP UINT64_C(0xffffffff80000000)
#define USER_END   UINT64_C(0x800000000000)
#define LOW_END                                                                                    \
	UINT64_C(0x40000000) /* before paging moves up, the kernel runs at its load address */

/* These wait for a timer chip or the RTC. On KVM the paravirtual clock makes all of them needless. */
static const char *const wait_functions[] = {"native_calibrate_cpu_early", "quick_pit_calibrate",
					     "read_persistent_clock64"};

struct symbol {
	uint64_t addr;
	char *name;
	uint64_t count, initcall;
	bool wait;
};

/* One translated instruction; these live as long as QEMU does. */
struct place {
	uint64_t addr;
	struct symbol *symbol;
	bool initcall_call; /* the indirect call in do_one_initcall() */
	uint64_t next;	    /* what follows it */
};

static struct symbol *symbols;
static size_t nsymbols;
static uint64_t addr_initcall, addr_return; /* of the functions that are followed */
static const char *out_path;
static uint64_t entry;

static bool started, ended;
static uint64_t total, waited;
static struct symbol *initcall;	 /* the one that runs */
static bool initcall_next;	 /* its first instruction is the next one */
static uint64_t initcall_return; /* 0: none runs */
static uint64_t wait_return;	 /* likewise for the calibration */
static uint64_t last_addr_end;

static struct symbol *find_symbol(uint64_t addr)
{
	size_t lo = 0, hi = nsymbols;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (symbols[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo > 0 ? &symbols[lo - 1] : NULL;
}

/* Follow calls into and returns from initcalls and the calibration. */
static void follow(const struct place *place)
{
	if (initcall_next) {
		initcall = place->symbol;
		initcall_next = false;
	} else if (initcall_return == place->addr) {
		initcall_return = 0;
		initcall = NULL;
	}
	if (place->initcall_call) {
		initcall_next = true;
		initcall_return = place->next;
	}
	if (wait_return == place->addr)
		wait_return = 0;
	else if (wait_return == 0 && place->symbol->wait && place->addr == place->symbol->addr)
		wait_return = last_addr_end;
	last_addr_end = place->next;
}

static void report(void)
{
	FILE *out = fopen(out_path, "w");

	if (!out)
		return;
	fprintf(out, "%s %" PRIu64 "\nwait %" PRIu64 "\n", ended ? "total" : "unfinished", total,
		waited);
	for (size_t i = 0; i < nsymbols; i++) {
		if (symbols[i].initcall > 0)
			fprintf(out, "initcall %" PRIu64 " %s\n", symbols[i].initcall,
				symbols[i].name);
		if (symbols[i].count > 0)
			fprintf(out, "function %" PRIu64 " %s\n", symbols[i].count,
				symbols[i].name);
	}
	fclose(out);
}

static void executed(unsigned vcpu, void *userdata)
{
	const struct place *place = userdata;

	(void)vcpu;
	if (!place->symbol)
		return;
	if (!started) {
		if (place->addr != KERNEL_MAP + entry)
			return;
		started = true;
	}
	if (place->addr == addr_return) {
		/* What follows is of no interest, and a machine without a keyboard controller stays. */
		ended = true;
		report();
		_exit(0);
	}
	follow(place);
	if (wait_return != 0) {
		waited++;
		return;
	}
	total++;
	place->symbol->count++;
	if (initcall)
		initcall->initcall++;
}

/* call *%reg or call *mem: ff /2, with REX perhaps. */
static bool is_indirect_call(const uint8_t *code, size_t size)
{
	if (size > 0 && (code[0] & 0xf0) == 0x40) {
		code++;
		size--;
	}
	return size >= 2 && code[0] == 0xff && ((code[1] >> 3) & 7) == 2;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t addr = qemu_plugin_insn_vaddr(insn);
		size_t size = qemu_plugin_insn_size(insn);
		struct place *place;

		if (addr < LOW_END)
			addr += KERNEL_MAP;
		if (addr < USER_END)
			continue;
		place = calloc(1, sizeof(*place));
		if (!place)
			abort();
		place->addr = addr;
		place->next = addr + size;
		place->symbol = find_symbol(addr);
		place->initcall_call = place->symbol && place->symbol->addr == addr_initcall &&
				       is_indirect_call(qemu_plugin_insn_data(insn), size);
		qemu_plugin_register_vcpu_insn_exec_cb(insn, executed, QEMU_PLUGIN_CB_NO_REGS,
						       place);
	}
}

static void unfinished(qemu_plugin_id_t id, void *userdata)
{
	(void)id;
	(void)userdata;
	report();
}

static void add_symbol(uint64_t addr, const char *name)
{
	static size_t room;
	struct symbol *symbol;

	if (strcmp(name, "do_one_initcall") == 0)
		addr_initcall = addr;
	else if (strcmp(name, "swapgs_restore_regs_and_return_to_usermode") == 0)
		addr_return = addr;
	/* Of several names of a place the first one is as good as any. */
	if (nsymbols > 0 && symbols[nsymbols - 1].addr == addr)
		return;
	if (nsymbols == room) {
		room = room > 0 ? room * 2 : 4096;
		symbols = realloc(symbols, room * sizeof(*symbols));
		if (!symbols)
			abort();
	}
	symbol = &symbols[nsymbols++];
	*symbol = (struct symbol){.addr = addr, .name = strdup(name)};
	if (!symbol->name)
		abort();
	for (size_t i = 0; i < sizeof(wait_functions) / sizeof(*wait_functions); i++)
		if (strcmp(name, wait_functions[i]) == 0)
			symbol->wait = true;
}

/* Lines of "ADDRESS TYPE NAME", sorted by address. */
static int read_symbols(const char *path)
{
	FILE *in = fopen(path, "r");
	char line[512], *end;

	if (!in)
		return -1;
	while (fgets(line, sizeof(line), in)) {
		uint64_t addr = strtoull(line, &end, 16);

		if (addr < KERNEL_MAP || strlen(end) < 4 || !strchr("tTwW", end[1]))
			continue;
		end[strcspn(end, "\n")] = '\0';
		add_symbol(addr, end + 3);
	}
	fclose(in);
	return nsymbols > 0 ? 0 : -1;
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "symbols=", 8) == 0 && read_symbols(argv[i] + 8) < 0)
			return -1;
		if (strncmp(argv[i], "entry=", 6) == 0)
			entry = strtoull(argv[i] + 6, NULL, 0);
		if (strncmp(argv[i], "out=", 4) == 0)
			out_path = strdup(argv[i] + 4);
	}
	if (addr_initcall == 0 || addr_return == 0 || !out_path || entry == 0)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, unfinished, NULL);
	return 0;
}
