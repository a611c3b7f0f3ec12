/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "tests/unit/podread.h"
#include "tests/unit/scratch.h"
#include "vmm/agent_proto.h"
#include "vmm/isolator.h"
#include "vmm/plan.h"
#include "vmm/pod.h"

#define POD(apps) "{\"acKind\":\"PodManifest\",\"acVersion\":\"0.8.11\",\"apps\":[" apps "]}"
#define APP(more)                                                                                  \
	"{\"name\":\"a\",\"image\":{\"id\":\"sha512-ab\"},\"app\":{\"exec\":[\"/bin/"              \
	"x\",\"y\"],\"user\":\"0\","                                                               \
	"\"group\":\"0\"" more "}}"

static const struct podnet no_net = PODNET_INIT;

static void a_plain_app_gets_the_defaults(void **state)
{
	struct pod_spec pod;

	(void)state;
	podread_accept(POD(APP("")), &pod);
	assert_int_equal(pod.napps, 1);
	assert_string_equal(pod.apps[0].name, "a");
	assert_string_equal(pod.apps[0].exec.v[1], "y");
	assert_string_equal(pod.apps[0].workdir, "/");
	assert_true(strv_contains(&pod.apps[0].env, "AC_APP_NAME=a"));
	assert_true(strv_contains(&pod.apps[0].env, "HOME=/root"));
	assert_true(strv_contains(&pod.apps[0].env, "container=tripod"));
	assert_int_equal(pod.apps[0].iso.caps, 0xa80425fb); /* the well-known default set */
	assert_false(pod.apps[0].readonly_root);
	assert_int_equal(pod.notes.n, 0);
	assert_int_equal(pod_cpus(&pod, 8), 1);
	assert_int_equal(pod_memory(&pod, 256 * MIB), 256 * MIB);
	pod_free(&pod);
}

static void the_apps_own_environment_wins_over_defaults_but_not_its_name(void **state)
{
	struct pod_spec pod;

	(void)state;
	podread_accept(
		POD(APP(",\"environment\":[{\"name\":\"HOME\",\"value\":\"/h\"},"
			"{\"name\":\"AC_APP_NAME\",\"value\":\"z\"},{\"name\":\"E\",\"value\":\"\"}"
			"]")),
		&pod);
	assert_true(strv_contains(&pod.apps[0].env, "HOME=/h"));
	assert_false(strv_contains(&pod.apps[0].env, "HOME=/root"));
	assert_true(strv_contains(&pod.apps[0].env, "AC_APP_NAME=a"));
	assert_true(strv_contains(&pod.apps[0].env, "E="));
	pod_free(&pod);
}

static void isolators_size_the_machine_and_bound_capabilities(void **state)
{
	struct pod_spec pod;

	(void)state;
	podread_accept(POD(APP(",\"isolators\":["
			       "{\"name\":\"resource/memory\",\"value\":{\"limit\":\"1Mi\"}},"
			       "{\"name\":\"resource/"
			       "memory\",\"value\":{\"request\":\"1\",\"limit\":\"1Gi\"}},"
			       "{\"name\":\"resource/cpu\",\"value\":{\"limit\":\"1200m\"}},"
			       "{\"name\":\"os/linux/capabilities-retain-set\",\"value\":"
			       "{\"set\":[\"CAP_KILL\",\"CAP_CHOWN\"]}},"
			       "{\"name\":\"os/linux/cpu-shares\",\"value\":100}]")),
		       &pod);
	/* what they may use, and what the kernel needs besides */
	assert_int_equal(pod_memory(&pod, 1), GIB + POD_MEMORY_RESERVE(GIB));
	assert_int_equal(pod_cpus(&pod, 8), 2);
	assert_int_equal(pod_cpus(&pod, 1), 1);
	assert_int_equal(pod.apps[0].iso.caps, 1 << 5 | 1);
	assert_int_equal(pod.notes.n, 0);
	assert_int_equal(pod.apps[0].iso.shares, 100);
	pod_free(&pod);
	podread_accept(
		POD(APP(",\"isolators\":[{\"name\":\"os/linux/capabilities-remove-set\",\"value\":"
			"{\"set\":[\"CAP_MKNOD\",\"CAP_SYS_ADMIN\"]}}]")),
		&pod);
	assert_int_equal(pod.apps[0].iso.caps, 0xa80425fb & ~(1u << 27));
	pod_free(&pod);
}

