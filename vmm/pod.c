/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pod manifest, read once, strictly: what is used is checked here (names that become file
 * names, words that become a command line, numbers), what is not understood is left alone, and what
 * is understood but not done becomes a note that the caller shows. An app section replaces the
 * image's, so the manifest alone says what runs.
 */
#include "vmm/pod.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include "common/file.h"
#include "common/json.h"
#include "common/util.h"
#include "vmm/agent_proto.h"
#include "vmm/docker.h"
#include "vmm/isolator.h"
#include "vmm/pod_check.h"
#include "vmm/sysctl.h"

#define POD_FILE "pod"

void pod_note(struct pod_spec *pod, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (pod->notes.n >= POD_NOTES_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	strv_add(&pod->notes, text);
}

bool pod_name_valid(const char *s, size_t max)
{
	size_t len = strlen(s);

	if (!len || len > max || s[0] == '-' || s[len - 1] == '-')
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static bool env_name_valid(const char *s)
{
	static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
	size_t len = strlen(s);

	return len && strchr(first, s[0]) &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789.-") ==
		       len;
}

static int parse_words(struct json_object *section, const char *key, struct strv *ret,
		       struct error *err)
{
	struct json_object *list = NULL;
	int r = json_get_array(section, key, &list, err);

	if (r < 0 || !list)
		return r;
	if (json_object_array_length(list) > POD_WORDS_MAX)
		return error_set(err, -E2BIG, "%s has more than %d entries", key, POD_WORDS_MAX);
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *word = json_object_array_get_idx(list, i);

		if (!json_object_is_type(word, json_type_string))
			return error_set(err, -EINVAL, "%s[%zu] is not a string", key, i);
		if (strlen(json_object_get_string(word)) !=
		    (size_t)json_object_get_string_len(word))
			return error_set(err, -EINVAL, "%s[%zu] holds a NUL", key, i);
		strv_add(ret, json_object_get_string(word));
	}
	return 0;
}

static bool env_has(const struct strv *env, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < env->n; i++)
		if (!strncmp(env->v[i], name, len) && env->v[i][len] == '=')
			return true;
	return false;
}

static void env_set(struct strv *env, const char *name, const char *value, bool override)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < env->n; i++) {
		if (strncmp(env->v[i], name, len) || env->v[i][len] != '=')
			continue;
		if (override) {
			free(env->v[i]);
			env->v[i] = xasprintf("%s=%s", name, value);
		}
		return;
	}
	strv_add_owned(env, xasprintf("%s=%s", name, value));
}

