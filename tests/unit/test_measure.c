/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "firmware/measure.h"

/* A launch whose every part can be spoilt. */
struct parts {
	char version[32];
	uint8_t tree[64];
	char cmdline[32];
	char arg[2][32];
	const char *args[2];
	uint8_t plan[64];
	struct measure_app apps[2];
	struct measure_launch launch;
};

static void make_parts(struct parts *p)
{
	memset(p, 0, sizeof(*p));
	strcpy(p->version, "tripod-vmm 1");
	strcpy(p->cmdline, "quiet panic=1");
	strcpy(p->arg[0], "--hostname=a");
	strcpy(p->arg[1], "UUID");
	memset(p->tree, 7, sizeof(p->tree));
	memset(p->plan, 9, sizeof(p->plan));
	for (int i = 0; i < 2; i++) {
		p->args[i] = p->arg[i];
		p->apps[i].name = i ? "db" : "web";
		memset(&p->apps[i].rootfs, 10 + i, sizeof(struct digests));
		memset(&p->apps[i].manifest, 20 + i, sizeof(struct digests));
	}
	p->launch = (struct measure_launch){
		.version = p->version,
		.tree = p->tree,
		.tree_len = sizeof(p->tree),
		.ncpus = 1,
		.memory = 128 << 20,
		.cmdline = p->cmdline,
		.apps = p->apps,
		.napps = 2,
		.args = p->args,
		.nargs = 2,
		.plan = p->plan,
		.plan_len = sizeof(p->plan),
	};
	memset(&p->launch.vmm, 1, sizeof(struct digests));
	memset(&p->launch.kernel, 2, sizeof(struct digests));
	memset(&p->launch.initrd, 3, sizeof(struct digests));
	memset(&p->launch.manifest, 4, sizeof(struct digests));
}

static struct eventlog measured(const struct parts *p, struct pcrs *pcrs)
{
	struct error err = ERROR_INIT;
	struct eventlog log;

	assert_int_equal(measure_launch(&p->launch, &log, &err), 0);
	assert_int_equal(eventlog_replay(log.data, log.len, pcrs, &err), 0);
	return log;
}

static void one_byte_of_a_part_changes_exactly_its_pcr(void **state)
{
	static struct parts p; /* static: addresses of its fields are in the table */
	const struct {
		void *byte;
		unsigned pcr;
		const char *words;
	} parts[] = {
		{&p.version[11], 0, "version of the VMM"},
		{&p.launch.vmm.sha256[0], 0, "VMM"},
		{&p.tree[63], 1, "device tree"},
		{&p.launch.ncpus, 1, "vCPUs and memory"},
		{&p.launch.memory, 1, "vCPUs and memory"},
		{&p.launch.hotplug, 1, "vCPUs and memory"},
		{&p.launch.kernel.sha256[31], 4, "kernel"},
		{&p.cmdline[12], 8, "command line"},
		{&p.launch.initrd.sha256[5], 9, "initrd"},
		{&p.apps[0].rootfs.sha256[0], 15, "rootfs of app web"},
		{&p.apps[1].rootfs.sha256[0], 15, "rootfs of app db"},
		{&p.apps[1].manifest.sha256[0], 15, "manifest of app db"},
		{&p.launch.manifest.sha256[0], 15, "pod manifest"},
		{&p.arg[0][11], 15, "stage1 arguments"},
		{&p.plan[0], 15, "plan"},
	};
	struct pcrs before, after;
	struct eventlog log, other;

	(void)state;
	make_parts(&p);
	log = measured(&p, &before);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		struct error err = ERROR_INIT;

		*(uint8_t *)parts[i].byte ^= 1;
		other = measured(&p, &after);
		*(uint8_t *)parts[i].byte ^= 1;
		for (unsigned pcr = 0; pcr < EVENTLOG_PCRS; pcr++) {
			bool same = memcmp(before.pcr[pcr].sha256, after.pcr[pcr].sha256,
					   SHA256_SIZE) == 0;

			if (same != (pcr != parts[i].pcr))
				fail_msg("%s: PCR %u", parts[i].words, pcr);
		}
		assert_int_equal(measure_compare(other.data, other.len, log.data, log.len, &err),
				 -EPERM);
		assert_non_null(strstr(err.msg, parts[i].words));
		eventlog_free(&other);
	}
	other = measured(&p, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	eventlog_free(&other);
	eventlog_free(&log);
}

