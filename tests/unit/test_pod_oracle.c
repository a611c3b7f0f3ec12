/* SPDX-License-Identifier: Apache-2.0 */
/* What the oracle of images.md 11 says of pods, and of what is refused at run: stage1's reader. */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/util.h"
#include "vmm/pod.h"

#define POD(apps, more)                                                                            \
	"{\"acKind\":\"PodManifest\",\"acVersion\":\"0.8.11\",\"apps\":[" apps "]" more "}"
#define IMAGE "\"image\":{\"name\":\"e.x/a\",\"id\":\"sha512-ab\"}"
#define RUN(more)                                                                                  \
	"{\"name\":\"a\"," IMAGE ",\"app\":{\"exec\":[\"/x\"],\"user\":\"0\",\"group\":\"0\"" more \
	"}}"
#define PORTS "\"ports\":[{\"name\":\"p\",\"protocol\":\"tcp\",\"port\":80}]"

static const struct {
	const char *row; /* as the table spells it */
	const char *text;
	bool accept;
} rows[] = {
	{"pod without apps", "{\"acKind\":\"PodManifest\",\"acVersion\":\"0.8.11\"}", false},
	{"pod with apps []", POD("", ""), false},
	{"pod app image {}",
	 POD("{\"name\":\"a\",\"image\":{},\"app\":{\"exec\":[\"/x\"],\"user\":\"0\","
	     "\"group\":\"0\"}}",
	     ""),
	 false},
	{"two apps of one name", POD(RUN("") "," RUN(""), ""), false},
	{"volume {kind empty} without mode/uid/gid",
	 POD(RUN(""), ",\"volumes\":[{\"name\":\"v\",\"kind\":\"empty\"}]"), true},
	{"volume host with relative source",
	 POD(RUN(""), ",\"volumes\":[{\"name\":\"v\",\"kind\":\"host\",\"source\":\"rel\"}]"),
	 false},
	{"volume host with mode",
	 POD(RUN(""), ",\"volumes\":[{\"name\":\"v\",\"kind\":\"host\",\"source\":\"/s\","
		      "\"mode\":\"0755\"}]"),
	 false},
	{"pod isolator unknown",
	 POD(RUN(""), ",\"isolators\":[{\"name\":\"whatever\",\"value\":1}]"), true},
	{"pod port hostPort 0", POD(RUN("," PORTS), ",\"ports\":[{\"name\":\"p\",\"hostPort\":0}]"),
	 false},
	{"pod port hostPort 70000",
	 POD(RUN("," PORTS), ",\"ports\":[{\"name\":\"p\",\"hostPort\":70000}]"), false},
	{"pod port hostIP ::1",
	 POD(RUN("," PORTS), ",\"ports\":[{\"name\":\"p\",\"hostPort\":80,\"hostIP\":\"::1\"}]"),
	 true},
	{"pod userLabels value 1", POD(RUN(""), ",\"userLabels\":{\"x\":1}"), false},
	{"capability name BOGUS, at run",
	 POD(RUN(",\"isolators\":[{\"name\":\"os/linux/capabilities-retain-set\",\"value\":"
		 "{\"set\":[\"BOGUS\"]}}]"),
	     ""),
	 false},
	{"port with empty protocol, at run",
	 POD(RUN(",\"ports\":[{\"name\":\"p\",\"protocol\":\"\",\"port\":80}]"),
	     ",\"ports\":[{\"name\":\"p\",\"hostPort\":80}]"),
	 false},
};

static void every_row_about_pods_has_our_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;
		struct pod_spec pod;
		int r = pod_parse(rows[i].text, strlen(rows[i].text), &pod, &err);

		if ((r == 0) != rows[i].accept)
			fail_msg("%s: %s", rows[i].row, r < 0 ? err.msg : "accepted");
		if (r == 0)
			pod_free(&pod);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_about_pods_has_our_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
