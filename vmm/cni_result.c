/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cni_result.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/str.h"
#include "common/util.h"

#define DNS_WORDS_MAX 32
#define DNS_WORD_MAX  255

/* "10.1.0.5": family 4 or 6 and the bytes. */
static int parse_ip(const char *text, uint8_t *ret_family, uint8_t ip[16], struct error *err)
{
	uint8_t family = strchr(text, ':') ? 6 : 4;

	memset(ip, 0, 16);
	if (inet_pton(family == 6 ? AF_INET6 : AF_INET, text, ip) != 1)
		return error_set(err, -EINVAL, "\"%.64s\" is no address", text);
	*ret_family = family;
	return 0;
}

/* "10.1.0.5/16" */
static int parse_cidr(const char *text, uint8_t *ret_family, uint8_t *ret_prefix, uint8_t ip[16],
		      struct error *err)
{
	cleanup_free char *address = xstrndup(text, strcspn(text, "/"));
	const char *slash = strchr(text, '/');
	unsigned long long prefix;
	int r = parse_ip(address, ret_family, ip, err);

	if (r < 0)
		return r;
	if (!slash || !str_to_u64(slash + 1, *ret_family == 4 ? 32 : 128, &prefix))
		return error_set(err, -EINVAL, "\"%.64s\" has no prefix length", text);
	*ret_prefix = (uint8_t)prefix;
	return 0;
}

static int add_address(struct cni_result *ret, const char *cidr, struct error *err)
{
	struct plan_address *address = &ret->address[ret->naddresses];
	int r;

	if (ret->naddresses == PLAN_ADDRESSES_MAX)
		return error_set(err, -EINVAL, "more than %d addresses", PLAN_ADDRESSES_MAX);
	*address = (struct plan_address){.family = 0};
	r = parse_cidr(cidr, &address->family, &address->prefix, address->ip, err);
	if (r == 0)
		ret->naddresses++;
	return r;
}

/* gateway: of a route that names none; NULL or "": on the link. */
static int add_route(struct cni_result *ret, struct json_object *entry, const char *gateway,
		     struct error *err)
{
	struct plan_route *route = &ret->route[ret->nroutes];
	const char *dst = NULL, *gw = NULL;
	uint8_t family;
	int r;

	if (ret->nroutes == PLAN_ROUTES_MAX)
		return error_set(err, -EINVAL, "more than %d routes", PLAN_ROUTES_MAX);
	if (!json_object_is_type(entry, json_type_object))
		return error_set(err, -EINVAL, "a route is not an object");
	r = json_get_string(entry, "dst", &dst, err);
	if (r == 0)
		r = json_get_string(entry, "gw", &gw, err);
	if (r < 0)
		return r;
	if (!dst)
		return error_set(err, -EINVAL, "a route has no dst");
	*route = (struct plan_route){.family = 0};
	r = parse_cidr(dst, &route->family, &route->prefix, route->to, err);
	if (!gw || !*gw)
		gw = gateway;
	if (r == 0 && gw && *gw) {
		r = parse_ip(gw, &family, route->via, err);
		if (r == 0 && family != route->family)
			r = error_set(err, -EINVAL, "route %s has a gateway of another family",
				      dst);
	}
	if (r == 0)
		ret->nroutes++;
	return r;
}

/* The gateway of an address of the family dst is of, as routes without gw mean. */
static const char *gateway_for(struct json_object *ips, struct json_object *route)
{
	struct error ignored = ERROR_INIT;
	const char *dst = NULL;
	bool six;

	if (json_get_string(route, "dst", &dst, &ignored) < 0 || !dst)
		return NULL;
	six = strchr(dst, ':') != NULL;
	for (size_t i = 0; ips && i < json_object_array_length(ips); i++) {
		const char *gateway = NULL;

		if (json_get_string(json_object_array_get_idx(ips, i), "gateway", &gateway,
				    &ignored) == 0 &&
		    gateway && (strchr(gateway, ':') != NULL) == six)
			return gateway;
	}
	return NULL;
}

