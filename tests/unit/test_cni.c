/* SPDX-License-Identifier: Apache-2.0 */
/* CNI: which networks there are, running plugins (scripts of the test's own), reading results. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/util.h"
#include "tests/unit/scratch.h"
#include "vmm/cni.h"
#include "vmm/cni_result.h"

static int setup(void **state)
{
	struct error err = ERROR_INIT;

	log_init("test", LOG_ERROR);
	scratch_setup(state);
	return mkdir_path(((struct scratch *)*state)->fd, "net.d", 0755, &err);
}

static void put(struct scratch *dir, const char *name, const char *text, mode_t mode)
{
	cleanup_free char *path = xasprintf("net.d/%s", name);
	struct error err = ERROR_INIT;

	assert_int_equal(file_write(dir->fd, path, text, strlen(text), mode, &err), 0);
}

static int find(struct scratch *dir, const char *list, struct cni_networks *ret, struct error *err)
{
	return cni_find(dir->path, list, ret, err);
}

static void the_built_in_networks_are_there_without_files(void **state)
{
	struct error err = ERROR_INIT;
	struct cni_networks nets;

	assert_int_equal(find(*state, "", &nets, &err), 0);
	assert_int_equal(nets.n, 1);
	assert_string_equal(nets.v[0].name, "default");
	assert_string_equal(nets.v[0].file, "built-in");
	assert_non_null(strstr(json_text(nets.v[0].conf), "172.16.28.0/24"));
	cni_networks_free(&nets);
	assert_int_equal(find(*state, "all", &nets, &err), 0);
	assert_int_equal(nets.n, 2);
	cni_networks_free(&nets);
}

static void files_come_in_order_and_override_by_name(void **state)
{
	struct error err = ERROR_INIT;
	struct cni_networks nets;

	put(*state, "20-b.conf", "{\"name\":\"b\",\"type\":\"bridge\"}", 0644);
	put(*state, "10-a.conflist",
	    "{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"plugins\":[{\"type\":\"ptp\"},"
	    "{\"type\":\"tuning\",\"odd\":[1]}]}",
	    0644);
	put(*state, "30-also-b.conf", "{\"name\":\"b\",\"type\":\"macvlan\"}", 0644);
	put(*state, "99-default.conf", "{\"name\":\"default\",\"type\":\"mine\"}", 0644);
	put(*state, "notes.txt", "no network", 0644);
	if (find(*state, "default,b:IP=10.0.0.9;X=1,a", &nets, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(nets.n, 3);
	assert_string_equal(nets.v[0].name, "a");
	assert_non_null(strstr(json_text(nets.v[0].conf), "\"odd\":[1]"));
	assert_string_equal(nets.v[1].name, "b");
	assert_non_null(strstr(json_text(nets.v[1].conf), "bridge"));
	assert_string_equal(nets.v[1].args, "IP=10.0.0.9;X=1");
	assert_string_equal(nets.v[2].name, "default");
	assert_non_null(strstr(json_text(nets.v[2].conf), "mine"));
	cni_networks_free(&nets);
}

static void unknown_names_and_wrong_files_are_errors(void **state)
{
	static const char *const wrong[] = {
		"",
		"[]",
		"{\"type\":\"ptp\"}",
		"{\"name\":\"../x\",\"type\":\"ptp\"}",
		"{\"name\":\"x\"}",
		"{\"name\":\"x\",\"type\":\"../../bin/sh\"}",
		"{\"name\":\"x\",\"type\":1}",
		"{\"name\":\"x\",\"plugins\":[]}",
		"{\"name\":\"x\",\"plugins\":[1]}",
		"{\"name\":\"x\",\"name\":\"y\",\"type\":\"ptp\"}",
	};
	struct error err = ERROR_INIT;
	struct cni_networks nets;

	assert_int_equal(find(*state, "nonesuch", &nets, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "nonesuch"));
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		put(*state, "10-x.conf", wrong[i], 0644);
		if (find(*state, "default", &nets, &err) == 0)
			fail_msg("taken: %s", wrong[i]);
		assert_non_null(strstr(err.msg, "10-x.conf"));
	}
}

/* A plugin that notes how it was called and answers with what the file NAME.answer holds. */
static void put_plugin(struct scratch *dir, const char *name, const char *answer, int status)
{
	cleanup_free char *script = xasprintf(
		"#!/bin/sh\n"
		"{ echo \"$CNI_COMMAND %s $CNI_IFNAME $CNI_CONTAINERID $CNI_NETNS $CNI_ARGS\"\n"
		"cat; echo; } >>'%s/log'\n"
		"cat '%s/net.d/%s.answer'\nexit %d\n",
		name, dir->path, dir->path, name, status);
	cleanup_free char *file = xasprintf("%s.answer", name);

	put(dir, name, script, 0755);
	put(dir, file, answer, 0644);
}

