/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "initrd/disk.h"
#include "initrd/plan.h"

/* A plan being written. */
struct writer {
	uint8_t bytes[8192];
	size_t len;
};

static void record(struct writer *w, unsigned tag, const void *data, uint32_t len)
{
	const uint8_t header[8] = {
		(uint8_t)tag,	      (uint8_t)(tag >> 8), 0, 0, (uint8_t)len, (uint8_t)(len >> 8),
		(uint8_t)(len >> 16), (uint8_t)(len >> 24)};

	assert_true(w->len + sizeof(header) + len <= sizeof(w->bytes));
	memcpy(w->bytes + w->len, header, sizeof(header));
	memcpy(w->bytes + w->len + sizeof(header), data, len);
	w->len += sizeof(header) + len;
}

static void string(struct writer *w, unsigned tag, const char *s)
{
	record(w, tag, s, (uint32_t)strlen(s));
}

static void u32(struct writer *w, unsigned tag, uint32_t n)
{
	record(w, tag, &n, sizeof(n));
}

static void u64(struct writer *w, unsigned tag, uint64_t n)
{
	record(w, tag, &n, sizeof(n));
}

/* The least an app needs. */
static void app(struct writer *w, const char *name)
{
	string(w, PLAN_APP, name);
	string(w, PLAN_ROOT, "/dev/vda");
	string(w, PLAN_ARG, "/bin/true");
	u64(w, PLAN_CAPS, 0);
}

/* Decode from memory that ends where the plan does, so a sanitizer sees a step too far. */
static int decode(const struct writer *w, struct init_plan *plan, struct init_text *why)
{
	static char *pool[INIT_POOL_MAX];
	static uint8_t *bytes;

	free(bytes);
	bytes = malloc(w->len ? w->len : 1);
	memcpy(bytes, w->bytes, w->len);
	why->len = 0;
	return init_plan_decode(bytes, w->len, pool, plan, why);
}

static void assert_refused(const struct writer *w, const char *what)
{
	struct init_plan plan;
	struct init_text why;

	assert_int_equal(decode(w, &plan, &why), -EINVAL);
	assert_true(why.len >= strlen(what));
	why.s[why.len] = '\0';
	assert_non_null(strstr(why.s, what));
}