/* Since 0.3.0. */
static int parse_ips(struct json_object *doc, struct cni_result *ret, struct error *err)
{
	struct json_object *ips = NULL, *routes = NULL;
	int r = json_get_array(doc, "ips", &ips, err);

	if (r == 0)
		r = json_get_array(doc, "routes", &routes, err);
	for (size_t i = 0; r == 0 && ips && i < json_object_array_length(ips); i++) {
		const char *cidr = NULL;

		r = json_get_string(json_object_array_get_idx(ips, i), "address", &cidr, err);
		if (r == 0)
			r = cidr ? add_address(ret, cidr, err)
				 : error_set(err, -EINVAL, "an ip has no address");
	}
	for (size_t i = 0; r == 0 && routes && i < json_object_array_length(routes); i++) {
		struct json_object *route = json_object_array_get_idx(routes, i);

		r = add_route(ret, route, gateway_for(ips, route), err);
	}
	return r;
}

/* Before 0.3.0: ip4 and ip6. */
static int parse_old(struct json_object *doc, const char *key, struct cni_result *ret,
		     struct error *err)
{
	struct json_object *section = NULL, *routes = NULL;
	const char *cidr = NULL, *gateway = NULL;
	int r = json_get_object(doc, key, &section, err);

	if (r < 0 || !section)
		return r;
	r = json_get_string(section, "ip", &cidr, err);
	if (r == 0)
		r = json_get_string(section, "gateway", &gateway, err);
	if (r == 0)
		r = json_get_array(section, "routes", &routes, err);
	if (r == 0)
		r = cidr ? add_address(ret, cidr, err)
			 : error_set(err, -EINVAL, "%s has no ip", key);
	for (size_t i = 0; r == 0 && routes && i < json_object_array_length(routes); i++)
		r = add_route(ret, json_object_array_get_idx(routes, i), gateway, err);
	return r < 0 ? error_wrap(err, "%s", key) : 0;
}

/* A line of words, or one of each. */
static int add_words(struct str *out, struct json_object *dns, const char *key, const char *keyword,
		     bool a_line_each, struct error *err)
{
	struct json_object *list = NULL;
	int r = json_get_array(dns, key, &list, err);
	size_t n = list ? json_object_array_length(list) : 0;

	if (r < 0 || !n)
		return r;
	if (n > DNS_WORDS_MAX)
		return error_set(err, -EINVAL, "dns: more than %d %s", DNS_WORDS_MAX, key);
	for (size_t i = 0; i < n; i++) {
		struct json_object *entry = json_object_array_get_idx(list, i);
		const char *word = json_object_is_type(entry, json_type_string)
					   ? json_object_get_string(entry)
					   : "";

		if (!*word || strlen(word) > DNS_WORD_MAX || word[strcspn(word, " \t\r\n#")])
			return error_set(err, -EINVAL, "dns: %s[%zu] is no name", key, i);
		str_addf(out, "%s%s", i == 0 || a_line_each ? keyword : " ", word);
		if (a_line_each || i + 1 == n)
			str_add(out, "\n");
	}
	return 0;
}

static int parse_dns(struct json_object *doc, char **ret, struct error *err)
{
	cleanup_str struct str out = STR_INIT;
	struct json_object *dns = NULL;
	const char *domain = NULL;
	int r = json_get_object(doc, "dns", &dns, err);

	if (r < 0 || !dns)
		return r;
	r = add_words(&out, dns, "search", "search ", false, err);
	if (r == 0)
		r = add_words(&out, dns, "nameservers", "nameserver ", true, err);
	if (r == 0)
		r = add_words(&out, dns, "options", "options ", false, err);
	if (r == 0)
		r = json_get_string(dns, "domain", &domain, err);
	if (r == 0 && domain && *domain) {
		if (strlen(domain) > DNS_WORD_MAX || domain[strcspn(domain, " \t\r\n#")])
			return error_set(err, -EINVAL, "dns: domain is no name");
		str_addf(&out, "domain %s\n", domain);
	}
	if (r == 0 && out.len)
		*ret = str_take(&out);
	return r;
}

int cni_result_parse(struct json_object *doc, struct cni_result *ret, struct error *err)
{
	struct cni_result result = {.naddresses = 0};
	int r = parse_ips(doc, &result, err);

	if (r == 0)
		r = parse_old(doc, "ip4", &result, err);
	if (r == 0)
		r = parse_old(doc, "ip6", &result, err);
	if (r == 0)
		r = parse_dns(doc, &result.resolv, err);
	if (r < 0)
		return error_wrap(err, "CNI result");
	*ret = result;
	return 0;
}
