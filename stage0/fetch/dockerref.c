/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/fetch/dockerref.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/str.h"
#include "common/util.h"

#define HOST_LABEL_MAX 63 /* RFC 1035 */
#define ID_DIGITS      64 /* a name of so many hexadecimal digits would look like an image ID */

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_component_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Labels of letters and digits with '-' inside, separated by dots. */
static bool name_valid(const char *text, size_t len)
{
	size_t label = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '.') {
			if (label == 0 || text[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!is_alnum(text[i]) && (text[i] != '-' || label == 0))
			return false;
		if (++label > HOST_LABEL_MAX)
			return false;
	}
	return label > 0 && text[len - 1] != '-';
}

static bool host_part_valid(const char *text, size_t len)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr in6;

	if (len == 0 || text[0] != '[')
		return name_valid(text, len);
	if (len < 3 || text[len - 1] != ']' || len - 2 >= sizeof(address))
		return false;
	memcpy(address, text + 1, len - 2);
	address[len - 2] = '\0';
	return inet_pton(AF_INET6, address, &in6) == 1;
}

bool registry_host_valid(const char *text)
{
	const char *end = text[0] == '[' ? strchr(text, ']') : NULL;
	const char *colon = strchr(end ? end : text, ':');
	size_t len = colon ? (size_t)(colon - text) : strlen(text);
	unsigned long long port;

	if (strlen(text) > DOCKERREF_NAME_MAX || !host_part_valid(text, len))
		return false;
	return !colon || (str_to_u64(colon + 1, UINT16_MAX, &port) && port > 0);
}

const char *registry_host_canonical(const char *host)
{
	if (strcmp(host, DOCKER_HUB_INDEX) == 0 || strcmp(host, DOCKER_HUB_ENDPOINT) == 0)
		return DOCKER_HUB;
	return host;
}

/* The separator at text: ".", "_", "__" or any number of "-". */
static size_t separator_length(const char *text)
{
	if (text[0] == '.')
		return 1;
	if (text[0] == '_')
		return text[1] == '_' ? 2 : 1;
	return strspn(text, "-");
}

static bool repository_valid(const char *text)
{
	for (;;) {
		size_t n = 0;

		while (is_component_char(text[n]))
			n++;
		if (n == 0)
			return false;
		text += n;
		if (*text == '\0')
			return true;
		text += *text == '/' ? 1 : separator_length(text);
	}
}

bool registry_location_valid(const char *text)
{
	size_t len = strcspn(text, "/");
	cleanup_free char *host = xstrndup(text, len);

	return strlen(text) <= DOCKERREF_NAME_MAX && registry_host_valid(host) &&
	       (text[len] == '\0' || repository_valid(text + len + 1));
}

static bool tag_valid(const char *text)
{
	size_t n = 0;

	if (!is_alnum(text[0]) && text[0] != '_')
		return false;
	while (is_alnum(text[n]) || (text[n] && strchr("_.-", text[n])))
		n++;
	return n <= DOCKERREF_TAG_MAX && text[n] == '\0';
}

static bool looks_like_id(const char *name)
{
	return strlen(name) == ID_DIGITS && strspn(name, "0123456789abcdef") == ID_DIGITS;
}

/* Is what is before the first '/' a registry, or part of a name on Docker Hub? */
static bool is_domain(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == '.' || text[i] == ':' || isupper((unsigned char)text[i]))
			return true;
	return len == strlen("localhost") && memcmp(text, "localhost", len) == 0;
}

/*
 * Hosts are the same in any case. But a name whose capitals alone make it a host keeps them, or it
 * would be a name on Docker Hub when it is read again.
 */
static void lower_domain(char *domain)
{
	if (!strpbrk(domain, ".:") && strcasecmp(domain, "localhost") != 0)
		return;
	for (char *p = domain; *p; p++)
		*p = (char)tolower((unsigned char)*p);
}

static int refuse(const char *text, const char *why, struct error *err)
{
	return error_set(err, -EINVAL, "\"%.300s\" is no image reference: %s", text, why);
}

/* name, which is [DOMAIN/]REPOSITORY without tag and digest */
static int parse_name(const char *text, const char *name, struct dockerref *ref, struct error *err)
{
	const char *slash = strchr(name, '/'), *repository = name, *library = "";
	int n;

	if (slash && is_domain(name, (size_t)(slash - name))) {
		snprintf(ref->domain, sizeof(ref->domain), "%.*s", (int)(slash - name), name);
		lower_domain(ref->domain);
		if (!registry_host_valid(ref->domain))
			return refuse(text, "the registry is no host name or address", err);
		if (registry_host_canonical(ref->domain) != ref->domain)
			snprintf(ref->domain, sizeof(ref->domain), "%s", DOCKER_HUB);
		repository = slash + 1;
	} else {
		snprintf(ref->domain, sizeof(ref->domain), "%s", DOCKER_HUB);
	}
	if (!repository_valid(repository))
		return refuse(text,
			      "a name has lower-case letters, digits and single separators "
			      "inside",
			      err);
	if (strcmp(ref->domain, DOCKER_HUB) == 0 && !strchr(repository, '/'))
		library = DOCKER_HUB_LIBRARY;
	n = snprintf(ref->repository, sizeof(ref->repository), "%s%s", library, repository);
	if (n < 0 || strlen(ref->domain) + 1 + (size_t)n > DOCKERREF_NAME_MAX)
		return refuse(text, "the name is too long", err);
	return 0;
}

int dockerref_parse(const char *text, struct dockerref *ret, struct error *err)
{
	const char *at = strchrnul(text, '@'), *slash, *colon;
	cleanup_free char *name = NULL;
	struct dockerref ref = {.domain = ""};
	struct oci_digest digest;
	struct error why = ERROR_INIT;
	int r;

	if (*at) {
		if (oci_digest_parse(at + 1, &digest, &why) < 0)
			return refuse(text, why.msg, err);
		oci_digest_text(&digest, ref.digest);
	}
	name = xstrndup(text, (size_t)(at - text));
	slash = strrchr(name, '/');
	colon = strchr(slash ? slash : name, ':');
	if (colon) {
		if (!tag_valid(colon + 1))
			return refuse(text, "the tag is not valid", err);
		snprintf(ref.tag, sizeof(ref.tag), "%s", colon + 1);
		name[colon - name] = '\0';
	} else if (!*at) {
		snprintf(ref.tag, sizeof(ref.tag), "%s", DOCKER_DEFAULT_TAG);
	}
	if (looks_like_id(name))
		return refuse(text, "64 hexadecimal digits are an ID, not a name", err);
	r = parse_name(text, name, &ref, err);
	if (r < 0)
		return r;
	*ret = ref;
	return 0;
}

const char *dockerref_reference(const struct dockerref *ref)
{
	return ref->digest[0] ? ref->digest : ref->tag;
}

char *dockerref_text(const struct dockerref *ref)
{
	return xasprintf("%s/%s%s%s%s%s", ref->domain, ref->repository, ref->tag[0] ? ":" : "",
			 ref->tag, ref->digest[0] ? "@" : "", ref->digest);
}