static void a_plan_is_decoded_whole(void **state)
{
	const uint32_t groups[] = {10, 4000000000U};
	const uint16_t size[] = {24, 80};
	const struct plan_limits limits = {
		.memory = UINT64_C(5) << 32, .cpu = 30000, .weight = PLAN_WEIGHT_MAX};
	static const char filter[] = "instructinstruct";
	const struct plan_ulimit ulimits[] = {
		{.resource = 7, .soft = 10, .hard = 20},
		{.resource = 15, .soft = PLAN_UNLIMITED, .hard = PLAN_UNLIMITED}};
	struct writer w = {.len = 0};
	struct init_plan plan;
	struct init_text why;
	(void)state;

	string(&w, PLAN_HOSTNAME, "pod");
	u64(&w, PLAN_MEMORY, UINT64_C(3) << 32);
	record(&w, PLAN_TPM, "", 0);
	record(&w, PLAN_METADATA, "", 0);
	string(&w, PLAN_SYSCTL, "net/core/somaxconn=1024");
	string(&w, PLAN_MACHINE_ID, "0123456789abcdef");
	string(&w, PLAN_SYSCTL, "kernel/sem=1 2\t3=");
	string(&w, PLAN_APP, "web");
	string(&w, PLAN_ENV, "A=1");
	string(&w, PLAN_ARG, "/bin/sh");
	string(&w, PLAN_ENV, "");
	string(&w, PLAN_ARG, "");
	string(&w, PLAN_ARG, "x");
	string(&w, PLAN_ROOT, "/dev/vdb");
	string(&w, PLAN_USER, "nobody");
	string(&w, PLAN_GROUP, "nogroup");
	record(&w, PLAN_GROUPS, groups, sizeof(groups));
	string(&w, PLAN_WORKDIR, "/srv");
	u32(&w, PLAN_FLAGS, PLAN_TTY | PLAN_READONLY_ROOT | PLAN_TPM_DEVICE);
	record(&w, PLAN_WINSIZE, size, sizeof(size));
	u64(&w, PLAN_CAPS, UINT64_C(0x1ff00000001));
	record(&w, PLAN_SECCOMP, filter, sizeof(filter) - 1);
	u32(&w, PLAN_OOM, (uint32_t)-1000);
	record(&w, PLAN_LIMITS, &limits, sizeof(limits));
	record(&w, PLAN_ULIMIT, ulimits, sizeof(ulimits));
	string(&w, PLAN_POST_STOP, "/post");
	string(&w, PLAN_PRE_START, "/pre");
	string(&w, PLAN_POST_STOP, "");
	app(&w, "db");

	assert_int_equal(decode(&w, &plan, &why), 0);
	assert_string_equal(plan.hostname, "pod");
	assert_true(plan.memory == UINT64_C(3) << 32);
	assert_int_equal(plan.napps, 2);

	const struct init_plan_app *web = &plan.app[0], *db = &plan.app[1];

	assert_string_equal(web->name, "web");
	assert_string_equal(web->root, "/dev/vdb");
	assert_string_equal(web->argv[0], "/bin/sh");
	assert_string_equal(web->argv[1], "");
	assert_string_equal(web->argv[2], "x");
	assert_null(web->argv[3]);
	assert_string_equal(web->envp[0], "A=1");
	assert_string_equal(web->envp[1], "");
	assert_null(web->envp[2]);
	assert_string_equal(web->pre_start[0], "/pre");
	assert_null(web->pre_start[1]);
	assert_string_equal(web->post_stop[0], "/post");
	assert_string_equal(web->post_stop[1], "");
	assert_null(web->post_stop[2]);
	assert_int_equal(web->npre, 1);
	assert_int_equal(web->npost, 2);
	assert_string_equal(web->user, "nobody");
	assert_string_equal(web->group, "nogroup");
	assert_string_equal(web->workdir, "/srv");
	assert_int_equal(web->ngroups, 2);
	assert_memory_equal(web->groups, groups, sizeof(groups));
	assert_int_equal(web->flags, PLAN_TTY | PLAN_READONLY_ROOT | PLAN_TPM_DEVICE);
	assert_true(plan.tpm);
	assert_true(plan.metadata);
	assert_int_equal(web->rows, 24);
	assert_int_equal(web->columns, 80);
	assert_true(web->caps == UINT64_C(0x1ff00000001));
	assert_true(web->has_oom);
	assert_int_equal(web->oom, -1000);
	assert_memory_equal(&web->limits, &limits, sizeof(limits));
	assert_int_equal(web->nfilter, 2);
	assert_memory_equal(web->filter, filter, sizeof(filter) - 1);

	assert_int_equal(web->nulimits, 2);
	assert_memory_equal(web->ulimits, ulimits, sizeof(ulimits));
	assert_string_equal(plan.machine_id, "0123456789abcdef");
	assert_int_equal(plan.nsysctls, 2);
	assert_string_equal(plan.sysctl[0], "net/core/somaxconn=1024");
	assert_string_equal(plan.sysctl[1], "kernel/sem=1 2\t3=");

	assert_string_equal(db->name, "db");
	assert_int_equal(db->nulimits, 0);
	assert_string_equal(db->argv[0], "/bin/true");
	assert_null(db->argv[1]);
	assert_null(db->envp[0]);
	assert_null(db->pre_start[0]);
	assert_null(db->post_stop[0]);
	assert_string_equal(db->user, "0");
	assert_string_equal(db->group, "0");
	assert_string_equal(db->workdir, "/");
	assert_null(db->filter);
	assert_false(db->has_oom);
	assert_true(!db->limits.memory && !db->limits.cpu && !db->limits.weight);
}

static void a_filter_is_as_long_as_the_kernel_takes(void **state)
{
	static uint8_t bytes[128 + (PLAN_SECCOMP_MAX + 1) * 8];
	static char *pool[INIT_POOL_MAX];
	static struct init_plan plan;
	(void)state;

	for (uint32_t n = PLAN_SECCOMP_MAX; n <= PLAN_SECCOMP_MAX + 1; n++) {
		const uint8_t header[8] = {PLAN_SECCOMP,      0, 0, 0, (uint8_t)(n * 8),
					   (uint8_t)(n >> 5), 0, 0};
		struct init_text why = {.len = 0};
		struct writer w = {.len = 0};

		app(&w, "a");
		assert_true(w.len + sizeof(header) <= 128);
		memcpy(bytes, w.bytes, w.len);
		memcpy(bytes + w.len, header, sizeof(header));
		assert_int_equal(
			init_plan_decode(bytes, w.len + sizeof(header) + n * 8, pool, &plan, &why),
			n > PLAN_SECCOMP_MAX ? -EINVAL : 0);
	}
}

