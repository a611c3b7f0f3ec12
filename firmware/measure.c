/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware/measure.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/hash.h"
#include "common/str.h"
#include "common/util.h"

#define PCR_VMM	    0
#define PCR_MACHINE 1
#define PCR_KERNEL  4
#define PCR_CMDLINE 8
#define PCR_INITRD  9
#define PCR_APPS    MEASURE_PCR_APPS

#define CMDLINE_PREFIX "kernel_cmdline: "
#define SOURCE_PREFIX  "tripod: Volume of added app "
#define ADDED_PREFIX   "tripod: Plan of added app "
#define ARGS_PREFIX    "rkt: Stage1 args: "
#define ARGS_TEXT_MAX  1024 /* bytes of the arguments in the event's data; all of them are hashed */

/* A PCR is closed when a separator is in it: what is extended later can not pass for the launch. */
static const uint32_t closed_pcrs[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, PCR_APPS};

/* A log being made; the first error sticks. */
struct writer {
	struct eventlog *log;
	struct error *err;
	int error;
};

/* The data of an EV_IPL ends with a NUL, as GRUB's do, which readers know. */
static void add(struct writer *w, uint32_t pcr, uint32_t type, const struct digests *digests,
		const char *event)
{
	size_t len = strlen(event) + (type == EV_IPL);

	if (w->error == 0)
		w->error = eventlog_add(w->log, pcr, type, digests, event,
					MIN(len, (size_t)EVENTLOG_EVENT_MAX), w->err);
}

/* An event whose data is what is hashed. */
static void add_text(struct writer *w, uint32_t pcr, uint32_t type, const char *text)
{
	struct digests digests;

	digests_of(text, strlen(text), &digests);
	add(w, pcr, type, &digests, text);
}

static void add_bytes(struct writer *w, uint32_t pcr, uint32_t type, const void *data, size_t len,
		      const char *event)
{
	struct digests digests;

	digests_of(data, len, &digests);
	add(w, pcr, type, &digests, event);
}

/* The event's data is what the TCG has for firmware, a UEFI_PLATFORM_FIRMWARE_BLOB. */
static void add_vmm(struct writer *w, const struct measure_launch *launch)
{
	const uint64_t blob[2] = {0, launch->vmm_size};

	if (w->error == 0)
		w->error = eventlog_add(w->log, PCR_VMM, EV_S_CRTM_CONTENTS, &launch->vmm, blob,
					sizeof(blob), w->err);
}

static void add_machine(struct writer *w, const struct measure_launch *launch)
{
	char text[96];

	add_bytes(w, PCR_MACHINE, EV_PLATFORM_CONFIG_FLAGS, launch->tree, launch->tree_len,
		  "device tree");
	snprintf(text, sizeof(text), "vcpus=%u memory=%" PRIu64 " hotplug=%" PRIu64, launch->ncpus,
		 launch->memory, launch->hotplug);
	add_text(w, PCR_MACHINE, EV_PLATFORM_CONFIG_FLAGS, text);
}

static void add_cmdline(struct writer *w, const char *cmdline)
{
	cleanup_free char *event = xasprintf(CMDLINE_PREFIX "%s", cmdline);

	add_bytes(w, PCR_CMDLINE, EV_IPL, cmdline, strlen(cmdline), event);
}

static void add_app(struct writer *w, const struct measure_app *app)
{
	cleanup_free char *rootfs = xasprintf("rkt: Rootfs: %s", app->name);
	cleanup_free char *manifest = xasprintf("rkt: Manifest: %s", app->name);

	add(w, PCR_APPS, EV_RKT, &app->rootfs, rootfs);
	add(w, PCR_APPS, EV_RKT, &app->manifest, manifest);
}

static void add_args(struct writer *w, const struct measure_launch *launch)
{
	cleanup_str struct str bytes = STR_INIT, text = STR_INIT;

	str_add(&text, ARGS_PREFIX);
	for (unsigned i = 0; i < launch->nargs; i++) {
		str_addn(&bytes, launch->args[i], strlen(launch->args[i]) + 1);
		str_addf(&text, "%s%s", i ? " " : "", launch->args[i]);
	}
	if (text.len > strlen(ARGS_PREFIX) + ARGS_TEXT_MAX)
		text.s[strlen(ARGS_PREFIX) + ARGS_TEXT_MAX] = '\0';
	add_bytes(w, PCR_APPS, EV_RKT, str_get(&bytes), bytes.len, str_get(&text));
}

static void add_separators(struct writer *w)
{
	static const uint8_t zero[4];
	struct digests digests;

	digests_of(zero, sizeof(zero), &digests);
	for (size_t i = 0; w->error == 0 && i < ARRAY_SIZE(closed_pcrs); i++)
		w->error = eventlog_add(w->log, closed_pcrs[i], EV_SEPARATOR, &digests, zero,
					sizeof(zero), w->err);
}

int measure_launch(const struct measure_launch *launch, struct eventlog *ret, struct error *err)
{
	struct writer w = {.log = ret, .err = err};

	eventlog_init(ret);
	add_text(&w, PCR_VMM, EV_S_CRTM_VERSION, launch->version);
	add_vmm(&w, launch);
	add_machine(&w, launch);
	add(&w, PCR_KERNEL, EV_IPL, &launch->kernel, "kernel");
	add_cmdline(&w, launch->cmdline);
	add(&w, PCR_INITRD, EV_IPL, &launch->initrd, "initrd");
	for (unsigned i = 0; i < launch->napps; i++)
		add_app(&w, &launch->apps[i]);
	add(&w, PCR_APPS, EV_RKT, &launch->manifest, "rkt: Pod manifest");
	add_args(&w, launch);
	add_bytes(&w, PCR_APPS, EV_RKT, launch->plan, launch->plan_len, "tripod: Plan");
	add_separators(&w);
	if (w.error < 0)
		eventlog_free(ret);
	return w.error;
}

