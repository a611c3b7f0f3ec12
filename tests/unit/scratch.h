/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

/*
 * A directory of its own for each test, as cmocka fixtures: *state is a struct scratch.
 *
 *	cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
 */
struct scratch {
	int fd;
	char path[64]; /* absolute */
};

int scratch_setup(void **state);
int scratch_teardown(void **state);

#endif