static void every_truncation_is_refused(void **state)
{
	struct writer w = {.len = 0};
	struct init_plan plan;
	struct init_text why;
	size_t whole;
	(void)state;

	app(&w, "a");
	whole = w.len;
	for (w.len = 0; w.len < whole; w.len++)
		assert_int_equal(decode(&w, &plan, &why), -EINVAL);
	assert_int_equal(decode(&w, &plan, &why), 0);
}

static void lengths_past_the_end_are_refused(void **state)
{
	static const uint32_t lengths[] = {10, 0x7fffffff, 0xfffffff8, 0xffffffff};
	(void)state;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct writer w = {.len = 0};

		app(&w, "a");
		memcpy(w.bytes + 4, &lengths[i], 4);
		if (lengths[i] > w.len)
			assert_refused(&w, "truncated");
	}
}

static void what_is_missing_doubled_or_misplaced_is_refused(void **state)
{
	struct writer w = {.len = 0};
	(void)state;

	assert_refused(&w, "without what it needs");
	string(&w, PLAN_ROOT, "/dev/vda");
	assert_refused(&w, "out of place");

	w.len = 0;
	app(&w, "a");
	string(&w, PLAN_HOSTNAME, "late");
	assert_refused(&w, "out of place");

	w.len = 0;
	app(&w, "a");
	string(&w, PLAN_ROOT, "/dev/vdb");
	assert_refused(&w, "repeated");

	w.len = 0;
	string(&w, PLAN_APP, "a");
	string(&w, PLAN_ROOT, "/dev/vda");
	u64(&w, PLAN_CAPS, 0);
	assert_refused(&w, "without what it needs before the end");
	app(&w, "b");
	assert_refused(&w, "without what it needs before");
}

static void bad_values_are_refused(void **state)
{
	static const struct {
		unsigned tag;
		const char *data;
		uint32_t len;
		const char *what;
	} bad[] = {
		{PLAN_ENV, "A=\0b", 4, "NUL"},
		{PLAN_ARG, "a\0", 2, "NUL"},
		{PLAN_WORKDIR, "srv", 3, "absolute"},
		{PLAN_WORKDIR, "", 0, "absolute"},
		{PLAN_USER, "", 0, "empty"},
		{PLAN_GROUPS, "abcde", 5, "length"},
		{PLAN_FLAGS, "abc", 3, "length"},
		{PLAN_FLAGS, "\0\0\0\x80", 4, "flag"},
		{PLAN_WINSIZE, "ab", 2, "length"},
		{PLAN_CAPS, "abcdefghi", 9, "length"},
		{PLAN_OOM, "abcde", 5, "length"},
		{PLAN_OOM, "\xe9\3\0\0", 4, "range"},
		{PLAN_OOM, "\x17\xfc\xff\xff", 4, "range"},
		{PLAN_LIMITS, "abcdefgh", 8, "length"},
		{PLAN_LIMITS, "\0\0\0\0\0\0\0\0\0\0\0\0\x11\x27\0\0", 16, "range"},
		{PLAN_SECCOMP, "", 0, "length"},
		{PLAN_SECCOMP, "abcdefghi", 9, "length"},
		{99, "", 0, "unknown"},
		{0xffff, "", 0, "unknown"},
		{63, "", 0, "unknown"},
		{PLAN_ULIMIT, "abcdefgh", 8, "length"},
		{PLAN_ULIMIT, "\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0", 24, "range"},
		{PLAN_ULIMIT, "\7\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0", 24, "range"},
		{PLAN_SYSCTL, "net", 3, "setting"},
		{PLAN_SYSCTL, "=1", 2, "setting"},
		{PLAN_SYSCTL, "/net/a=1", 8, "setting"},
		{PLAN_SYSCTL, "net/../../kmsg=1", 16, "setting"},
		{PLAN_SYSCTL, "net/a=1\0", 8, "NUL"},
		{PLAN_MACHINE_ID, "", 0, "empty"},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct writer w = {.len = 0};

		app(&w, "a");
		record(&w, bad[i].tag, bad[i].data, bad[i].len);
		assert_refused(&w, bad[i].what);
	}
}