static void both_banks_are_measured(void **state)
{
	struct pcrs before, after;
	struct eventlog log;
	struct parts p;

	(void)state;
	make_parts(&p);
	log = measured(&p, &before);
	eventlog_free(&log);
	p.launch.kernel.sha384[47] ^= 1;
	log = measured(&p, &after);
	eventlog_free(&log);
	assert_memory_not_equal(before.pcr[4].sha384, after.pcr[4].sha384, SHA384_SIZE);
	assert_memory_equal(before.pcr[4].sha256, after.pcr[4].sha256, SHA256_SIZE);
}

static void the_order_of_apps_counts(void **state)
{
	struct pcrs before, after;
	struct measure_app first;
	struct eventlog log;
	struct parts p;

	(void)state;
	make_parts(&p);
	log = measured(&p, &before);
	eventlog_free(&log);
	first = p.apps[0];
	p.apps[0] = p.apps[1];
	p.apps[1] = first;
	log = measured(&p, &after);
	eventlog_free(&log);
	assert_memory_not_equal(&before.pcr[15], &after.pcr[15], sizeof(struct digests));
}

static void words_can_not_move_between_arguments(void **state)
{
	struct pcrs before, after;
	struct eventlog log;
	struct parts p;

	(void)state;
	make_parts(&p);
	strcpy(p.arg[0], "--a b");
	strcpy(p.arg[1], "c");
	log = measured(&p, &before);
	eventlog_free(&log);
	strcpy(p.arg[0], "--a");
	strcpy(p.arg[1], "b c");
	log = measured(&p, &after);
	eventlog_free(&log);
	assert_memory_not_equal(&before.pcr[15], &after.pcr[15], sizeof(struct digests));
}

/* A separator in a PCR says that the launch is over. */
static void separators_close_what_is_measured(void **state)
{
	static const uint8_t zero[4];
	struct error err = ERROR_INIT;
	struct eventlog_reader reader;
	struct eventlog_record record;
	uint32_t closed = 0;
	struct digests want;
	struct eventlog log;
	struct pcrs pcrs;
	struct parts p;

	(void)state;
	make_parts(&p);
	log = measured(&p, &pcrs);
	digests_of(zero, sizeof(zero), &want);
	assert_int_equal(eventlog_open(&reader, log.data, log.len, &err), 0);
	while (eventlog_next(&reader, &record, &err) > 0) {
		assert_false(closed & 1U << record.pcr);
		if (record.type != EV_SEPARATOR)
			continue;
		closed |= 1U << record.pcr;
		assert_memory_equal(&record.digests, &want, sizeof(want));
	}
	assert_int_equal(closed, 0x83ff);
	eventlog_free(&log);
}

static void logs_of_different_length_differ(void **state)
{
	struct error err = ERROR_INIT;
	struct eventlog log, more;
	struct pcrs pcrs;
	struct parts p;

	(void)state;
	make_parts(&p);
	more = measured(&p, &pcrs);
	log = measured(&p, &pcrs);
	/* the last record is a separator of 4 bytes */
	log.len -= 4 + 4 + 4 + 2 + SHA256_SIZE + 2 + SHA384_SIZE + 4 + 4;
	assert_int_equal(measure_compare(log.data, log.len, more.data, more.len, &err), -EPERM);
	assert_non_null(strstr(err.msg, "is missing"));
	assert_int_equal(measure_compare(more.data, more.len, log.data, log.len, &err), -EPERM);
	assert_non_null(strstr(err.msg, "is too many"));
	assert_int_equal(measure_compare(more.data, more.len, "junk", 4, &err), -EINVAL);
	eventlog_free(&log);
	eventlog_free(&more);
}