static void handlers_and_readiness_are_the_apps(void **state)
{
	struct pod_spec pod;

	(void)state;
	podread_accept(
		POD("{\"name\":\"a\",\"image\":{\"id\":\"sha512-ab\"},\"annotations\":["
		    "{\"name\":\"appc.io/executor/supports-systemd-notify\",\"value\":\"true\"}],"
		    "\"app\":{\"exec\":[\"/x\"],\"user\":\"0\",\"group\":\"0\",\"eventHandlers\":["
		    "{\"name\":\"post-stop\",\"exec\":[\"/post\"]},"
		    "{\"name\":\"pre-start\",\"exec\":[\"/pre\",\"-v\"]}]}}"),
		&pod);
	assert_int_equal(pod.apps[0].pre_start.n, 2);
	assert_string_equal(pod.apps[0].pre_start.v[1], "-v");
	assert_int_equal(pod.apps[0].post_stop.n, 1);
	assert_true(pod.apps[0].notify);
	assert_int_equal(pod.notes.n, 0);
	pod_free(&pod);
}

/* Walk the records of a plan, looking for the nth of a tag. */
static const uint8_t *record(const uint8_t *plan, size_t len, uint16_t tag, unsigned nth,
			     uint32_t *ret_len)
{
	while (len >= 8) {
		uint16_t t;
		uint32_t n;

		memcpy(&t, plan, 2);
		memcpy(&n, plan + 4, 4);
		assert_true(n <= len - 8);
		if (t == tag && !nth--) {
			*ret_len = n;
			return plan + 8;
		}
		plan += 8 + n;
		len -= 8 + n;
	}
	assert_int_equal(len, 0);
	return NULL;
}

static void limits_are_what_control_groups_take(void **state)
{
	static const struct {
		const char *isolators;
		struct plan_limits limits;
	} rows[] = {
		{"{\"name\":\"resource/memory\",\"value\":{\"limit\":\"25Mi\"}}",
		 {.memory = 25 << 20}},
		{"{\"name\":\"resource/cpu\",\"value\":{\"limit\":\"800m\"}}", {.cpu = 80000}},
		{"{\"name\":\"resource/cpu\",\"value\":{\"limit\":\"1m\"}}", {.cpu = 1000}},
		{"{\"name\":\"resource/cpu\",\"value\":{\"limit\":\"1T\"}}", {.cpu = 1000000000}},
		{"{\"name\":\"os/linux/cpu-shares\",\"value\":1024}", {.weight = 100}},
		{"{\"name\":\"os/linux/cpu-shares\",\"value\":2}", {.weight = 1}},
		{"{\"name\":\"os/linux/cpu-shares\",\"value\":262144}", {.weight = 10000}},
		{"{\"name\":\"os/linux/oom-score-adj\",\"value\":-7},"
		 "{\"name\":\"os/linux/no-new-privileges\",\"value\":true}",
		 {.memory = 0}},
	};
	struct podnet net = PODNET_INIT;
	struct plan_args args = {.hostname = "h", .net = &net, .open_paths = true};
	struct error err = ERROR_INIT;
	const uint8_t *p;
	uint32_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *text = xasprintf(
			POD("{\"name\":\"a\",\"app\":{\"exec\":[\"x\"],\"user\":\"0\",\"group\":"
			    "\"0\",\"isolators\":[%s]}}"),
			rows[i].isolators);
		bool last = i == ARRAY_SIZE(rows) - 1;
		struct pod_spec pod;
		uint8_t *plan;
		size_t len;
		uint32_t flags;

		podread_accept(text, &pod);
		assert_int_equal(pod.notes.n, 0);
		assert_int_equal(plan_build(&pod, &args, &plan, &len, &err), 0);
		p = record(plan, len, PLAN_LIMITS, 0, &n);
		assert_true(last ? !p : !memcmp(p, &rows[i].limits, sizeof(rows[i].limits)));
		p = record(plan, len, PLAN_OOM, 0, &n);
		assert_true(last ? p && !memcmp(p, "\xf9\xff\xff\xff", 4) : !p);
		flags = plan_flags(&pod.apps[0], &args);
		assert_int_equal(flags, last ? PLAN_NO_NEW_PRIVS : 0);
		free(plan);
		pod_free(&pod);
	}
}