static void a_pod_has_as_many_apps_as_the_protocol_allows(void **state)
{
	struct writer w = {.len = 0};
	struct init_plan plan;
	struct init_text why;
	(void)state;

	for (unsigned i = 0; i < PLAN_APPS_MAX; i++)
		app(&w, "a");
	assert_int_equal(decode(&w, &plan, &why), 0);
	assert_int_equal(plan.napps, PLAN_APPS_MAX);
	app(&w, "one more");
	assert_refused(&w, "too many apps");
}

static void as_many_groups_as_allowed_are_taken(void **state)
{
	static uint8_t ids[(INIT_GROUPS_MAX + 1) * 4];
	struct writer w = {.len = 0};
	struct init_plan plan;
	struct init_text why;
	size_t before;
	(void)state;

	app(&w, "a");
	before = w.len;
	record(&w, PLAN_GROUPS, ids, INIT_GROUPS_MAX * 4);
	assert_int_equal(decode(&w, &plan, &why), 0);
	assert_int_equal(plan.app[0].ngroups, INIT_GROUPS_MAX);
	w.len = before;
	record(&w, PLAN_GROUPS, ids, sizeof(ids));
	assert_refused(&w, "length");
}

static void as_many_settings_as_allowed_are_taken(void **state)
{
	struct writer w = {.len = 0};
	struct init_plan plan;
	struct init_text why;
	(void)state;

	for (unsigned i = 0; i < PLAN_SYSCTLS_MAX; i++)
		string(&w, PLAN_SYSCTL, "a=");
	app(&w, "a");
	assert_int_equal(decode(&w, &plan, &why), 0);
	assert_int_equal(plan.nsysctls, PLAN_SYSCTLS_MAX);
	w.len = 0;
	for (unsigned i = 0; i <= PLAN_SYSCTLS_MAX; i++)
		string(&w, PLAN_SYSCTL, "a=");
	app(&w, "a");
	assert_refused(&w, "too many");
}

static void add_address(struct writer *w, uint8_t family, uint8_t prefix)
{
	const struct plan_address address = {
		.family = family, .prefix = prefix, .ip = {10, 0, 2, 15}};

	record(w, PLAN_ADDRESS, &address, sizeof(address));
}

static void add_nic(struct writer *w, uint16_t mtu)
{
	const struct plan_nic nic = {.mtu = mtu};

	record(w, PLAN_NIC, &nic, sizeof(nic));
}

static void add_route(struct writer *w, uint8_t family, uint8_t prefix)
{
	const struct plan_route route = {.family = family, .prefix = prefix, .via = {10, 0, 2, 2}};

	record(w, PLAN_ROUTE, &route, sizeof(route));
}

static void networks_are_decoded(void **state)
{
	struct writer w = {.len = 0};
	struct init_plan plan;
	struct init_text why;

	(void)state;
	string(&w, PLAN_RESOLV, "nameserver 10.0.2.3\n");
	string(&w, PLAN_HOSTS, "127.0.0.1 localhost\n");
	add_nic(&w, 1500);
	add_address(&w, 4, 24);
	add_address(&w, 6, 128);
	add_route(&w, 4, 0);
	add_nic(&w, 9000);
	app(&w, "web");
	assert_int_equal(decode(&w, &plan, &why), 0);
	assert_int_equal(plan.nnics, 2);
	assert_int_equal(plan.nic[0].mtu, 1500);
	assert_int_equal(plan.nic[0].naddresses, 2);
	assert_int_equal(plan.nic[0].address[1].family, 6);
	assert_int_equal(plan.nic[0].nroutes, 1);
	assert_int_equal(plan.nic[0].route[0].via[3], 2);
	assert_int_equal(plan.nic[1].mtu, 9000);
	assert_int_equal(plan.nic[1].naddresses, 0);
	assert_string_equal(plan.resolv, "nameserver 10.0.2.3\n");
	assert_string_equal(plan.hosts, "127.0.0.1 localhost\n");
	assert_null(plan.hosts_set);
}