static void a_launch_of_64_apps_with_long_names_fits(void **state)
{
	static struct measure_app apps[64];
	char name[129], *longest = malloc(4000);
	struct pcrs pcrs;
	struct eventlog log;
	struct parts p;

	(void)state;
	make_parts(&p);
	memset(name, 'n', 128);
	name[128] = '\0';
	for (unsigned i = 0; i < 64; i++)
		apps[i] = (struct measure_app){.name = name};
	p.launch.apps = apps;
	p.launch.napps = 64;
	memset(longest, 'x', 2047);
	longest[2047] = '\0';
	p.launch.cmdline = longest;
	p.args[1] = longest;
	log = measured(&p, &pcrs);
	eventlog_free(&log);
	free(longest);
}

static void a_disk_is_its_files_in_order(void **state)
{
	struct digests files[2], ab, ba, a;

	(void)state;
	digests_of("a", 1, &files[0]);
	digests_of("b", 1, &files[1]);
	measure_disk(files, 2, &ab);
	measure_disk(files, 1, &a);
	digests_of("b", 1, &files[0]);
	digests_of("a", 1, &files[1]);
	measure_disk(files, 2, &ba);
	assert_memory_not_equal(&ab, &ba, sizeof(ab));
	assert_memory_not_equal(&ab, &a, sizeof(ab));
}

/* The last record but one of an added app with a volume from there, and what it is called. */
static void added(const char *source, struct digests *ret, char *words, size_t size)
{
	const struct measure_app app = {.name = "web"};
	cleanup_strv struct strv sources = STRV_INIT;
	struct eventlog_record record, last = {.event_len = 0};
	struct eventlog_reader reader;
	struct error err = ERROR_INIT;
	struct eventlog log;

	strv_add(&sources, source);
	assert_int_equal(measure_added(&app, &sources, "plan", 4, &log, &err), 0);
	assert_int_equal(eventlog_open(&reader, log.data, log.len, &err), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(eventlog_next(&reader, &last, &err), 1);
	assert_int_equal(eventlog_next(&reader, &record, &err), 1);
	measure_describe(&record, words, size);
	assert_string_equal(words, "plan of added app web");
	measure_describe(&last, words, size);
	*ret = last.digests;
	eventlog_free(&log);
}

static void where_a_volume_of_an_added_app_comes_from_is_measured(void **state)
{
	struct digests want, one, other;
	char words[256], long_path[4096];

	(void)state;
	added("v,source=/a", &one, words, sizeof(words));
	assert_string_equal(words, "volume of added app web: v,source=/a");
	digests_of("v,source=/a", strlen("v,source=/a"), &want);
	assert_memory_equal(&one, &want, sizeof(want));
	/* all of it, however long */
	memset(long_path, 'x', sizeof(long_path));
	long_path[4095] = '\0';
	added(long_path, &one, words, sizeof(words));
	long_path[4094] = 'y';
	added(long_path, &other, words, sizeof(words));
	assert_memory_not_equal(&one, &other, sizeof(one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_byte_of_a_part_changes_exactly_its_pcr),
		cmocka_unit_test(both_banks_are_measured),
		cmocka_unit_test(the_order_of_apps_counts),
		cmocka_unit_test(words_can_not_move_between_arguments),
		cmocka_unit_test(separators_close_what_is_measured),
		cmocka_unit_test(logs_of_different_length_differ),
		cmocka_unit_test(a_launch_of_64_apps_with_long_names_fits),
		cmocka_unit_test(a_disk_is_its_files_in_order),
		cmocka_unit_test(where_a_volume_of_an_added_app_comes_from_is_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