static void every_app_has_a_filter_of_its_own_in_the_plan(void **state)
{
	struct podnet net = PODNET_INIT;
	struct plan_args args = {.hostname = "h", .net = &net};
	struct error err = ERROR_INIT;
	const uint8_t *p[3];
	struct pod_spec pod;
	uint32_t n[3];
	uint8_t *plan;
	size_t len;

	(void)state;
	podread_accept(
		POD(APP("") ",{\"name\":\"b\",\"app\":{\"exec\":[\"/x\"],\"user\":\"0\","
			    "\"group\":\"0\",\"isolators\":[{\"name\":"
			    "\"os/linux/"
			    "seccomp-remove-set\",\"value\":{\"set\":[\"mount\",\"fly\"]}}"
			    "]}},{\"name\":\"c\",\"app\":{\"exec\":[\"/x\"],\"user\":\"0\","
			    "\"group\":\"0\"}},{\"name\":\"d\",\"app\":{\"exec\":[\"/x\"],\"user\":"
			    "\"0\",\"group\":\"0\",\"isolators\":[{\"name\":"
			    "\"os/linux/seccomp-retain-set\",\"value\":{\"set\":[\"@appc.io/"
			    "all\"]}}"
			    "]}}"),
		&pod);
	assert_int_equal(pod.notes.n, 1);
	assert_string_equal(pod.notes.v[0], "app b: unknown system call fly is left out");
	pod_filters(&pod);
	assert_int_equal(plan_build(&pod, &args, &plan, &len, &err), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_non_null(p[i] = record(plan, len, PLAN_SECCOMP, i, &n[i]));
	assert_null(record(plan, len, PLAN_SECCOMP, 3, &n[0]));
	assert_int_equal(n[0], n[2]);
	assert_memory_equal(p[0], p[2], n[0]);
	assert_true(n[1] < n[0]);
	free(plan);
	pod_free(&pod);
}

static void hostile_manifests_are_refused_with_a_reason(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"", "malformed JSON"},
		{"[]", "not an object"},
		{"{\"acKind\":\"PodManifest\"}", "no apps"},
		{"{\"acKind\":\"ImageManifest\",\"apps\":[]}", "acKind"},
		{POD("1"), "not an object"},
		{POD("{}"), "bad app name"},
		{POD("{\"name\":\"../x\"}"), "bad app name"},
		{POD("{\"name\":\"-a\"}"), "bad app name"},
		{POD("{\"name\":\"A\"}"), "bad app name"},
		{POD("{\"name\":\"a\"}"), "no app section"},
		{POD("{\"name\":\"a\",\"app\":7}"), "expected object"},
		{POD(APP("") "," APP("")), "two apps are called a"},
		{POD("{\"name\":\"a\",\"app\":{\"user\":\"0\",\"group\":\"0\"}}"), "--exec"},
		{POD("{\"name\":\"a\",\"app\":{\"exec\":[\"\"],\"user\":\"0\",\"group\":\"0\"}}"),
		 "--exec"},
		{POD("{\"name\":\"a\",\"app\":{\"exec\":[\"x\"],\"group\":\"0\"}}"), "user"},
		{POD("{\"name\":\"a\",\"app\":{\"exec\":[7],\"user\":\"0\",\"group\":\"0\"}}"),
		 "exec[0]"},
		{POD("{\"name\":\"a\",\"app\":{\"exec\":[\"a\\u0000b\"],\"user\":\"0\","
		     "\"group\":\"0\"}}"),
		 "NUL"},
		{POD(APP(",\"workingDirectory\":\"rel\"")), "not absolute"},
		{POD(APP(",\"supplementaryGIDs\":[-1]")), "group id"},
		{POD(APP(",\"eventHandlers\":[7]")), "not an object"},
		{POD(APP(",\"eventHandlers\":[{\"exec\":[\"/x\"]}]")), "neither pre-start nor"},
		{POD(APP(",\"eventHandlers\":[{\"name\":\"pre-start\"}]")), "nothing to execute"},
		{POD(APP(",\"eventHandlers\":[{\"name\":\"post-stop\",\"exec\":[\"\"]}]")),
		 "nothing to execute"},
		{POD(APP(",\"eventHandlers\":[{\"name\":\"pre-start\",\"exec\":[\"/x\"]},"
			 "{\"name\":\"pre-start\",\"exec\":[\"/y\"]}]")),
		 "there is another"},
		{POD("{\"name\":\"a\",\"annotations\":[{\"name\":"
		     "\"appc.io/executor/supports-systemd-notify\",\"value\":\"on\"}],\"app\":{"
		     "\"exec\":[\"/x\"],\"user\":\"0\",\"group\":\"0\"}}"),
		 "neither true nor false"},
		{POD(APP(",\"supplementaryGIDs\":[4294967296]")), "group id"},
		{POD(APP(",\"environment\":[{\"name\":\"A=B\"}]")), "bad environment variable"},
		{POD(APP(",\"environment\":[{\"name\":\"A\"},{\"name\":\"A\"}]")), "twice"},
		{POD(APP(",\"environment\":[7]")), "not an object"},
		{POD(APP(",\"isolators\":[{\"name\":\"resource/memory\",\"value\":"
			 "{\"limit\":\"-1\"}}]")),
		 "isolator resource/memory: \""},
		{POD(APP(",\"isolators\":[{\"name\":\"resource/memory\",\"value\":"
			 "{\"limit\":\"99999E\"}}]")),
		 "isolator resource/memory: \""},
		{POD(APP(",\"isolators\":[{\"name\":\"resource/memory\",\"value\":"
			 "{\"limit\":\"5Ti\"}}]")),
		 "memory limit"},
		{POD(APP(",\"isolators\":[{\"name\":\"resource/cpu\",\"value\":[]}]")),
		 "not an object"},
		{POD(APP(",\"isolators\":[{\"value\":1}]")), "no name"},
		{POD(APP(",\"isolators\":[{\"name\":\"os/linux/capabilities-retain-set\","
			 "\"value\":{\"set\":[\"CAP_NONSENSE\"]}}]")),
		 "unknown capability"},
		{POD(APP(",\"isolators\":[{\"name\":\"os/linux/capabilities-retain-set\","
			 "\"value\":{\"set\":[\"CAP_KILL\"]}},{\"name\":"
			 "\"os/linux/"
			 "capabilities-remove-set\",\"value\":{\"set\":[\"CAP_KILL\"]}}]")),
		 "both"},
		{POD(APP(",\"isolators\":[{\"name\":\"os/linux/oom-score-adj\",\"value\":1001}]")),
		 "-1000 to 1000"},
		{POD(APP(",\"isolators\":[{\"name\":\"os/linux/cpu-shares\",\"value\":1}]")),
		 "2 to 262144"},
		{POD(APP(",\"isolators\":[{\"name\":\"os/linux/no-new-privileges\",\"value\":1}]")),
		 "neither true nor false"},
		{POD(APP(",\"isolators\":[{\"name\":\"os/linux/seccomp-retain-set\",\"value\":"
			 "{\"set\":[\"read\"]}},{\"name\":\"os/linux/seccomp-remove-set\","
			 "\"value\":{\"set\":[\"mount\"]}}]")),
		 "isolator os/linux/seccomp-remove-set: there may be one"},
		{POD(APP(",\"isolators\":[{\"name\":\"os/linux/seccomp-retain-set\",\"value\":"
			 "{\"set\":[\"read\"],\"errno\":\"ENONSENSE\"}}]")),
		 "isolator os/linux/seccomp-retain-set: \"ENONSENSE\""},
		{POD("{\"name\":\"a\",\"annotations\":[{\"name\":\"coreos.com/rkt/stage2/stdin\","
		     "\"value\":\"what\"}],\"app\":{\"exec\":[\"x\"],\"user\":\"0\","
		     "\"group\":\"0\"}}"),
		 "unknown mode"},
		{POD("{\"name\":\"a\",\"annotations\":[{\"name\":\"tripod/tpm\",\"value\":"
		     "\"maybe\"}],\"app\":{\"exec\":[\"x\"],\"user\":\"0\",\"group\":\"0\"}}"),
		 "is not \"on\""},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		podread_refuse(bad[i].text, bad[i].why);
}

