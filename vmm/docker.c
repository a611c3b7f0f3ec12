/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/docker.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "common/str.h"
#include "common/util.h"

/* Linux's, which is not what C libraries leave of them. */
#define RTMIN 34
#define RTMAX 64

bool docker_user_applies(const char *text, const char *user, const char *group, bool *ret_primary)
{
	size_t len = strcspn(text, ":");
	const char *its_group = text[len] ? text + len + 1 : "";

	if (len == 0 || strlen(user) != len || memcmp(user, text, len) != 0)
		return false;
	*ret_primary = !*its_group;
	return strcmp(group, *its_group ? its_group : user) == 0;
}

/* RTMIN, RTMIN+N, RTMAX, RTMAX-N */
static bool parse_realtime(const char *name, int *ret)
{
	bool min = str_starts_with(name, "RTMIN");
	unsigned long long n = 0;

	if (!min && !str_starts_with(name, "RTMAX"))
		return false;
	name += strlen("RTMIN");
	if (*name && (*name != (min ? '+' : '-') || !str_to_u64(name + 1, RTMAX - RTMIN, &n)))
		return false;
	*ret = min ? RTMIN + (int)n : RTMAX - (int)n;
	return true;
}

int docker_signal(const char *text, int *ret, struct error *err)
{
	const char *name = str_starts_with(text, "SIG") ? text + 3 : text;
	unsigned long long n;

	if (str_to_u64(text, RTMAX, &n) && n > 0) {
		*ret = (int)n;
		return 0;
	}
	if (parse_realtime(name, ret))
		return 0;
	for (int sig = 1; sig < RTMIN; sig++) {
		const char *known = sigabbrev_np(sig);

		if (known && strcmp(known, name) == 0) {
			*ret = sig;
			return 0;
		}
	}
	return error_set(err, -EINVAL, "\"%.100s\" is not a signal", text);
}
