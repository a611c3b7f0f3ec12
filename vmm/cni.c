/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running CNI plugins. A plugin gets its configuration on stdin, with the network's name and version,
 * the result of the one before and what the runtime provides of its capabilities; everything else is
 * passed on as it was written. What it prints is hostile until it is parsed.
 */
#include "vmm/cni.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/spawn.h"
#include "common/str.h"
#include "common/util.h"

#define PLUGIN_TIMEOUT_MS 30000
#define OUTPUT_MAX	  (256 * 1024) /* bytes of a result */
#define PORTS_CAPABILITY  "portMappings"

static char *search_path(const struct cni_pod *pod)
{
	return xasprintf("%s/net.d:/usr/lib/cni:/opt/cni/bin:/usr/lib/rkt/plugins/net",
			 pod->local_config);
}

static int find_plugin(const char *type, const char *path, char **ret, struct error *err)
{
	char *file = spawn_find(type, path);

	if (!file)
		return error_set(
			err, -ENOENT,
			"plugin %s is in none of %s: install containernetworking-plugins, or run "
			"with --net=none",
			type, path);
	*ret = file;
	return 0;
}

static struct json_object *port_mappings(const struct cni_pod *pod)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = 0; i < pod->nports; i++) {
		const struct pod_port *port = &pod->ports[i];
		struct json_object *entry = json_object_new_object();

		json_add_int(entry, "hostPort", port->host);
		json_add_int(entry, "containerPort", port->pod);
		json_add_string(entry, "protocol", port->udp ? "udp" : "tcp");
		if (port->host_ip[0])
			json_add_string(entry, "hostIP", port->host_ip);
		json_object_array_add(list, entry);
	}
	return list;
}

static bool declares_ports(struct json_object *plugin)
{
	struct json_object *capabilities = NULL;
	struct error ignored = ERROR_INIT;
	bool declared = false;

	json_get_object(plugin, "capabilities", &capabilities, &ignored);
	json_get_bool(capabilities, PORTS_CAPABILITY, &declared, &ignored);
	return declared;
}

/* What a plugin reads. */
static struct json_object *plugin_input(struct json_object *conf, struct json_object *plugin,
					struct json_object *previous, const struct cni_pod *pod)
{
	struct json_object *input = json_object_new_object(), *value = NULL;

	json_object_object_foreach(plugin, key, member) if (strcmp(key, "capabilities") != 0)
		json_add(input, key, json_object_get(member));
	if (json_object_object_get_ex(conf, "name", &value))
		json_add(input, "name", json_object_get(value));
	if (json_object_object_get_ex(conf, "cniVersion", &value))
		json_add(input, "cniVersion", json_object_get(value));
	if (previous)
		json_add(input, "prevResult", json_object_get(previous));
	if (pod->nports && declares_ports(plugin)) {
		struct json_object *runtime = json_object_new_object();

		json_add(runtime, PORTS_CAPABILITY, port_mappings(pod));
		json_add(input, "runtimeConfig", runtime);
	}
	return input;
}

static void plugin_environment(struct strv *env, const char *command, const struct cni_pod *pod,
			       const char *path)
{
	strv_add_owned(env, xasprintf("CNI_COMMAND=%s", command));
	strv_add_owned(env, xasprintf("CNI_CONTAINERID=%s", pod->uuid));
	strv_add_owned(env, xasprintf("CNI_NETNS=%s", pod->netns));
	strv_add_owned(env, xasprintf("CNI_IFNAME=%s", pod->ifname));
	strv_add_owned(env, xasprintf("CNI_PATH=%s", path));
	if (*pod->args)
		strv_add_owned(env, xasprintf("CNI_ARGS=IgnoreUnknown=1;%s", pod->args));
	strv_add(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
}

/* Everything in a file a plugin wrote; NULL when that is too much. */
static char *read_output(int fd, size_t *ret_len)
{
	cleanup_free char *text = NULL;
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size > OUTPUT_MAX)
		return NULL;
	text = xcalloc(1, (size_t)st.st_size + 1);
	if (pread_all(fd, text, (size_t)st.st_size, 0) < 0)
		return NULL;
	*ret_len = (size_t)st.st_size;
	return take_ptr(text);
}

/* Its own words: the error it printed, or the last line of its log. */
static int plugin_failed(const char *type, int status, const char *out, size_t len, int log,
			 struct error *err)
{
	cleanup_json struct json_object *doc = NULL;
	cleanup_str struct str text = STR_INIT;
	const char *msg = NULL, *details = NULL;
	struct error ignored = ERROR_INIT;

