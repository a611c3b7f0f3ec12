/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_PROBE_H
#define VMM_PROBE_H

#include <stdbool.h>

/* Host kinds told apart (spec/emulated-kvm.md). */

/*
 * Whether KVM here runs guest kernel mode in its instruction emulator: it works although the CPU
 * shows neither VMX nor SVM.
 */
bool probe_kernel_is_emulated(void);

#endif
