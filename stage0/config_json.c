/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration in force, as files would say it: what "config" prints. */
#include "stage0/config.h"

#include "common/util.h"

static struct json_object *new_entry(const char *kind)
{
	struct json_object *entry = json_object_new_object();

	json_add_string(entry, "rktVersion", "v1");
	json_add_string(entry, "rktKind", kind);
	return entry;
}

static void add_list_of_one(struct json_object *entry, const char *key, const char *value)
{
	struct json_object *list = json_object_new_array();

	json_object_array_add(list, json_object_new_string(value));
	json_add(entry, key, list);
}

static void add_user(struct json_object *entry, const char *user, const char *password)
{
	struct json_object *credentials = json_object_new_object();

	json_add_string(credentials, "user", user);
	json_add_string(credentials, "password", password);
	json_add(entry, "credentials", credentials);
}

static struct json_object *auth_json(const struct config_auth *auth)
{
	static const char *const types[] = {
		[CONFIG_BASIC] = "basic",
		[CONFIG_OAUTH] = "oauth",
		[CONFIG_AWS] = "aws",
	};
	struct json_object *entry = new_entry("auth"), *credentials;

	add_list_of_one(entry, "domains", auth->host);
	json_add_string(entry, "type", types[auth->type]);
	if (auth->type == CONFIG_BASIC) {
		add_user(entry, auth->user, auth->secret);
		return entry;
	}
	credentials = json_object_new_object();
	if (auth->type == CONFIG_OAUTH) {
		json_add_string(credentials, "token", auth->secret);
	} else {
		json_add_string(credentials, "accessKeyID", auth->user);
		json_add_string(credentials, "secretAccessKey", auth->secret);
		json_add_string(credentials, "awsRegion", auth->region ? auth->region : "");
	}
	json_add(entry, "credentials", credentials);
	return entry;
}

static struct json_object *registry_json(const struct config_registry *registry)
{
	struct json_object *entry = new_entry("registries"), *list = json_object_new_array();
	struct json_object *one = json_object_new_object(), *endpoints = json_object_new_array();

	json_add_string(one, "prefix", registry->prefix);
	for (size_t i = 0; i < registry->endpoints.n; i++)
		json_object_array_add(endpoints, json_object_new_string(registry->endpoints.v[i]));
	json_add(one, "endpoints", endpoints);
	json_add_bool(one, "insecure", registry->insecure);
	json_add_bool(one, "blocked", registry->blocked);
	json_add_bool(one, "byDigestOnly", registry->by_digest_only);
	json_object_array_add(list, one);
	json_add(entry, "registries", list);
	return entry;
}

static void add_or_empty(struct json_object *entry, const char *key, const char *value)
{
	json_add_string(entry, key, value ? value : "");
}

struct json_object *config_json(const struct config *config)
{
	struct json_object *doc = json_object_new_object(), *list = json_object_new_array(), *entry;

	for (size_t i = 0; i < config->nauth; i++)
		json_object_array_add(list, auth_json(&config->auth[i]));
	for (size_t i = 0; i < config->ndocker_auth; i++) {
		entry = new_entry("dockerAuth");
		add_list_of_one(entry, "registries", config->docker_auth[i].registry);
		add_user(entry, config->docker_auth[i].user, config->docker_auth[i].password);
		json_object_array_add(list, entry);
	}
	for (size_t i = 0; i < config->nregistries; i++)
		json_object_array_add(list, registry_json(&config->registries[i]));
	entry = new_entry("paths");
	add_or_empty(entry, "data", config->data);
	add_or_empty(entry, "stage1-images", config->stage1_images);
	json_object_array_add(list, entry);
	entry = new_entry("stage1");
	add_or_empty(entry, "name", config->stage1_name);
	add_or_empty(entry, "version", config->stage1_version);
	add_or_empty(entry, "location", config->stage1_location);
	json_object_array_add(list, entry);
	json_add(doc, "stage0", list);
	return doc;
}
