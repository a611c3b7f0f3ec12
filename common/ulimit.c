/* SPDX-License-Identifier: Apache-2.0 */
#include "common/ulimit.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "common/str.h"
#include "common/util.h"

static const struct {
	const char *name;
	unsigned resource;
} names[] = {
	{"as", RLIMIT_AS},
	{"core", RLIMIT_CORE},
	{"cpu", RLIMIT_CPU},
	{"data", RLIMIT_DATA},
	{"fsize", RLIMIT_FSIZE},
	{"locks", RLIMIT_LOCKS},
	{"memlock", RLIMIT_MEMLOCK},
	{"msgqueue", RLIMIT_MSGQUEUE},
	{"nice", RLIMIT_NICE},
	{"nofile", RLIMIT_NOFILE},
	{"nproc", RLIMIT_NPROC},
	{"rss", RLIMIT_RSS},
	{"rtprio", RLIMIT_RTPRIO},
	{"rttime", RLIMIT_RTTIME},
	{"sigpending", RLIMIT_SIGPENDING},
	{"stack", RLIMIT_STACK},
};

static int parse_value(const char *text, uint64_t *ret, struct error *err)
{
	unsigned long long n;

	if (strcmp(text, "unlimited") == 0 || strcmp(text, "-1") == 0) {
		*ret = ULIMIT_UNLIMITED;
		return 0;
	}
	if (!str_to_u64(text, ULIMIT_UNLIMITED - 1, &n))
		return error_set(err, -EINVAL, "\"%.100s\" is neither a number nor unlimited",
				 text);
	*ret = n;
	return 0;
}

int ulimit_parse(const char *name, const char *text, struct ulimit *ret, struct error *err)
{
	cleanup_free char *soft = xstrndup(text, strcspn(text, ":"));
	const char *hard = strchr(text, ':');
	struct ulimit limit = {.resource = UINT32_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i].name) == 0)
			limit.resource = names[i].resource;
	if (limit.resource == UINT32_MAX)
		return error_set(err, -EINVAL, "\"%.100s\" is not the name of a limit", name);
	if (parse_value(soft, &limit.soft, err) < 0 ||
	    parse_value(hard ? hard + 1 : soft, &limit.hard, err) < 0)
		return error_wrap(err, "%s", name);
	if (limit.soft > limit.hard)
		return error_set(err, -EINVAL, "%s: the soft limit is above the hard one", name);
	*ret = limit;
	return 0;
}
