/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports, from the option to the pod manifest and from there to what passt is told. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/util.h"
#include "stage0/network.h"
#include "vmm/pod_port.h"

#define APPS                                                                                       \
	"\"apps\":[{\"name\":\"a\",\"app\":{\"ports\":[{\"name\":\"http\",\"protocol\":\"tcp\","   \
	"\"port\":80},{\"name\":\"dns\",\"protocol\":\"udp\",\"port\":53}]}},"                     \
	"{\"name\":\"b\",\"app\":{\"ports\":[{\"name\":\"odd\",\"protocol\":\"sctp\",\"port\":1}," \
	"{\"name\":\"both\",\"protocol\":\"tcp\",\"port\":2},{\"name\":\"none\",\"protocol\":"     \
	"\"tcp\"}]}},{\"name\":\"c\",\"app\":{\"ports\":[{\"name\":\"both\",\"protocol\":\"tcp\"," \
	"\"port\":3}]}},{\"name\":\"d\"}]"

static int parse(const char *ports, struct pod_port *ret, unsigned *ret_n, struct error *err)
{
	cleanup_free char *text = xasprintf("{" APPS ",\"ports\":%s}", ports);
	cleanup_json struct json_object *manifest = NULL;

	assert_int_equal(json_parse(text, strlen(text), "test", &manifest, err), 0);
	return pod_ports_parse(manifest, ret, 4, ret_n, err);
}

static void ports_are_found_by_name_or_said_by_number(void **state)
{
	struct error err = ERROR_INIT;
	struct pod_port port[4];
	unsigned n;

	(void)state;
	assert_int_equal(parse("[{\"name\":\"http\",\"hostPort\":8080},"
			       "{\"name\":\"dns\",\"hostPort\":8080,\"hostIP\":\"127.0.0.1\"},"
			       "{\"name\":\"x\",\"hostPort\":65535,\"hostIP\":\"0:0::1\","
			       "\"podPort\":{\"name\":\"x\",\"protocol\":\"tcp\",\"port\":9}}]",
			       port, &n, &err),
			 0);
	assert_int_equal(n, 3);
	assert_false(port[0].udp);
	assert_int_equal(port[0].pod, 80);
	assert_int_equal(port[0].host, 8080);
	assert_string_equal(port[0].host_ip, "");
	assert_true(port[1].udp);
	assert_int_equal(port[1].pod, 53);
	assert_string_equal(port[1].host_ip, "127.0.0.1");
	assert_int_equal(port[2].pod, 9);
	assert_string_equal(port[2].host_ip, "::1");
	assert_int_equal(parse("[]", port, &n, &err), 0);
	assert_int_equal(n, 0);
	assert_int_equal(parse("null", port, &n, &err), 0);
	assert_int_equal(n, 0);
}