static void add_source(struct writer *w, const struct measure_app *app, const char *source)
{
	cleanup_free char *event =
		xasprintf(SOURCE_PREFIX "%s: %.*s", app->name, ARGS_TEXT_MAX, source);

	add_bytes(w, PCR_APPS, EV_RKT, source, strlen(source), event);
}

int measure_added(const struct measure_app *app, const struct strv *sources, const void *plan,
		  size_t plan_len, struct eventlog *ret, struct error *err)
{
	cleanup_free char *event = xasprintf(ADDED_PREFIX "%s", app->name);
	struct writer w = {.log = ret, .err = err};

	eventlog_init(ret);
	add_app(&w, app);
	for (size_t i = 0; i < sources->n; i++)
		add_source(&w, app, sources->v[i]);
	add_bytes(&w, PCR_APPS, EV_RKT, plan, plan_len, event);
	if (w.error < 0)
		eventlog_free(ret);
	return w.error;
}

static void digest_of_digests(enum hash_alg alg, const struct digests *files, unsigned n,
			      size_t offset, uint8_t *ret)
{
	cleanup_hash struct hash *hash = hash_new(alg);

	for (unsigned i = 0; i < n; i++)
		hash_update(hash, (const uint8_t *)&files[i] + offset, hash_size(alg));
	hash_final(hash, ret);
}

void measure_disk(const struct digests *files, unsigned n, struct digests *ret)
{
	digest_of_digests(HASH_SHA256, files, n, offsetof(struct digests, sha256), ret->sha256);
	digest_of_digests(HASH_SHA384, files, n, offsetof(struct digests, sha384), ret->sha384);
}

/* Reading */

static bool event_starts_with(const struct eventlog_record *record, const char *text)
{
	size_t len = strlen(text);

	return record->event_len >= len && memcmp(record->event, text, len) == 0;
}

void measure_describe(const struct eventlog_record *record, char *ret, size_t size)
{
	static const struct {
		uint32_t pcr, type;
		const char *event, *words;
	} known[] = {
		{PCR_VMM, EV_S_CRTM_VERSION, "", "version of the VMM"},
		{PCR_VMM, EV_S_CRTM_CONTENTS, "", "VMM"},
		{PCR_MACHINE, EV_PLATFORM_CONFIG_FLAGS, "device tree", "device tree"},
		{PCR_MACHINE, EV_PLATFORM_CONFIG_FLAGS, "vcpus=", "vCPUs and memory"},
		{PCR_KERNEL, EV_IPL, "kernel", "kernel"},
		{PCR_CMDLINE, EV_IPL, CMDLINE_PREFIX, "command line"},
		{PCR_INITRD, EV_IPL, "initrd", "initrd"},
		{PCR_APPS, EV_RKT, "rkt: Rootfs: ", "rootfs of app "},
		{PCR_APPS, EV_RKT, "rkt: Manifest: ", "manifest of app "},
		{PCR_APPS, EV_RKT, "rkt: Pod manifest", "pod manifest"},
		{PCR_APPS, EV_RKT, ARGS_PREFIX, "stage1 arguments"},
		{PCR_APPS, EV_RKT, ADDED_PREFIX, "plan of added app "},
		{PCR_APPS, EV_RKT, SOURCE_PREFIX, "volume of added app "},
		{PCR_APPS, EV_RKT, "tripod: Plan", "plan"},
	};
	cleanup_str struct str name = STR_INIT;

	if (record->type == EV_SEPARATOR) {
		snprintf(ret, size, "end of the launch");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		size_t len = strlen(known[i].event);

		if (record->pcr != known[i].pcr || record->type != known[i].type ||
		    !event_starts_with(record, known[i].event))
			continue;
		if (str_ends_with(known[i].words, " "))
			str_add_escaped(&name, (const char *)record->event + len,
					record->event_len - len);
		snprintf(ret, size, "%s%s", known[i].words, str_get(&name));
		return;
	}
	snprintf(ret, size, "event of type %#x", record->type);
}

/* Whether two records are the same to whoever replays them and reads what they say. */
static bool same_record(const struct eventlog_record *a, const struct eventlog_record *b)
{
	return a->pcr == b->pcr && a->type == b->type &&
	       memcmp(&a->digests, &b->digests, sizeof(a->digests)) == 0 &&
	       a->event_len == b->event_len && memcmp(a->event, b->event, a->event_len) == 0;
}

static int differs(const struct eventlog_record *record, unsigned index, const char *how,
		   struct error *err)
{
	char words[256];

	measure_describe(record, words, sizeof(words));
	return error_set(err, -EPERM, "event %u, PCR %u (%s) %s", index, record->pcr, words, how);
}

int measure_compare(const void *log, size_t len, const void *required, size_t required_len,
		    struct error *err)
{
	struct eventlog_reader ours, theirs;
	struct eventlog_record is, wanted;
	int r = eventlog_open(&ours, log, len, err), more, more_wanted;

	if (r == 0)
		r = eventlog_open(&theirs, required, required_len, err);
	while (r == 0) {
		unsigned index = ours.index;

		more = eventlog_next(&ours, &is, err);
		more_wanted = more < 0 ? more : eventlog_next(&theirs, &wanted, err);
		if (more_wanted < 0)
			return more_wanted;
		if (!more && !more_wanted)
			break;
		if (!more)
			r = differs(&wanted, index, "is missing", err);
		else if (!more_wanted)
			r = differs(&is, index, "is too many", err);
		else if (!same_record(&is, &wanted))
			r = differs(&is, index, "differs from what is required", err);
	}
	return r;
}