static void more_apps_than_a_machine_has_disks_for_are_refused(void **state)
{
	cleanup_str struct str text = STR_INIT;

	(void)state;
	str_add(&text, "{\"acKind\":\"PodManifest\",\"apps\":[");
	for (unsigned i = 0; i <= PLAN_APPS_MAX; i++)
		str_addf(&text, "%s{\"name\":\"a%u\"}", i ? "," : "", i);
	str_add(&text, "]}");
	podread_refuse(str_get(&text), "at most 64");
}

static void the_plan_tells_of_networks(void **state)
{
	struct podnet net = PODNET_INIT;
	struct plan_args args = {.hostname = "h", .net = &net};
	struct error err = ERROR_INIT;
	struct plan_address address;
	struct plan_route route;
	cleanup_free char *info = NULL;
	struct pod_spec pod;
	const uint8_t *p;
	uint8_t *plan;
	uint32_t n;
	size_t len;

	(void)state;
	podread_accept(POD(APP("")), &pod);
	net.nnics = 1;
	net.nic[0] =
		(struct podnet_nic){.name = "user",
				    .fd = -1,
				    .mtu = 1500,
				    .naddresses = 1,
				    .nroutes = 1,
				    .address[0] = {.family = 4, .prefix = 24, .ip = {10, 0, 2, 15}},
				    .route[0] = {.family = 4, .via = {10, 0, 2, 2}}};
	net.resolv = xstrdup("nameserver 10.0.2.3\n");
	assert_int_equal(plan_build(&pod, &args, &plan, &len, &err), 0);
	p = record(plan, len, PLAN_NIC, 0, &n);
	assert_memory_equal(p, "\xdc\5\0\0", 4);
	p = record(plan, len, PLAN_ADDRESS, 0, &n);
	assert_int_equal(n, sizeof(address));
	memcpy(&address, p, n);
	assert_int_equal(address.ip[3], 15);
	p = record(plan, len, PLAN_ROUTE, 0, &n);
	assert_int_equal(n, sizeof(route));
	memcpy(&route, p, n);
	assert_int_equal(route.via[3], 2);
	p = record(plan, len, PLAN_RESOLV, 0, &n);
	assert_memory_equal(p, "nameserver 10.0.2.3\n", n);
	p = record(plan, len, PLAN_HOSTS, 0, &n);
	assert_non_null(memmem(p, n, "localhost4.localdomain4 h\n", 26));
	assert_null(record(plan, len, PLAN_HOSTS_SET, 0, &n));
	free(plan);

	net.hosts = xstrdup("mine");
	assert_int_equal(plan_build(&pod, &args, &plan, &len, &err), 0);
	assert_null(record(plan, len, PLAN_HOSTS, 0, &n));
	p = record(plan, len, PLAN_HOSTS_SET, 0, &n);
	assert_memory_equal(p, "mine", n);
	free(plan);

	info = podnet_info(&net);
	assert_string_equal(info, "[{\"netName\":\"user\",\"netConf\":\"\",\"pluginPath\":\"\","
				  "\"ifName\":\"eth0\",\"ip\":\"10.0.2.15\",\"args\":\"\","
				  "\"mask\":\"255.255.255.0\"}]");
	podnet_free(&net);
	pod_free(&pod);
}