static char *read_log(struct scratch *dir)
{
	struct error err = ERROR_INIT;
	char *text;
	size_t len;

	assert_int_equal(file_read(dir->fd, "log", 1 << 20, &text, &len, &err), 0);
	return text;
}

static struct json_object *parse(const char *text)
{
	struct json_object *doc = NULL;
	struct error err = ERROR_INIT;

	if (json_parse(text, strlen(text), "test", &doc, &err) < 0)
		fail_msg("%s", err.msg);
	return doc;
}

static const char two[] =
	"{\"cniVersion\":\"0.4.0\",\"name\":\"net\",\"plugins\":[{\"type\":\"first\",\"extra\":{"
	"\"a\":1}},{\"type\":\"second\",\"capabilities\":{\"portMappings\":true}}]}";

static void plugins_run_in_order_and_are_undone_in_reverse(void **state)
{
	struct scratch *dir = *state;
	const struct pod_port port = {.udp = true, .host_ip = "127.0.0.1", .host = 53, .pod = 5353};
	const struct cni_pod pod = {.uuid = "some-uuid",
				    .netns = "/run/netns/x",
				    .local_config = dir->path,
				    .ifname = "eth0",
				    .args = "IP=1.2.3.4",
				    .ports = &port,
				    .nports = 1};
	cleanup_json struct json_object *conf = parse(two), *result = NULL;
	struct error err = ERROR_INIT;
	cleanup_free char *added = NULL, *both = NULL;
	char *del;

	put_plugin(dir, "first", "{\"ips\":[{\"address\":\"10.0.0.5/24\"}]}", 0);
	put_plugin(dir, "second", "{\"ips\":[{\"address\":\"10.0.0.6/24\"}]}", 0);
	assert_int_equal(cni_add(conf, &pod, &result, &err), 0);
	assert_non_null(strstr(json_text(result), "10.0.0.6"));
	added = read_log(dir);
	assert_string_equal(added,
			    "ADD first eth0 some-uuid /run/netns/x IgnoreUnknown=1;IP=1.2.3.4\n"
			    "{\"type\":\"first\",\"extra\":{\"a\":1},\"name\":\"net\","
			    "\"cniVersion\":\"0.4.0\"}\n"
			    "ADD second eth0 some-uuid /run/netns/x IgnoreUnknown=1;IP=1.2.3.4\n"
			    "{\"type\":\"second\",\"name\":\"net\",\"cniVersion\":\"0.4.0\","
			    "\"prevResult\":{\"ips\":[{\"address\":\"10.0.0.5/24\"}]},"
			    "\"runtimeConfig\":{\"portMappings\":[{\"hostPort\":53,"
			    "\"containerPort\":5353,\"protocol\":\"udp\",\"hostIP\":\"127.0.0.1\"}]"
			    "}}\n");
	assert_int_equal(cni_del(conf, result, &pod, &err), 0);
	both = read_log(dir);
	del = both + strlen(added);
	assert_int_equal(strncmp(del, "DEL second ", 11), 0);
	assert_non_null(strstr(del, "\nDEL first "));
	assert_non_null(strstr(del, "\"prevResult\":{\"ips\":[{\"address\":\"10.0.0.6/24\"}]}"));
}

static void a_plugin_that_fails_is_quoted(void **state)
{
	static const struct {
		const char *answer;
		int status;
		const char *why;
	} cases[] = {
		{"{\"code\":11,\"msg\":\"no more\",\"details\":\"of them\"}", 1,
		 "no more; of them"},
		{"{\"code\":11,\"msg\":\"\\u001b[31mred\"}", 1, "\\x1b[31mred"},
		{"garbage", 3, "status 3"},
		{"garbage", 0, "its result"},
		{"", 0, "gave no result"},
		{"[1]", 0, "gave no result"},
	};
	struct scratch *dir = *state;
	const struct cni_pod pod = {.uuid = "u",
				    .netns = "/n",
				    .local_config = dir->path,
				    .ifname = "eth0",
				    .args = ""};
	cleanup_json struct json_object *conf =
		parse("{\"name\":\"net\",\"plugins\":[{\"type\":\"first\"}]}");

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct json_object *result = NULL;
		struct error err = ERROR_INIT;

		put_plugin(dir, "first", cases[i].answer, cases[i].status);
		assert_true(cni_add(conf, &pod, &result, &err) < 0);
		if (!strstr(err.msg, cases[i].why))
			fail_msg("case %zu: %s", i, err.msg);
	}
}

