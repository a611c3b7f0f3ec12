/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "stage0/acname.h"

/* One item: a name, and behind a colon arguments K=V;K=V for its plugin. */
static int check_item(const char *item, struct strv *names, struct error *err)
{
	cleanup_free char *name = xstrndup(item, strcspn(item, ":"));
	const char *args = strchr(item, ':');

	if (!*name)
		return error_set(err, -EINVAL, "--net: a network without a name");
	if (args && strchr(args + 1, ':'))
		return error_set(err, -EINVAL, "--net: \"%s\" has more than one colon", item);
	if (args && (strcmp(name, "host") == 0 || strcmp(name, "all") == 0))
		return error_set(err, -EINVAL, "--net: %s takes no arguments", name);
	if (strv_contains(names, name))
		return error_set(err, -EEXIST, "--net: %s is given twice", name);
	strv_add(names, name);
	return 0;
}

int network_check(const char *text, struct error *err)
{
	cleanup_strv struct strv items = STRV_INIT, names = STRV_INIT;
	int r = 0;

	if (!*text)
		return 0;
	strv_split(&items, text, ',');
	for (size_t i = 0; r == 0 && i < items.n; i++)
		r = check_item(items.v[i], &names, err);
	return r;
}

bool network_publishes(const char *text)
{
	cleanup_strv struct strv items = STRV_INIT;

	strv_split(&items, text, ',');
	return strcmp(text, "none") != 0 && !strv_contains(&items, "host");
}

/* "80", "80/tcp", "53/udp": a port said by its number. */
static bool parse_number(const char *name, unsigned long long *ret_port, const char **ret_protocol)
{
	cleanup_free char *digits = xstrndup(name, strcspn(name, "/"));
	const char *slash = strchr(name, '/');

	*ret_protocol = slash ? slash + 1 : "tcp";
	return str_to_u64(digits, UINT16_MAX, ret_port) && *ret_port &&
	       (strcmp(*ret_protocol, "tcp") == 0 || strcmp(*ret_protocol, "udp") == 0);
}

bool address_is_valid(const char *text)
{
	uint8_t binary[16];

	return inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, binary) == 1;
}

static struct json_object *pod_port(const char *name, unsigned long long port, const char *protocol)
{
	struct json_object *obj = json_object_new_object();

	json_add_string(obj, "name", name);
	json_add_string(obj, "protocol", protocol);
	json_add_int(obj, "port", (int64_t)port);
	json_add_int(obj, "count", 1);
	return obj;
}

int port_add(struct json_object *list, const char *text, struct error *err)
{
	cleanup_free char *name = xstrndup(text, strcspn(text, ":")), *ip = NULL;
	const char *rest = strchr(text, ':'), *colon = strrchr(text, ':'), *protocol;
	unsigned long long host, port;
	struct json_object *entry;
	bool by_number = parse_number(name, &port, &protocol);

	if (!rest || (!by_number && !acname_is_valid(name)))
		return error_set(err, -EINVAL, "--port: \"%s\" is not NAME:[HOSTIP:]HOSTPORT",
				 text);
	if (!str_to_u64(colon + 1, UINT16_MAX, &host) || !host)
		return error_set(err, -EINVAL, "--port: \"%s\" has no host port at its end", text);
	if (colon > rest)
		ip = xstrndup(rest + 1, (size_t)(colon - rest - 1));
	if (ip && !address_is_valid(ip))
		return error_set(err, -EINVAL, "--port: \"%s\" is no address", ip);
	if (by_number && strchr(name, '/'))
		*strchr(name, '/') = '-'; /* in a manifest it is a name */
	entry = json_object_new_object();
	json_add_string(entry, "name", name);
	json_add_int(entry, "hostPort", (int64_t)host);
	if (ip)
		json_add_string(entry, "hostIP", ip);
	if (by_number)
		json_add(entry, "podPort", pod_port(name, port, protocol));
	json_object_array_add(list, entry);
	return 0;
}

int port_add_whole(struct json_object *list, const char *text, struct error *err)
{
	cleanup_free char *copy = xstrdup(text);
	char *name = copy, *proto = strchr(copy, ':'), *pod, *address, *host;
	unsigned long long pod_port_number, host_port;
	struct json_object *entry;

	pod = proto ? strchr(proto + 1, ':') : NULL;
	address = pod ? strchr(pod + 1, ':') : NULL;
	host = address ? strrchr(address + 1, ':') : NULL; /* an address may have colons */
	if (!host)
		return error_set(err, -EINVAL,
				 "--port: \"%s\" is not NAME:PROTO:PODPORT:HOSTIP:HOSTPORT", text);
	*proto++ = *pod++ = *address++ = *host++ = '\0';
	if (!acname_is_valid(name))
		return error_set(err, -EINVAL, "--port: \"%s\" is not a name", name);
	if (strcmp(proto, "tcp") != 0 && strcmp(proto, "udp") != 0)
		return error_set(err, -EINVAL, "--port: \"%s\" is neither tcp nor udp", proto);
	if (!str_to_u64(pod, UINT16_MAX, &pod_port_number) || !pod_port_number ||
	    !str_to_u64(host, UINT16_MAX, &host_port) || !host_port)
		return error_set(err, -EINVAL, "--port: \"%s\": a port is no number of one", text);
	if (*address && !address_is_valid(address))
		return error_set(err, -EINVAL, "--port: \"%s\" is no address", address);
	entry = json_object_new_object();
	json_add_string(entry, "name", name);
	json_add_int(entry, "hostPort", (int64_t)host_port);
	if (*address)
		json_add_string(entry, "hostIP", address);
	json_add(entry, "podPort", pod_port(name, (unsigned long long)pod_port_number, proto));
	json_object_array_add(list, entry);
	return 0;
}

/* How many ports of the app have that name. */
static unsigned count_ports(struct json_object *app, const char *name)
{
	struct json_object *section = NULL, *ports = NULL;
	struct error ignored = ERROR_INIT;
	unsigned n = 0;

	if (json_get_object(app, "app", &section, &ignored) < 0 || !section ||
	    json_get_array(section, "ports", &ports, &ignored) < 0 || !ports)
		return 0;
	for (size_t i = 0; i < json_object_array_length(ports); i++) {
		struct json_object *port = json_object_array_get_idx(ports, i);
		const char *own = NULL;

		if (json_object_is_type(port, json_type_object) &&
		    json_get_string(port, "name", &own, &ignored) == 0 && own &&
		    strcmp(own, name) == 0)
			n++;
	}
	return n;
}

int ports_check(struct json_object *list, struct json_object *apps, struct error *err)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *entry = json_object_array_get_idx(list, i);
		const char *name = NULL;
		unsigned n = 0;
		int r = json_get_string(entry, "name", &name, err);

		if (r < 0)
			return r;
		if (json_object_object_get_ex(entry, "podPort", NULL))
			continue; /* said by its number */
		for (size_t k = 0; k < json_object_array_length(apps); k++)
			n += count_ports(json_object_array_get_idx(apps, k), name);
		if (n != 1)
			return error_set(err, -EINVAL, "--port: %s a port \"%s\"",
					 n ? "several apps have" : "no app has", name);
	}
	return 0;
}