static void the_plan_says_what_the_manifest_says(void **state)
{
	struct plan_args args = {.hostname = "h", .net = &no_net, .memory = GIB};
	struct error err = ERROR_INIT;
	struct pod_spec pod;
	uint32_t n, flags;
	const uint8_t *p;
	uint8_t *plan;
	size_t len;

	(void)state;
	podread_accept(
		"{\"acKind\":\"PodManifest\",\"apps\":[" APP(
			"") ","
			    "{\"name\":\"b\",\"readOnlyRootFS\":true,\"app\":{\"exec\":[\"q\"],"
			    "\"user\":\"u\","
			    "\"group\":\"/g\",\"supplementaryGIDs\":[5,6],\"workingDirectory\":\"/"
			    "w\"}}]}",
		&pod);
	assert_int_equal(plan_build(&pod, &args, &plan, &len, &err), 0);
	p = record(plan, len, PLAN_HOSTNAME, 0, &n);
	assert_memory_equal(p, "h", n);
	p = record(plan, len, PLAN_MEMORY, 0, &n);
	assert_memory_equal(p, &args.memory, 8);
	p = record(plan, len, PLAN_ROOT, 1, &n);
	assert_int_equal(n, 8);
	assert_memory_equal(p, "/dev/vdb", 8);
	p = record(plan, len, PLAN_ARG, 1, &n);
	assert_memory_equal(p, "y", n);
	p = record(plan, len, PLAN_USER, 1, &n);
	assert_memory_equal(p, "u", n);
	p = record(plan, len, PLAN_GROUPS, 0, &n);
	assert_int_equal(n, 8);
	assert_memory_equal(p, "\5\0\0\0\6\0\0\0", 8);
	p = record(plan, len, PLAN_WORKDIR, 1, &n);
	assert_memory_equal(p, "/w", n);
	p = record(plan, len, PLAN_FLAGS, 1, &n);
	memcpy(&flags, p, 4);
	assert_int_equal(flags, PLAN_READONLY_ROOT | PLAN_MASK_PATHS);
	assert_null(record(plan, len, PLAN_APP, 2, &n));
	free(plan);
	pod_free(&pod);
}

