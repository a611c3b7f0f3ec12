/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pod_port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/util.h"

/* A port number under key. 0 only where there is none. */
static int get_number(struct json_object *entry, const char *key, uint16_t *ret, struct error *err)
{
	int64_t number = 0;
	int r = json_get_int(entry, key, 1, UINT16_MAX, &number, err);

	if (r == 0)
		*ret = (uint16_t)number;
	return r;
}

static int get_protocol(struct json_object *port, bool *ret_udp, struct error *err)
{
	const char *protocol = NULL;
	int r = json_get_string(port, "protocol", &protocol, err);

	if (r < 0)
		return r;
	if (!protocol || (strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0))
		return error_set(err, -EINVAL, "its protocol is neither tcp nor udp");
	*ret_udp = strcmp(protocol, "udp") == 0;
	return 0;
}

static int take_target(struct json_object *port, struct pod_port *ret, struct error *err)
{
	int r = get_number(port, "port", &ret->pod, err);

	if (r == 0)
		r = get_protocol(port, &ret->udp, err);
	if (r == 0 && !ret->pod)
		r = error_set(err, -EINVAL, "it has no port number");
	return r;
}

/* Look for the named port in one app. 1 when it is there, 0 when not. */
static int find_in_app(struct json_object *app, const char *name, struct pod_port *ret,
		       struct error *err)
{
	struct json_object *section = NULL, *ports = NULL;
	int r = json_get_object(app, "app", &section, err);

	if (r == 0 && section)
		r = json_get_array(section, "ports", &ports, err);
	for (size_t i = 0; r == 0 && ports && i < json_object_array_length(ports); i++) {
		struct json_object *port = json_object_array_get_idx(ports, i);
		const char *own = NULL;

		if (!json_object_is_type(port, json_type_object))
			return error_set(err, -EINVAL, "an app's ports[%zu] is not an object", i);
		r = json_get_string(port, "name", &own, err);
		if (r == 0 && own && strcmp(own, name) == 0) {
			r = take_target(port, ret, err);
			return r < 0 ? r : 1;
		}
	}
	return r;
}

static int find_target(struct json_object *apps, const char *name, struct pod_port *ret,
		       struct error *err)
{
	int found = 0;

	for (size_t i = 0; apps && i < json_object_array_length(apps); i++) {
		int r = find_in_app(json_object_array_get_idx(apps, i), name, ret, err);

		if (r < 0)
			return r;
		found += r;
	}
	if (!found)
		return error_set(err, -ENOENT, "no app has a port of that name");
	if (found > 1)
		return error_set(err, -EEXIST, "several apps have a port of that name");
	return 0;
}

static int get_host_ip(struct json_object *entry, struct pod_port *ret, struct error *err)
{
	const char *ip = NULL;
	uint8_t binary[16];
	int r = json_get_string(entry, "hostIP", &ip, err), family;

	if (r < 0 || !ip || !*ip)
		return r;
	family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(family, ip, binary) != 1)
		return error_set(err, -EINVAL, "hostIP is no address");
	inet_ntop(family, binary, ret->host_ip, sizeof(ret->host_ip));
	return 0;
}

static bool is_any(const char *ip)
{
	return !*ip || !strcmp(ip, "0.0.0.0") || !strcmp(ip, "::");
}

static bool clash(const struct pod_port *a, const struct pod_port *b)
{
	return a->udp == b->udp && a->host == b->host &&
	       (is_any(a->host_ip) || is_any(b->host_ip) || !strcmp(a->host_ip, b->host_ip));
}

static int parse_one(struct json_object *apps, struct json_object *entry, const char *name,
		     struct pod_port *ret, struct error *err)
{
	struct json_object *target = NULL;
	int r = json_get_object(entry, "podPort", &target, err);

	if (r == 0)
		r = target ? take_target(target, ret, err) : find_target(apps, name, ret, err);
	if (r == 0)
		r = get_number(entry, "hostPort", &ret->host, err);
	if (r == 0 && !ret->host)
		r = error_set(err, -EINVAL, "it has no hostPort");
	return r < 0 ? r : get_host_ip(entry, ret, err);
}

int pod_ports_parse(struct json_object *manifest, struct pod_port *ret, unsigned max,
		    unsigned *ret_n, struct error *err)
{
	struct json_object *list = NULL, *apps = NULL;
	int r = json_get_array(manifest, "ports", &list, err);
	size_t n;

	if (r == 0)
		r = json_get_array(manifest, "apps", &apps, err);
	if (r < 0)
		return r;
	n = list ? json_object_array_length(list) : 0;
	if (n > max)
		return error_set(err, -E2BIG, "more than %u published ports", max);
	for (unsigned i = 0; i < n; i++) {
		struct json_object *entry = json_object_array_get_idx(list, i);
		const char *name = NULL;

		if (!json_object_is_type(entry, json_type_object) ||
		    json_get_string(entry, "name", &name, err) < 0 || !name)
			return error_set(err, -EINVAL, "ports[%u] has no name", i);
		ret[i] = (struct pod_port){.udp = false};
		r = parse_one(apps, entry, name, &ret[i], err);
		if (r < 0)
			return error_wrap(err, "port %.100s", name);
		for (unsigned k = 0; k < i; k++)
			if (clash(&ret[i], &ret[k]))
				return error_set(err, -EEXIST,
						 "port %.100s: host port %u is published twice",
						 name, ret[i].host);
	}
	*ret_n = (unsigned)n;
	return 0;
}