/* rkt-behaviour.md section 7.5. container says who runs it, as the appc executor's duties ask. */
static void env_defaults(struct pod_app *app)
{
	static const struct {
		const char *name, *value;
	} defaults[] = {
		{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		{"SHELL", "/bin/sh"},
		{"USER", "root"},
		{"LOGNAME", "root"},
		{"HOME", "/root"},
		{"container", "tripod"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(defaults); i++)
		env_set(&app->env, defaults[i].name, defaults[i].value, false);
	env_set(&app->env, "AC_APP_NAME", app->name, true);
}

static int parse_environment(struct pod_app *app, struct json_object *section, struct error *err)
{
	struct json_object *list = NULL;
	int r = json_get_array(section, "environment", &list, err);

	if (r < 0)
		return r;
	if (list && json_object_array_length(list) > POD_WORDS_MAX)
		return error_set(err, -E2BIG, "more than %d environment variables", POD_WORDS_MAX);
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *entry = json_object_array_get_idx(list, i);
		const char *name = NULL, *value = NULL;

		if (!json_object_is_type(entry, json_type_object))
			return error_set(err, -EINVAL, "environment[%zu] is not an object", i);
		r = json_get_string(entry, "name", &name, err);
		if (r == 0)
			r = json_get_string(entry, "value", &value, err);
		if (r < 0)
			return r;
		if (!name || !env_name_valid(name))
			return error_set(err, -EINVAL, "bad environment variable name \"%s\"",
					 name ? name : "");
		if (env_has(&app->env, name))
			return error_set(err, -EINVAL, "environment variable %s is set twice",
					 name);
		env_set(&app->env, name, value ? value : "", false);
	}
	env_defaults(app);
	return 0;
}

static int parse_gids(struct pod_app *app, struct json_object *section, struct error *err)
{
	struct json_object *list = NULL;
	int r = json_get_array(section, "supplementaryGIDs", &list, err);

	if (r == 0 && !list) /* the other spelling appc documents use */
		r = json_get_array(section, "supplementaryGids", &list, err);
	if (r < 0 || !list)
		return r;
	app->ngids = json_object_array_length(list);
	if (app->ngids > POD_GIDS_MAX) {
		app->ngids = 0;
		return error_set(err, -E2BIG, "more than %d supplementary groups", POD_GIDS_MAX);
	}
	app->gids = xcalloc(app->ngids ? app->ngids : 1, sizeof(app->gids[0]));
	for (size_t i = 0; i < app->ngids; i++) {
		struct json_object *gid = json_object_array_get_idx(list, i);
		int64_t v =
			json_object_is_type(gid, json_type_int) ? json_object_get_int64(gid) : -1;

		if (v < 0 || v >= UINT32_MAX)
			return error_set(err, -EINVAL, "supplementaryGIDs[%zu] is not a group id",
					 i);
		app->gids[i] = (uint32_t)v;
	}
	return 0;
}

/* A string that must be there and not be empty; dflt may stand in for it. */
static int parse_string(struct json_object *section, const char *key, const char *dflt, char **ret,
			struct error *err)
{
	const char *s = NULL;
	int r = json_get_string(section, key, &s, err);

	if (r < 0)
		return r;
	if (!s || !*s)
		s = dflt;
	if (!s)
		return error_set(err, -EINVAL, "%s is missing", key);
	*ret = xstrdup(s);
	return 0;
}

static int parse_handler(struct json_object *entry, struct pod_app *app, struct error *err)
{
	const char *name = NULL;
	struct strv *words;
	int r;

	if (!json_object_is_type(entry, json_type_object))
		return error_set(err, -EINVAL, "not an object");
	r = json_get_string(entry, "name", &name, err);
	if (r < 0)
		return r;
	if (name && strcmp(name, "pre-start") == 0)
		words = &app->pre_start;
	else if (name && strcmp(name, "post-stop") == 0)
		words = &app->post_stop;
	else
		return error_set(err, -EINVAL, "neither pre-start nor post-stop");
	if (words->n)
		return error_set(err, -EINVAL, "there is another %s", name);
	r = parse_words(entry, "exec", words, err);
	if (r == 0 && (!words->n || !*words->v[0]))
		r = error_set(err, -EINVAL, "nothing to execute for %s", name);
	return r;
}

static int parse_handlers(struct json_object *section, struct pod_app *app, struct error *err)
{
	struct json_object *list = NULL;
	int r = json_get_array(section, "eventHandlers", &list, err);

	for (size_t i = 0; r == 0 && list && i < json_object_array_length(list); i++) {
		r = parse_handler(json_object_array_get_idx(list, i), app, err);
		if (r < 0)
			error_wrap(err, "eventHandlers[%zu]", i);
	}
	return r;
}

static int parse_app_section(struct pod_spec *pod, struct pod_app *app, struct json_object *section,
			     struct error *err)
{
	cleanup_strv struct strv notes = STRV_INIT;
	int r;

	if ((r = parse_words(section, "exec", &app->exec, err)) < 0 ||
	    (r = parse_string(section, "user", NULL, &app->user, err)) < 0 ||
	    (r = parse_string(section, "group", NULL, &app->group, err)) < 0 ||
	    (r = parse_string(section, "workingDirectory", "/", &app->workdir, err)) < 0 ||
	    (r = parse_gids(app, section, err)) < 0 ||
	    (r = parse_environment(app, section, err)) < 0 ||
	    (r = isolators_parse(section, &app->iso, &notes, err)) < 0 ||
	    (r = parse_handlers(section, app, err)) < 0)
		return r;
	if (!app->exec.n || !*app->exec.v[0])
		return error_set(err, -EINVAL, "nothing to execute; name a program with --exec");
	if (app->workdir[0] != '/')
		return error_set(err, -EINVAL, "working directory \"%s\" is not absolute",
				 app->workdir);
	for (size_t i = 0; i < notes.n; i++)
		pod_note(pod, "app %s: %s", app->name, notes.v[i]);
	return 0;
}

/* The value of the last annotation of that name; *ret is left alone when there is none. */
static int find_annotation(struct json_object *annotations, const char *name, const char **ret,
			   struct error *err)
{
	for (size_t i = 0; annotations && i < json_object_array_length(annotations); i++) {
		struct json_object *entry = json_object_array_get_idx(annotations, i);
		const char *key = NULL, *value = NULL;

		if (!json_object_is_type(entry, json_type_object))
			return error_set(err, -EINVAL, "an annotation is not an object");
		if (json_get_string(entry, "name", &key, err) < 0 ||
		    json_get_string(entry, "value", &value, err) < 0)
			return err->code;
		if (key && value && !strcmp(key, name))
			*ret = value;
	}
	return 0;
}

static int parse_stdio(struct json_object *annotations, const char *name, enum pod_stdio *ret,
		       struct error *err)
{
	static const struct {
		const char *word;
		enum pod_stdio mode;
	} words[] = {
		{"log", POD_STDIO_LOG},		{"null", POD_STDIO_NULL},
		{"stream", POD_STDIO_STREAM},	{"tty", POD_STDIO_TTY},
		{"interactive", POD_STDIO_LOG}, /* --interactive says the same */
	};
	const char *value = NULL;
	int r = find_annotation(annotations, name, &value, err);

	if (r < 0 || !value)
		return r;
	for (unsigned w = 0; w < ARRAY_SIZE(words); w++) {
		if (!strcmp(value, words[w].word)) {
			*ret = words[w].mode;
			return 0;
		}
	}
	return error_set(err, -EINVAL, "annotation %s: unknown mode \"%s\"", name, value);
}

static int parse_tpm(struct json_object *annotations, bool *ret, struct error *err)
{
	const char *value = NULL;
	int r = find_annotation(annotations, POD_ANNOTATION_TPM, &value, err);

	if (r < 0 || !value)
		return r;
	if (strcmp(value, "on") != 0)
		return error_set(err, -EINVAL, "annotation %s: \"%s\" is not \"on\"",
				 POD_ANNOTATION_TPM, value);
	*ret = true;
	return 0;
}

static bool is_docker(struct json_object *annotations)
{
	for (size_t i = 0; annotations && i < json_object_array_length(annotations); i++) {
		struct json_object *name = NULL;

		json_object_object_get_ex(json_object_array_get_idx(annotations, i), "name", &name);
		if (name && str_starts_with(json_object_get_string(name), POD_ANNOTATION_DOCKER))
			return true;
	}
	return false;
}

static int parse_notify(struct json_object *annotations, bool *ret, struct error *err)
{
	const char *value = NULL;
	int r = find_annotation(annotations, POD_ANNOTATION_NOTIFY, &value, err);

	if (r < 0 || !value)
		return r;
	if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		return error_set(err, -EINVAL, "annotation %s: \"%s\" is neither true nor false",
				 POD_ANNOTATION_NOTIFY, value);
	*ret = strcmp(value, "true") == 0;
	return 0;
}

/* What Docker's images say beside the app section. */
static int parse_docker(struct json_object *annotations, struct pod_app *app, struct error *err)
{
	const char *user = NULL, *stop = NULL;
	int r = find_annotation(annotations, DOCKER_ANNOTATION_USER, &user, err);

	if (r == 0)
		r = find_annotation(annotations, DOCKER_ANNOTATION_STOP_SIGNAL, &stop, err);
	if (r < 0)
		return r;
	app->oci_user =
		user && docker_user_applies(user, app->user, app->group, &app->primary_group);
	app->stop_signal = SIGTERM;
	if (stop && *stop && docker_signal(stop, &app->stop_signal, err) < 0)
		return error_wrap(err, "annotation %s", DOCKER_ANNOTATION_STOP_SIGNAL);
	return 0;
}

static int parse_app(struct pod_spec *pod, struct pod_app *app, struct json_object *entry,
		     struct error *err)
{
	struct json_object *section = NULL, *annotations = NULL;
	const char *name = NULL;
	int r;

	if (!json_object_is_type(entry, json_type_object))
		return error_set(err, -EINVAL, "an app is not an object");
	if ((r = json_get_string(entry, "name", &name, err)) < 0)
		return r;
	if (!name || !pod_name_valid(name, POD_NAME_MAX))
		return error_set(err, -EINVAL, "bad app name \"%s\"", name ? name : "");
	app->name = xstrdup(name);
	if ((r = json_get_object(entry, "app", &section, err)) < 0 ||
	    (r = json_get_bool(entry, "readOnlyRootFS", &app->readonly_root, err)) < 0 ||
	    (r = json_get_array(entry, "annotations", &annotations, err)) < 0)
		return error_wrap(err, "app %s", name);
	if (!section)
		return error_set(err, -EINVAL, "app %s: no app section", name);
	if ((r = parse_app_section(pod, app, section, err)) < 0 ||
	    (r = parse_stdio(annotations, "coreos.com/rkt/stage2/stdin", &app->in, err)) < 0 ||
	    (r = parse_stdio(annotations, "coreos.com/rkt/stage2/stdout", &app->out, err)) < 0 ||
	    (r = parse_stdio(annotations, "coreos.com/rkt/stage2/stderr", &app->errout, err)) < 0 ||
	    (r = parse_tpm(annotations, &app->tpm, err)) < 0 ||
	    (r = parse_notify(annotations, &app->notify, err)) < 0 ||
	    (r = parse_docker(annotations, app, err)) < 0)
		return error_wrap(err, "app %s", name);
	app->docker = is_docker(annotations);
	return 0;
}

static int parse_apps(struct pod_spec *pod, struct json_object *apps, struct error *err)
{
	size_t n = apps ? json_object_array_length(apps) : 0;

	if (n > PLAN_APPS_MAX)
		return error_set(err, -E2BIG, "%zu apps, at most %d", n, PLAN_APPS_MAX);
	pod->apps = xcalloc(n ? n : 1, sizeof(pod->apps[0]));
	while (pod->napps < n) {
		struct pod_app *app = &pod->apps[pod->napps++];
		int r = parse_app(pod, app, json_object_array_get_idx(apps, pod->napps - 1), err);

		if (r < 0)
			return r;
		for (unsigned i = 0; i + 1 < pod->napps; i++)
			if (!strcmp(pod->apps[i].name, app->name))
				return error_set(err, -EINVAL, "two apps are called %s", app->name);
	}
	return 0;
}

/* Apps of such a pod come and go, so that it may have none. */
static int parse_mutable(struct json_object *root, bool *ret, struct error *err)
{
	struct json_object *annotations = NULL;
	const char *value = NULL;
	int r = json_get_array(root, "annotations", &annotations, err);

	if (r == 0)
		r = find_annotation(annotations, POD_ANNOTATION_MUTABLE, &value, err);
	if (r == 0)
		*ret = value && strcmp(value, "true") == 0;
	return r;
}

int pod_parse(const char *text, size_t len, struct pod_spec *ret, struct error *err)
{
	cleanup_json struct json_object *root = NULL;
	cleanup(pod_free) struct pod_spec pod = {.apps = NULL};
	struct json_object *apps = NULL;
	const char *kind = NULL;
	int r = json_parse(text, len, "pod manifest", &root, err);

	if (r < 0)
		return r;
	if (!json_object_is_type(root, json_type_object))
		return error_set(err, -EINVAL, "pod manifest: not an object");
	if (json_get_string(root, "acKind", &kind, err) < 0 ||
	    json_get_array(root, "apps", &apps, err) < 0)
		return error_wrap(err, "pod manifest");
	if (!kind || strcmp(kind, "PodManifest"))
		return error_set(err, -EINVAL, "pod manifest: acKind is not PodManifest");
	pod.ports = xcalloc(POD_PORTS_MAX, sizeof(pod.ports[0]));
	if (parse_mutable(root, &pod.mutable_pod, err) < 0)
		return error_wrap(err, "pod manifest");
	if (!pod.mutable_pod && (!apps || !json_object_array_length(apps)))
		return error_set(err, -EINVAL, "pod manifest: the pod has no apps");
	if (parse_apps(&pod, apps, err) < 0 || pod_check(root, err) < 0 ||
	    pod_volumes_parse(root, &pod, err) < 0 || sysctl_parse(root, &pod.sysctls, err) < 0 ||
	    pod_ports_parse(root, pod.ports, POD_PORTS_MAX, &pod.nports, err) < 0)
		return error_wrap(err, "pod manifest");
	*ret = pod;
	pod = (struct pod_spec){.apps = NULL};
	return 0;
}

int pod_load(int dirfd, struct pod_spec *ret, struct error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r = file_read(dirfd, POD_FILE, JSON_SIZE_MAX, &text, &len, err);

	return r < 0 ? error_wrap(err, "pod manifest") : pod_parse(text, len, ret, err);
}

void pod_free(struct pod_spec *pod)
{
	for (unsigned i = 0; i < pod->napps; i++) {
		struct pod_app *app = &pod->apps[i];

		free(app->name);
		strv_free(&app->exec);
		strv_free(&app->env);
		strv_free(&app->pre_start);
		strv_free(&app->post_stop);
		free(app->user);
		free(app->group);
		free(app->workdir);
		free(app->gids);
		free(app->filter);
		isolators_free(&app->iso);
	}
	pod_volumes_free(pod);
	free(pod->apps);
	free(pod->ports);
	strv_free(&pod->notes);
	strv_free(&pod->sysctls);
	*pod = (struct pod_spec){.apps = NULL};
}

void pod_filters(struct pod_spec *pod)
{
	const struct pod_app *model = NULL; /* one with the filter most apps have */

	for (unsigned i = 0; i < pod->napps; i++) {
		struct pod_app *app = &pod->apps[i];

		if (app->iso.seccomp.mode == SECCOMP_OFF)
			continue;
		if (!app->iso.has_seccomp && model) {
			app->filter_len = model->filter_len;
			app->filter = xcalloc(1, app->filter_len);
			memcpy(app->filter, model->filter, app->filter_len);
			continue;
		}
		seccomp_compile(&app->iso.seccomp, &app->filter, &app->filter_len);
		if (!app->iso.has_seccomp)
			model = app;
	}
}

uint64_t pod_memory(const struct pod_spec *pod, uint64_t dflt)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < pod->napps; i++)
		sum += pod->apps[i].iso.memory; /* at most 64 of POD_MEMORY_MAX: can not wrap */
	sum = sum ? sum + POD_MEMORY_RESERVE(sum) : dflt;
	return MIN(MAX(sum, POD_MEMORY_MIN), POD_MEMORY_MAX);
}

