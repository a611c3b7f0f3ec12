/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/probe.h"

#include <cpuid.h>

#define CPUID1_ECX_VMX	       (1U << 5)
#define CPUID_80000001_ECX_SVM (1U << 2)

bool probe_kernel_is_emulated(void)
{
	unsigned a, b, c, d;

	if (__get_cpuid(1, &a, &b, &c, &d) && (c & CPUID1_ECX_VMX))
		return false;
	if (__get_cpuid(0x80000001, &a, &b, &c, &d) && (c & CPUID_80000001_ECX_SVM))
		return false;
	return true;
}