static void networks_that_make_no_sense_are_refused(void **state)
{
	static const struct {
		uint8_t family, prefix;
	} wrong[] = {{4, 33}, {6, 129}, {0, 0}, {5, 8}, {255, 255}};
	struct writer w = {.len = 0};

	(void)state;
	add_address(&w, 4, 24);
	assert_refused(&w, "without a NIC");
	w.len = 0;
	add_route(&w, 4, 24);
	assert_refused(&w, "without a NIC");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		w.len = 0;
		add_nic(&w, 1500);
		add_address(&w, wrong[i].family, wrong[i].prefix);
		assert_refused(&w, "no address");
		w.len = 0;
		add_nic(&w, 1500);
		add_route(&w, wrong[i].family, wrong[i].prefix);
		assert_refused(&w, "no network");
	}
	w.len = 0;
	record(&w, PLAN_NIC, "abc", 3);
	assert_refused(&w, "bad length");
	w.len = 0;
	for (int i = 0; i <= PLAN_NICS_MAX; i++)
		add_nic(&w, 1500);
	assert_refused(&w, "too many NICs");
	w.len = 0;
	add_nic(&w, 1500);
	for (int i = 0; i <= PLAN_ADDRESSES_MAX; i++)
		add_address(&w, 4, 24);
	assert_refused(&w, "too many addresses");
	w.len = 0;
	add_nic(&w, 1500);
	for (int i = 0; i <= PLAN_ROUTES_MAX; i++)
		add_route(&w, 4, 0);
	assert_refused(&w, "too many routes");
	w.len = 0;
	app(&w, "web");
	add_nic(&w, 1500);
	assert_refused(&w, "out of place");
}

static void a_disk_is_a_device(void **state)
{
	struct plan_disk disk = {.size = 1 << 30, .device = "/dev/vdb"};
	struct init_text why = {.len = 0};
	struct writer w = {.len = 0};
	struct init_plan plan;

	(void)state;
	app(&w, "web");
	assert_int_equal(decode(&w, &plan, &why), 0);
	assert_null(plan.disk);
	assert_string_equal(init_disk_dir(&plan), "");
	w.len = 0;
	record(&w, PLAN_DISK, &disk, sizeof(disk));
	app(&w, "web");
	assert_int_equal(decode(&w, &plan, &why), 0);
	assert_string_equal(plan.disk, "/dev/vdb");
	assert_string_equal(init_disk_dir(&plan), INIT_DISK);
	w.len = 0;
	record(&w, PLAN_DISK, &disk, sizeof(disk) - 1);
	assert_refused(&w, "bad length");
	w.len = 0;
	memset(disk.device, '/', sizeof(disk.device));
	record(&w, PLAN_DISK, &disk, sizeof(disk));
	assert_refused(&w, "no device");
	w.len = 0;
	memset(disk.device, 0, sizeof(disk.device));
	record(&w, PLAN_DISK, &disk, sizeof(disk));
	assert_refused(&w, "no device");
}

static void a_request_is_one_app_with_a_command(void **state)
{
	static char *pool[INIT_REQUEST_POOL_MAX];
	struct init_plan_app request;
	struct init_text why = {.len = 0};
	struct writer w = {.len = 0};
	uint8_t bytes[sizeof(w.bytes)];
	size_t one;

	(void)state;
	string(&w, PLAN_APP, "web");
	memcpy(bytes, w.bytes, w.len);
	assert_int_equal(init_request_decode(bytes, w.len, pool, &request, &why), -EINVAL);
	string(&w, PLAN_ARG, "ls");
	string(&w, PLAN_ARG, "");
	string(&w, PLAN_ENV, "TERM=x");
	one = w.len;
	memcpy(bytes, w.bytes, w.len);
	assert_int_equal(init_request_decode(bytes, w.len, pool, &request, &why), 0);
	assert_string_equal(request.name, "web");
	assert_string_equal(request.argv[0], "ls");
	assert_string_equal(request.argv[1], "");
	assert_null(request.argv[2]);
	assert_string_equal(request.envp[0], "TERM=x");
	assert_null(request.envp[1]);
	assert_int_equal(request.flags, 0);
	string(&w, PLAN_APP, "db");
	string(&w, PLAN_ARG, "ls");
	memcpy(bytes, w.bytes, w.len);
	assert_int_equal(init_request_decode(bytes, w.len, pool, &request, &why), -EINVAL);
	memcpy(bytes, w.bytes, one);
	assert_int_equal(init_request_decode(bytes, one - 1, pool, &request, &why), -EINVAL);
	assert_int_equal(init_request_decode(bytes, 0, pool, &request, &why), -EINVAL);
	w.len = 0;
	string(&w, PLAN_HOSTNAME, "h");
	string(&w, PLAN_APP, "web");
	string(&w, PLAN_ARG, "ls");
	memcpy(bytes, w.bytes, w.len);
	assert_int_equal(init_request_decode(bytes, w.len, pool, &request, &why), -EINVAL);
}

