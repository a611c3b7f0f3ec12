/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/util.h"
#include "vmm/probe.h"

static void a_hardware_host_has_no_instructions_to_tell_of(void **state)
{
	struct probe probe = {.api = 12, .split_irqchip = true, .max_vcpus = 7};
	cleanup_str struct str text = STR_INIT;

	(void)state;
	probe_text(&probe, &text);
	assert_non_null(
		strstr(str_get(&text), "api=12\nkernel-mode=hardware\nsplit-irqchip=yes\n"));
	assert_non_null(strstr(str_get(&text), "irqfd=no\n"));
	assert_non_null(strstr(str_get(&text), "max-vcpus=7\n"));
	assert_null(strstr(str_get(&text), "instruction-"));
}

static void an_emulated_host_has_a_verdict_for_each(void **state)
{
	struct probe probe = {.emulated = true};
	cleanup_str struct str text = STR_INIT;
	unsigned n = 0;

	(void)state;
	probe.insn[PROBE_STAC] = PROBE_FAILS;
	probe.insn[PROBE_X87] = PROBE_ABSENT;
	probe_text(&probe, &text);
	for (const char *p = str_get(&text); (p = strstr(p, "instruction-")); p++)
		n++;
	assert_int_equal(n, PROBE_INSNS);
	assert_non_null(strstr(str_get(&text), "kernel-mode=emulated\n"));
	assert_non_null(strstr(str_get(&text), "instruction-stac=fails\n"));
	assert_non_null(strstr(str_get(&text), "instruction-x87=absent\n"));
	assert_non_null(strstr(str_get(&text), "instruction-xsave=works\n"));
}

static void this_host_is_probed(void **state)
{
	struct error err = ERROR_INIT;
	struct probe probe;

	(void)state;
	if (probe_host(&probe, &err) < 0)
		skip();
	assert_int_equal(probe.api, 12);
	assert_true(probe.max_vcpus > 0);
	assert_int_equal(probe.emulated, probe_kernel_is_emulated());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hardware_host_has_no_instructions_to_tell_of),
		cmocka_unit_test(an_emulated_host_has_a_verdict_for_each),
		cmocka_unit_test(this_host_is_probed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