unsigned pod_cpus(const struct pod_spec *pod, unsigned host_cpus)
{
	uint64_t sum = 0, cpus;

	for (unsigned i = 0; i < pod->napps; i++)
		if (__builtin_add_overflow(sum, pod->apps[i].iso.cpu, &sum))
			sum = UINT64_MAX / 2;
	cpus = DIV_ROUND_UP(sum, 1000);
	return (unsigned)MAX(MIN(cpus, (uint64_t)host_cpus), UINT64_C(1));
}

int pod_open_disk(int dirfd, const struct pod_app *app, int *fds, unsigned max, unsigned *ret_n,
		  struct error *err)
{
	cleanup_free char *path = xasprintf("stage1/rootfs/opt/stage2/%s/disk", app->name);
	cleanup_fd int dir = openat(dirfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	unsigned n = 0;

	if (dir < 0)
		return error_errno(err, "app %s: %s", app->name, path);
	for (;; n++) {
		char file[16];
		int fd;

		snprintf(file, sizeof(file), "%u", n);
		/* a link is fine: stage0 links to the store's files */
		fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT && n > 0)
			break;
		if (fd < 0) {
			error_errno(err, "app %s: %s/%s", app->name, path, file);
			goto fail;
		}
		if (n == max) {
			close(fd);
			error_set(err, -E2BIG, "app %s: its disk has more than %u files", app->name,
				  max);
			goto fail;
		}
		fds[n] = fd;
	}
	*ret_n = n;
	return 0;
fail:
	while (n)
		close(fds[--n]);
	return err->code;
}