static void del_goes_on_after_a_failure_and_reports_it(void **state)
{
	struct scratch *dir = *state;
	const struct cni_pod pod = {.uuid = "u",
				    .netns = "/n",
				    .local_config = dir->path,
				    .ifname = "eth0",
				    .args = ""};
	cleanup_json struct json_object *conf = parse(two);
	struct error err = ERROR_INIT;
	cleanup_free char *log = NULL;

	put_plugin(dir, "first", "", 0);
	put_plugin(dir, "second", "{\"msg\":\"broken\"}", 1);
	assert_true(cni_del(conf, NULL, &pod, &err) < 0);
	assert_non_null(strstr(err.msg, "broken"));
	log = read_log(dir);
	assert_non_null(strstr(log, "DEL first"));
}

static void a_missing_plugin_is_named(void **state)
{
	struct scratch *dir = *state;
	const struct cni_pod pod = {.uuid = "u",
				    .netns = "/n",
				    .local_config = dir->path,
				    .ifname = "eth0",
				    .args = ""};
	cleanup_json struct json_object *conf =
		parse("{\"name\":\"net\",\"plugins\":[{\"type\":\"no-such-plugin\"}]}");
	struct json_object *result = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(cni_add(conf, &pod, &result, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "no-such-plugin"));
}