/* A pod with one volume, and one app with one mount of n bytes. */
static struct writer mount_plan(const void *mount, uint32_t n, const void *volume, uint32_t size)
{
	struct writer w = {.len = 0};

	record(&w, PLAN_VOLUME, volume, size);
	app(&w, "a");
	record(&w, PLAN_MOUNT, mount, n);
	return w;
}

static void volumes_and_mounts_that_are_none_are_refused(void **state)
{
	static const struct plan_volume good[2] = {{.mode = 0755}, {.flags = PLAN_VOLUME_HOST}};
	static const struct plan_volume mode = {.mode = 010000}, flag = {.flags = 0x80};
	static const struct {
		const char *mount;
		uint32_t len;
		const void *volumes;
		uint32_t size;
		const char *why; /* NULL: it is right */
	} rows[] = {
		{"\0\0\0\0/p", 6, good, sizeof(good[0]), NULL},
		{"\1\0\1\0/p", 6, good, sizeof(good), NULL},
		{"\1\0\0\0/p", 6, good, sizeof(good[0]), "no such volume"},
		{"\0\1\0\0/p", 6, good, sizeof(good), "no such volume"},
		{"\0\0\2\0/p", 6, good, sizeof(good), "unknown flag"},
		{"\0\0\0\0p", 5, good, sizeof(good), "bad length"},
		{"\0\0\0\0pp", 6, good, sizeof(good), "not absolute"},
		{"\0\0\0\0/\0", 6, good, sizeof(good), "NUL in a string"},
		{"\0\0\0", 3, good, sizeof(good), "bad length"},
		{"\0\0\0\0/p", 6, good, sizeof(good[0]) - 1, "bad length"},
		{"\0\0\0\0/p", 6, good, 0, "bad length"},
		{"\0\0\0\0/p", 6, &mode, sizeof(mode), "out of range"},
		{"\0\0\0\0/p", 6, &flag, sizeof(flag), "out of range"},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct writer w =
			mount_plan(rows[i].mount, rows[i].len, rows[i].volumes, rows[i].size);
		struct init_plan plan;
		struct init_text why;

		if (rows[i].why) {
			assert_refused(&w, rows[i].why);
			continue;
		}
		assert_int_equal(decode(&w, &plan, &why), 0);
		assert_int_equal(plan.app[0].nmounts, 1);
		assert_string_equal(plan.app[0].mounts[0], "/p");
		assert_int_equal(init_plan_mount(&plan.app[0], 0).volume, rows[i].mount[0]);
		assert_int_equal(init_plan_mount(&plan.app[0], 0).flags, rows[i].mount[2]);
	}
}

static void a_session_mounts_nothing(void **state)
{
	static char *pool[INIT_REQUEST_POOL_MAX];
	struct init_plan_app request;
	struct writer w = {.len = 0};
	struct init_text why;
	(void)state;

	string(&w, PLAN_APP, "a");
	string(&w, PLAN_ARG, "x");
	record(&w, PLAN_MOUNT, "\0\0\0\0/p", 6);
	assert_int_equal(init_request_decode(w.bytes, w.len, pool, &request, &why), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plan_is_decoded_whole),
		cmocka_unit_test(a_filter_is_as_long_as_the_kernel_takes),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(lengths_past_the_end_are_refused),
		cmocka_unit_test(what_is_missing_doubled_or_misplaced_is_refused),
		cmocka_unit_test(bad_values_are_refused),
		cmocka_unit_test(a_pod_has_as_many_apps_as_the_protocol_allows),
		cmocka_unit_test(as_many_groups_as_allowed_are_taken),
		cmocka_unit_test(as_many_settings_as_allowed_are_taken),
		cmocka_unit_test(a_request_is_one_app_with_a_command),
		cmocka_unit_test(a_disk_is_a_device),
		cmocka_unit_test(networks_are_decoded),
		cmocka_unit_test(networks_that_make_no_sense_are_refused),
		cmocka_unit_test(volumes_and_mounts_that_are_none_are_refused),
		cmocka_unit_test(a_session_mounts_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