	if (json_parse(out, len, type, &doc, &ignored) == 0 &&
	    json_get_string(doc, "msg", &msg, &ignored) == 0 && msg) {
		json_get_string(doc, "details", &details, &ignored);
		str_add_escaped(&text, msg, strlen(msg));
		if (details && *details) {
			str_add(&text, "; ");
			str_add_escaped(&text, details, strlen(details));
		}
	} else {
		char line[512];
		ssize_t n = pread(log, line, sizeof(line) - 1, 0);

		line[n > 0 ? n : 0] = '\0';
		str_add_escaped(&text, line, strcspn(line, "\n"));
	}
	return error_set(err, -EIO, "plugin %s failed with status %d: %.400s", type, status,
			 str_get(&text));
}

/* Run one plugin's command. *ret is its result, NULL when it printed none. */
static int run_plugin(const char *command, struct json_object *conf, struct json_object *plugin,
		      struct json_object *previous, const struct cni_pod *pod,
		      struct json_object **ret, struct error *err)
{
	cleanup_json struct json_object *input = plugin_input(conf, plugin, previous, pod);
	cleanup_fd int in = memfd_create("cni", MFD_CLOEXEC),
		       out = memfd_create("cni", MFD_CLOEXEC);
	cleanup_fd int log = memfd_create("cni", MFD_CLOEXEC), pidfd = -1;
	const struct spawn_fd fds[] = {{in, 0}, {out, 1}, {log, 2}};
	cleanup_free char *path = search_path(pod), *file = NULL, *text = NULL;
	cleanup_strv struct strv env = STRV_INIT, argv = STRV_INIT;
	struct spawn_args args = {.cwd = -1, .fds = fds, .nfds = ARRAY_SIZE(fds)};
	const char *type = "";
	int status = 0, r;
	size_t len = 0;
	pid_t pid;

	if (in < 0 || out < 0 || log < 0)
		return error_errno(err, "memfd_create");
	json_get_string(plugin, "type", &type, err); /* it was checked */
	r = find_plugin(type, path, &file, err);
	if (r == 0 && pwrite(in, json_text(input), strlen(json_text(input)), 0) < 0)
		r = error_errno(err, "plugin %s", type);
	if (r < 0)
		return r;
	plugin_environment(&env, command, pod, path);
	strv_add(&argv, file);
	args.path = file;
	args.argv = argv.v;
	args.envp = env.v;
	log_debug("executing net-plugin %s %s for %s", type, command, pod->ifname);
	r = spawn(&args, &pid, &pidfd, err);
	if (r == 0 && (r = spawn_wait(pid, pidfd, PLUGIN_TIMEOUT_MS, &status, err)) < 0) {
		spawn_kill(pid, pidfd);
		return error_set(err, r, "plugin %s did not end within %d s", type,
				 PLUGIN_TIMEOUT_MS / 1000);
	}
	if (r < 0)
		return r;
	text = read_output(out, &len);
	if (!text)
		return error_set(err, -EFBIG, "plugin %s printed more than a result", type);
	if (status != 0)
		return plugin_failed(type, status, text, len, log, err);
	if (!len)
		return 0;
	r = json_parse(text, len, "its result", ret, err);
	return r < 0 ? error_wrap(err, "plugin %s", type) : 0;
}

int cni_check(struct json_object *conf, const struct cni_pod *pod, struct error *err)
{
	cleanup_free char *path = search_path(pod);
	struct json_object *plugins = NULL;
	int r = json_get_array(conf, "plugins", &plugins, err);

	for (size_t i = 0; r == 0 && i < json_object_array_length(plugins); i++) {
		cleanup_free char *file = NULL;
		const char *type = "";

		json_get_string(json_object_array_get_idx(plugins, i), "type", &type, err);
		r = find_plugin(type, path, &file, err);
	}
	return r;
}

int cni_add(struct json_object *conf, const struct cni_pod *pod, struct json_object **ret,
	    struct error *err)
{
	cleanup_json struct json_object *result = NULL;
	struct json_object *plugins = NULL;
	int r = json_get_array(conf, "plugins", &plugins, err);

	for (size_t i = 0; r == 0 && i < json_object_array_length(plugins); i++) {
		struct json_object *next = NULL;

		r = run_plugin("ADD", conf, json_object_array_get_idx(plugins, i), result, pod,
			       &next, err);
		if (r == 0 && next) {
			json_object_put(result);
			result = next;
		}
	}
	if (r < 0)
		return r;
	if (!result || !json_object_is_type(result, json_type_object))
		return error_set(err, -EPROTO, "the plugins gave no result");
	*ret = take_ptr(result);
	return 0;
}

int cni_del(struct json_object *conf, struct json_object *result, const struct cni_pod *pod,
	    struct error *err)
{
	struct json_object *plugins = NULL;
	int r = json_get_array(conf, "plugins", &plugins, err);

	for (size_t i = plugins ? json_object_array_length(plugins) : 0; i-- > 0;) {
		cleanup_json struct json_object *ignored = NULL;
		struct error this = ERROR_INIT;
		int one = run_plugin("DEL", conf, json_object_array_get_idx(plugins, i), result,
				     pod, &ignored, &this);

		if (one < 0 && r == 0) {
			r = one;
			*err = this;
		}
	}
	return r;
}
