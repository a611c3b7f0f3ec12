/* SPDX-License-Identifier: Apache-2.0 */
#include "common/uuid.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void uuid_generate(char ret[UUID_TEXT_LEN + 1])
{
	uint8_t b[16];

	/* up to 256 bytes never fall short once the pool is initialised (getrandom(2)) */
	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		abort();
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(ret, UUID_TEXT_LEN + 1,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
}

bool uuid_is_valid(const char *s)
{
	for (int i = 0; i < UUID_TEXT_LEN; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (s[i] != '-')
				return false;
		} else if (s[i] == '\0' || !strchr("0123456789abcdef", s[i])) {
			return false;
		}
	}
	return s[UUID_TEXT_LEN] == '\0';
}
