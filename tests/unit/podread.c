/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "tests/unit/podread.h"

void podread_accept(const char *text, struct pod_spec *ret)
{
	struct error err = ERROR_INIT;

	if (pod_parse(text, strlen(text), ret, &err) < 0)
		fail_msg("%s", err.msg);
}

void podread_refuse(const char *text, const char *why)
{
	struct error err = ERROR_INIT;
	struct pod_spec pod;

	if (pod_parse(text, strlen(text), &pod, &err) == 0)
		fail_msg("accepted: %s", text);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
}