static void ports_that_can_not_be_published_are_refused(void **state)
{
	static const struct {
		const char *ports, *why;
	} cases[] = {
		{"[1]", "has no name"},
		{"[{}]", "has no name"},
		{"[{\"name\":\"ftp\",\"hostPort\":1}]", "no app has a port"},
		{"[{\"name\":\"both\",\"hostPort\":1}]", "several apps"},
		{"[{\"name\":\"odd\",\"hostPort\":1}]", "neither tcp nor udp"},
		{"[{\"name\":\"none\",\"hostPort\":1}]", "no port number"},
		{"[{\"name\":\"http\"}]", "no hostPort"},
		{"[{\"name\":\"http\",\"hostPort\":0}]", "hostPort"},
		{"[{\"name\":\"http\",\"hostPort\":65536}]", "hostPort"},
		{"[{\"name\":\"http\",\"hostPort\":-1}]", "hostPort"},
		{"[{\"name\":\"http\",\"hostPort\":\"80\"}]", "hostPort"},
		{"[{\"name\":\"http\",\"hostPort\":1,\"hostIP\":\"1.2.3\"}]", "no address"},
		{"[{\"name\":\"http\",\"hostPort\":1,\"hostIP\":\"::1 -t all\"}]", "no address"},
		{"[{\"name\":\"http\",\"hostPort\":1,\"podPort\":{\"port\":1}}]", "neither tcp"},
		{"[{\"name\":\"http\",\"hostPort\":1},{\"name\":\"both\",\"hostPort\":1,"
		 "\"podPort\":{\"port\":2,\"protocol\":\"tcp\"}}]",
		 "twice"},
		{"[{\"name\":\"http\",\"hostPort\":1,\"hostIP\":\"127.0.0.1\"},"
		 "{\"name\":\"x\",\"hostPort\":1,\"hostIP\":\"0.0.0.0\",\"podPort\":"
		 "{\"port\":2,\"protocol\":\"tcp\"}}]",
		 "twice"},
		{"[{\"name\":\"http\",\"hostPort\":1},{\"name\":\"http\",\"hostPort\":2},"
		 "{\"name\":\"http\",\"hostPort\":3},{\"name\":\"http\",\"hostPort\":4},"
		 "{\"name\":\"http\",\"hostPort\":5}]",
		 "more than 4"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;
		struct pod_port port[4];
		unsigned n;

		if (parse(cases[i].ports, port, &n, &err) == 0)
			fail_msg("taken: %s", cases[i].ports);
		if (!strstr(err.msg, cases[i].why))
			fail_msg("%s: %s", cases[i].ports, err.msg);
	}
}

static void the_option_has_two_forms(void **state)
{
	static const struct {
		const char *text, *json;
	} cases[] = {
		{"http:8080", "{\"name\":\"http\",\"hostPort\":8080}"},
		{"80-tcp:127.0.0.1:8080",
		 "{\"name\":\"80-tcp\",\"hostPort\":8080,\"hostIP\":\"127.0.0.1\"}"},
		{"http:::1:8080", "{\"name\":\"http\",\"hostPort\":8080,\"hostIP\":\"::1\"}"},
		{"80:8080",
		 "{\"name\":\"80\",\"hostPort\":8080,\"podPort\":{\"name\":\"80\",\"protocol\":"
		 "\"tcp\",\"port\":80,\"count\":1}}"},
		{"53/udp:5353",
		 "{\"name\":\"53-udp\",\"hostPort\":5353,\"podPort\":{\"name\":\"53-udp\","
		 "\"protocol\":\"udp\",\"port\":53,\"count\":1}}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_json struct json_object *list = json_object_new_array();
		struct error err = ERROR_INIT;

		assert_int_equal(port_add(list, cases[i].text, &err), 0);
		assert_string_equal(json_text(json_object_array_get_idx(list, 0)), cases[i].json);
	}
}

static void the_options_other_forms_are_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"80",
		":80",
		"http",
		"http:",
		"http:0",
		"http:65536",
		"http:a",
		"http:1.2.3:80",
		"HTTP:80",
		"80/sctp:1",
		"http:1:2",
		"80/:1",
		"http:-1",
		"http:8080 ",
		"http::8080:x",
		"a b:1",
		"http:x:8080",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		cleanup_json struct json_object *list = json_object_new_array();
		struct error err = ERROR_INIT;

		if (port_add(list, wrong[i], &err) == 0)
			fail_msg("taken: \"%s\"", wrong[i]);
		assert_int_equal(json_object_array_length(list), 0);
	}
}

static void networks_are_names_once_each(void **state)
{
	static const char *const good[] = {"",	   "default", "none",	     "host",
					   "user", "a,b",     "a:K=V;L=W,b", "default:IP=1.2.3.4"};
	static const char *const wrong[] = {",",       "a,",	    "a,a", "host:K=V",
					    "all:K=V", "a:K=V:L=W", ":K=V"};
	struct error err = ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (network_check(good[i], &err) < 0)
			fail_msg("%s: %s", good[i], err.msg);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (network_check(wrong[i], &err) == 0)
			fail_msg("taken: %s", wrong[i]);
	assert_false(network_publishes("none"));
	assert_false(network_publishes("a,host"));
	assert_true(network_publishes("user"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_are_found_by_name_or_said_by_number),
		cmocka_unit_test(ports_that_can_not_be_published_are_refused),
		cmocka_unit_test(the_option_has_two_forms),
		cmocka_unit_test(the_options_other_forms_are_refused),
		cmocka_unit_test(networks_are_names_once_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
