/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes from outside about networks: a plugin's result, a pod manifest's ports, and the texts of
 * --net, --net-rate, --port and --dns. The first byte says which.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

#include "common/json.h"
#include "common/util.h"
#include "stage0/dns.h"
#include "stage0/network.h"
#include "vmm/cni_result.h"
#include "stage0/rate.h"
#include "vmm/pod_port.h"
#include "vmm/pod_rate.h"

static void try_result(struct json_object *doc)
{
	struct error err = ERROR_INIT;
	struct cni_result result;

	if (cni_result_parse(doc, &result, &err) < 0)
		return;
	assert(result.naddresses <= PLAN_ADDRESSES_MAX && result.nroutes <= PLAN_ROUTES_MAX);
	for (unsigned i = 0; i < result.naddresses; i++)
		assert(result.address[i].prefix <= (result.address[i].family == 4 ? 32 : 128));
	free(result.resolv);
}

static void try_ports(struct json_object *doc)
{
	struct error err = ERROR_INIT;
	struct pod_port port[8];
	unsigned n;

	if (pod_ports_parse(doc, port, ARRAY_SIZE(port), &n, &err) < 0)
		return;
	assert(n <= ARRAY_SIZE(port));
	for (unsigned i = 0; i < n; i++) /* what becomes an argument of another program */
		assert(port[i].host && port[i].pod && !strpbrk(port[i].host_ip, " /-"));
}

static void try_texts(const char *text)
{
	cleanup_json struct json_object *list = json_object_new_array();
	struct dns_options options = {.domain = NULL};
	struct error err = ERROR_INIT;
	uint64_t rates[RATES_MAX];
	struct dns dns;

	rate_parse(&net_rate, text, rates, &err);
	pod_rate_parse(text, rates, RATES_MAX, &err);
	network_check(text, &err);
	network_publishes(text);
	port_add(list, text, &err);
	strv_add(&options.servers, text);
	strv_add(&options.hosts, text);
	strv_add(&options.search, text);
	if (dns_make(&options, "pod", &dns, &err) == 0)
		dns_free(&dns);
	strv_free(&options.servers);
	strv_free(&options.hosts);
	strv_free(&options.search);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_json struct json_object *doc = NULL;
	cleanup_free char *text = NULL;
	struct error err = ERROR_INIT;

	if (!size)
		return 0;
	text = xstrndup((const char *)data + 1, size - 1);
	if (*data % 3 == 2) {
		try_texts(text);
	} else if (json_parse(text, strlen(text), "input", &doc, &err) == 0 &&
		   json_object_is_type(doc, json_type_object)) {
		if (*data % 3)
			try_ports(doc);
		else
			try_result(doc);
	}
	return 0;
}
