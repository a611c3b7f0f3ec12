/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_GUEST_PROBE_CALLS_H
#define TESTS_GUEST_PROBE_CALLS_H

/* An errno's name, "ok" for 0; of what nothing is expected to give, the number, until the next call. */
const char *code_name(int code);

/* A line for each thing that is tried. What it changes is undone, but for the last. */
void tell_calls(void);

/* ... and for more memory than some have. */
void tell_hog(void);

#endif
