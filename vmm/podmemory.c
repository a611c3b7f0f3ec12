/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod's guest has of the host's memory, and how much of it is asked back (docs/pod.md). */
#include <string.h>
#include <sys/stat.h>

#include "common/json.h"
#include "common/str.h"
#include "common/util.h"
#include "vmm/podrun_priv.h"

/*
 * What a guest is left at least. It could give more: a balloon that is too large shrinks before the
 * guest kills anything, but it would be busy with nothing else.
 */
#define MEMORY_KEPT_MIN (UINT64_C(64) << 20)

/* Bytes of the host's in use for guest memory, by any process. 0: not known. */
static uint64_t resident(const struct guest *guest)
{
	struct stat st;

	if (fstat(machine_memfd(guest->machine), &st) < 0)
		return 0;
	return (uint64_t)st.st_blocks * 512; /* stat(2)'s unit, whatever the block size */
}

static void reply(struct podrun *run, uint32_t client)
{
	cleanup_json struct json_object *root = json_object_new_object();
	struct balloon_state balloon;
	struct guest *guest = run->guest;
	uint64_t total = guest->memory;

	balloon_get(guest->balloon, &balloon);
	json_add_int(root, "total", (int64_t)total);
	json_add_int(root, "target", (int64_t)(total - MIN(balloon.target, total)));
	/* the guest's word, which may be any */
	json_add_int(root, "current", (int64_t)(total - MIN(balloon.actual, total)));
	json_add_int(root, "minimum", (int64_t)MEMORY_KEPT_MIN);
	json_add_int(root, "resident", (int64_t)resident(guest));
	json_add_int(root, "returned", (int64_t)balloon.released);
	control_reply(&run->control, client, json_text(root));
}

void podmemory_ask(struct podrun *run, uint32_t client)
{
	const char *args = control_args(&run->control, client);
	uint64_t total = run->guest->memory;
	unsigned long long bytes;

	if (!*args) {
		reply(run, client);
	} else if (!str_to_u64(args, INT64_MAX, &bytes)) {
		control_reply(&run->control, client, "{\"error\":\"no number of bytes\"}");
	} else if (bytes < MEMORY_KEPT_MIN || bytes > total) {
		cleanup_free char *text =
			xasprintf("{\"error\":\"the guest can keep %llu to %llu MiB\"}",
				  (unsigned long long)(MEMORY_KEPT_MIN / MIB),
				  (unsigned long long)(total / MIB));

		control_reply(&run->control, client, text);
	} else {
		balloon_set_target(run->guest->balloon, total - bytes);
		reply(run, client);
	}
}