static void results_of_every_version_are_read(void **state)
{
	static const char *const results[] = {
		/* 1.0 */
		("{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"eth0\"}],\"ips\":[{"
		 "\"address\":"
		 "\"10.1.0.5/16\",\"gateway\":\"10.1.0.1\",\"interface\":0}],\"routes\":[{\"dst\":"
		 "\"0.0.0.0/0\"}],\"dns\":{\"nameservers\":[\"10.1.0.1\"]}}"),
		/* 0.3 and 0.4 */
		("{\"cniVersion\":\"0.4.0\",\"ips\":[{\"version\":\"4\",\"address\":\"10.1.0.5/"
		 "16\"}],"
		 "\"routes\":[{\"dst\":\"0.0.0.0/"
		 "0\",\"gw\":\"10.1.0.1\"}],\"dns\":{\"nameservers\":"
		 "[\"10.1.0.1\"]}}"),
		/* 0.1 and 0.2 */
		("{\"ip4\":{\"ip\":\"10.1.0.5/16\",\"gateway\":\"10.1.0.1\",\"routes\":[{\"dst\":"
		 "\"0.0.0.0/0\"}]},\"dns\":{\"nameservers\":[\"10.1.0.1\"]}}"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
		cleanup_json struct json_object *doc = parse(results[i]);
		struct error err = ERROR_INIT;
		struct cni_result result;

		assert_int_equal(cni_result_parse(doc, &result, &err), 0);
		assert_int_equal(result.naddresses, 1);
		assert_int_equal(result.address[0].family, 4);
		assert_int_equal(result.address[0].prefix, 16);
		assert_memory_equal(result.address[0].ip, "\x0a\x01\x00\x05", 4);
		assert_int_equal(result.nroutes, 1);
		assert_int_equal(result.route[0].prefix, 0);
		assert_memory_equal(result.route[0].via, "\x0a\x01\x00\x01", 4);
		assert_string_equal(result.resolv, "nameserver 10.1.0.1\n");
		free(result.resolv);
	}
}

static void both_families_and_all_of_dns_are_read(void **state)
{
	cleanup_json struct json_object *doc = parse(
		"{\"ips\":[{\"address\":\"10.0.0.2/24\",\"gateway\":\"10.0.0.1\"},{\"address\":"
		"\"fd00::2/64\",\"gateway\":\"fd00::1\"}],\"routes\":[{\"dst\":\"::/0\"},{\"dst\":"
		"\"10.9.0.0/16\"},{\"dst\":\"10.8.0.0/"
		"16\",\"gw\":\"\"}],\"dns\":{\"search\":[\"a.b\",\"c\"],"
		"\"nameservers\":[\"1.1.1.1\",\"::1\"],\"options\":[\"ndots:2\"],\"domain\":\"d\"}"
		"}");
	struct error err = ERROR_INIT;
	struct cni_result result;

	(void)state;
	assert_int_equal(cni_result_parse(doc, &result, &err), 0);
	assert_int_equal(result.naddresses, 2);
	assert_int_equal(result.address[1].family, 6);
	assert_int_equal(result.route[0].family, 6);
	assert_int_equal(result.route[0].via[15], 1);
	assert_int_equal(result.route[1].via[3], 1);
	assert_string_equal(result.resolv, "search a.b c\nnameserver 1.1.1.1\nnameserver ::1\n"
					   "options ndots:2\ndomain d\n");
	free(result.resolv);
}

static void results_that_make_no_sense_are_refused(void **state)
{
	static const char *const wrong[] = {
		"{\"ips\":{}}",
		"{\"ips\":[1]}",
		"{\"ips\":[{}]}",
		"{\"ips\":[{\"address\":\"10.0.0.1\"}]}",
		"{\"ips\":[{\"address\":\"10.0.0.1/33\"}]}",
		"{\"ips\":[{\"address\":\"::1/129\"}]}",
		"{\"ips\":[{\"address\":\"10.0.0.1/ 8\"}]}",
		"{\"ips\":[{\"address\":\"localhost/8\"}]}",
		"{\"routes\":[{\"gw\":\"10.0.0.1\"}]}",
		"{\"routes\":[{\"dst\":\"10.0.0.0/8\",\"gw\":\"::1\"}]}",
		"{\"routes\":[{\"dst\":\"10.0.0.0/8\",\"gw\":\"x\"}]}",
		"{\"routes\":[3]}",
		"{\"ip4\":{}}",
		"{\"ip4\":[]}",
		"{\"dns\":{\"nameservers\":[\"1.1.1.1\\nsearch evil\"]}}",
		"{\"dns\":{\"search\":[\"\"]}}",
		"{\"dns\":{\"domain\":\"a b\"}}",
		"{\"dns\":{\"nameservers\":[1]}}",
		"{\"dns\":[]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		cleanup_json struct json_object *doc = parse(wrong[i]);
		struct error err = ERROR_INIT;
		struct cni_result result;

		if (cni_result_parse(doc, &result, &err) == 0)
			fail_msg("taken: %s", wrong[i]);
	}
}

static void results_have_bounds(void **state)
{
	cleanup_json struct json_object *ips = json_object_new_object(), *routes;
	struct json_object *list = json_object_new_array();
	struct error err = ERROR_INIT;
	struct cni_result result;

	(void)state;
	for (int i = 0; i <= PLAN_ADDRESSES_MAX; i++)
		json_object_array_add(list, parse("{\"address\":\"10.0.0.1/8\"}"));
	json_add(ips, "ips", list);
	assert_int_equal(cni_result_parse(ips, &result, &err), -EINVAL);
	routes = json_object_new_object();
	list = json_object_new_array();
	for (int i = 0; i <= PLAN_ROUTES_MAX; i++)
		json_object_array_add(list, parse("{\"dst\":\"10.0.0.0/8\"}"));
	json_add(routes, "routes", list);
	assert_int_equal(cni_result_parse(routes, &result, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_built_in_networks_are_there_without_files,
						setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(files_come_in_order_and_override_by_name, setup,
						scratch_teardown),
		cmocka_unit_test_setup_teardown(unknown_names_and_wrong_files_are_errors, setup,
						scratch_teardown),
		cmocka_unit_test_setup_teardown(plugins_run_in_order_and_are_undone_in_reverse,
						setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_plugin_that_fails_is_quoted, setup,
						scratch_teardown),
		cmocka_unit_test_setup_teardown(del_goes_on_after_a_failure_and_reports_it, setup,
						scratch_teardown),
		cmocka_unit_test_setup_teardown(a_missing_plugin_is_named, setup, scratch_teardown),
		cmocka_unit_test(results_of_every_version_are_read),
		cmocka_unit_test(both_families_and_all_of_dns_are_read),
		cmocka_unit_test(results_that_make_no_sense_are_refused),
		cmocka_unit_test(results_have_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