static void interactive_means_a_terminal_where_there_is_one(void **state)
{
	struct plan_args args = {.hostname = "h", .net = &no_net, .interactive = true};
	struct pod_spec pod;

	(void)state;
	podread_accept(POD(APP("")), &pod);
	assert_int_equal(plan_flags(&pod.apps[0], &args), PLAN_STDIN | PLAN_MASK_PATHS);
	args.tty = true;
	assert_int_equal(plan_flags(&pod.apps[0], &args), PLAN_TTY | PLAN_MASK_PATHS);
	args.interactive = false;
	assert_int_equal(plan_flags(&pod.apps[0], &args), PLAN_MASK_PATHS);
	pod_free(&pod);
}

static void a_plan_over_its_bound_is_an_error(void **state)
{
	cleanup_free char *value = xcalloc(1, AGENT_PLAN_MAX + 1);
	struct plan_args args = {.hostname = "h", .net = &no_net};
	struct error err = ERROR_INIT;
	struct pod_spec pod;
	uint8_t *plan;
	size_t len;

	(void)state;
	podread_accept(POD(APP("")), &pod);
	memset(value, 'x', AGENT_PLAN_MAX);
	strv_add(&pod.apps[0].env, value);
	assert_int_equal(plan_build(&pod, &args, &plan, &len, &err), -E2BIG);
	pod_free(&pod);
}

static void a_disk_is_its_files_in_order(void **state)
{
	struct scratch *dir = *state;
	struct error err = ERROR_INIT;
	struct pod_spec pod;
	int fds[3];
	unsigned n;

	podread_accept(POD(APP("")), &pod);
	assert_true(pod_open_disk(dir->fd, &pod.apps[0], fds, 3, &n, &err) < 0);
	assert_int_equal(mkdir_path(dir->fd, "stage1/rootfs/opt/stage2/a/disk", 0755, &err), 0);
	assert_true(pod_open_disk(dir->fd, &pod.apps[0], fds, 3, &n, &err) < 0);
	for (unsigned i = 0; i < 3; i++) {
		cleanup_free char *path = xasprintf("stage1/rootfs/opt/stage2/a/disk/%u", i);
		char byte;

		assert_int_equal(file_write(dir->fd, path, path + strlen(path) - 1, 1, 0644, &err),
				 0);
		assert_int_equal(pod_open_disk(dir->fd, &pod.apps[0], fds, 3, &n, &err), 0);
		assert_int_equal(n, i + 1);
		assert_int_equal(pread(fds[i], &byte, 1, 0), 1);
		assert_int_equal(byte, '0' + (int)i);
		assert_int_equal(write(fds[i], "x", 1), -1); /* O_RDONLY */
		while (n)
			close(fds[--n]);
	}
	assert_int_equal(pod_open_disk(dir->fd, &pod.apps[0], fds, 2, &n, &err), -E2BIG);
	pod_free(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_app_gets_the_defaults),
		cmocka_unit_test(the_apps_own_environment_wins_over_defaults_but_not_its_name),
		cmocka_unit_test(handlers_and_readiness_are_the_apps),
		cmocka_unit_test(isolators_size_the_machine_and_bound_capabilities),
		cmocka_unit_test(limits_are_what_control_groups_take),
		cmocka_unit_test(every_app_has_a_filter_of_its_own_in_the_plan),
		cmocka_unit_test(hostile_manifests_are_refused_with_a_reason),
		cmocka_unit_test(more_apps_than_a_machine_has_disks_for_are_refused),
		cmocka_unit_test(the_plan_tells_of_networks),
		cmocka_unit_test(the_plan_says_what_the_manifest_says),
		cmocka_unit_test(interactive_means_a_terminal_where_there_is_one),
		cmocka_unit_test(a_plan_over_its_bound_is_an_error),
		cmocka_unit_test_setup_teardown(a_disk_is_its_files_in_order, scratch_setup,
						scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
