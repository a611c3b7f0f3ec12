/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: read the images and what is said about them, bring them into the store, write the pod and
 * become its stage1. Until the exec, a failure takes the whole pod away again; after it, the pod is
 * stage1's, and stays behind as an exited pod for status, list and gc.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/util.h"
#include "stage0/acname.h"
#include "stage0/cmds.h"
#include "stage0/grammar.h"
#include "stage0/image_manifest.h"
#include "stage0/imageref.h"
#include "stage0/prepare.h"
#include "stage0/stage1.h"

#define ENV_FILE_MAX (1 << 20) /* bytes; execve takes 2 MiB in all */
#define HOSTNAME_MAX 64	       /* bytes, the kernel's limit */

struct run_options {
	char *hostname;
	bool inherit_env;
	bool interactive;
	struct strv set_env;
	struct strv set_env_file;
	char *stage1_path;
	char *uuid_file_save;
};

#define POD(field) .offset = offsetof(struct run_options, field)
#define APP(field) .app = true, .offset = offsetof(struct app_request, field)

static const struct option options[] = {
	{"annotation", OPT_KEYVALS, APP(annotations), .arg = "NAME=VALUE",
	 .help = "add an annotation to the app (repeatable)"},
	{"caps-remove", OPT_STRING, APP(caps_remove), .arg = "LIST",
	 .help = "take these capabilities away from the app's default set"},
	{"caps-retain", OPT_STRING, APP(caps_retain), .arg = "LIST",
	 .help = "leave the app these capabilities only"},
	{"cpu", OPT_STRING, APP(cpu), .arg = "QUANTITY",
	 .help = "CPU limit of the app, such as 2 or 500m"},
	{"environment", OPT_KEYVALS, APP(environment), .arg = "NAME=VALUE",
	 .help = "set a variable in the app's environment (repeatable)"},
	{"exec", OPT_STRING, APP(exec), .arg = "PATH",
	 .help = "run this program in the place of the image's command line"},
	{"group", OPT_STRING, APP(group), .arg = "GROUP",
	 .help = "run the app as this group: a name, a number, or a path whose group counts"},
	{"hostname", OPT_STRING, POD(hostname), .arg = "NAME",
	 .help = "host name of the pod (default: rkt- and the pod's UUID)"},
	{"inherit-env", OPT_BOOL, POD(inherit_env),
	 .help = "give the apps our own environment where they have no value of their own"},
	{"interactive", OPT_BOOL, POD(interactive),
	 .help = "connect the app to this terminal; for a single app"},
	{"memory", OPT_STRING, APP(memory), .arg = "QUANTITY",
	 .help = "memory limit of the app, such as 512M or 1Gi"},
	{"name", OPT_STRING, APP(name), .arg = "NAME",
	 .help = "name of the app (default: the last part of the image's name)"},
	{"readonly-rootfs", OPT_BOOL, APP(readonly_rootfs), .explicit_value = true, .arg = "BOOL",
	 .help = "let the app not write to its root file system"},
	{"set-env", OPT_ENV, POD(set_env), .arg = "NAME=VALUE",
	 .help = "set a variable for all apps, over any other value (repeatable)"},
	{"set-env-file", OPT_LIST, POD(set_env_file), .arg = "FILE",
	 .help = "set the variables in a file of NAME=VALUE lines for all apps (repeatable)"},
	{"stage1-path", OPT_STRING, POD(stage1_path), .arg = "FILE",
	 .help = "stage1 image to run the pod with (default: stage1-kvm.aci beside tripod)"},
	{"supplementary-gids", OPT_STRING, APP(supplementary_gids), .arg = "LIST",
	 .help = "supplementary groups of the app, numbers"},
	{"user", OPT_STRING, APP(user), .arg = "USER",
	 .help = "run the app as this user: a name, a number, or a path whose owner counts"},
	{"user-annotation", OPT_KEYVALS, APP(user_annotations), .arg = "NAME=VALUE",
	 .help = "add a user annotation to the app (repeatable)"},
	{"user-label", OPT_KEYVALS, APP(user_labels), .arg = "NAME=VALUE",
	 .help = "add a user label to the app (repeatable)"},
	{"uuid-file-save", OPT_STRING, POD(uuid_file_save), .arg = "FILE",
	 .help = "write the pod's UUID to this file"},
	{"working-dir", OPT_STRING, APP(working_dir), .arg = "PATH",
	 .help = "working directory of the app"},
	{.name = NULL},
};

/* Everything a run holds, so that one function lets go of it. */
struct run {
	struct globals *globals;
	struct run_options *opts;
	struct image_list images;
	struct pod_request request;
	struct pods pods;
	struct pod pod;
	struct store *store;
	struct stage1_image stage1;
	struct pod_app *apps; /* as many as images */
	struct json_object *manifest;
};

static void run_free(struct run *run)
{
	for (size_t i = 0; run->apps && i < run->images.n; i++) {
		json_object_put(run->apps[i].image);
		free((char *)run->apps[i].key);
		free(run->apps[i].name);
	}
	free(run->apps);
	json_object_put(run->manifest);
	json_object_put(run->stage1.manifest);
	store_close(run->store);
	pod_close(&run->pod);
	pods_close(&run->pods);
	strv_free(&run->request.set_env_file);
	strv_free(&run->request.inherit_env);
	image_list_free(&run->images, options);
}

/* Our own environment, as far as it has a place in a manifest. */
static void read_own_environment(struct strv *ret)
{
	for (char **p = environ; *p; p++) {
		cleanup_free char *key = xstrndup(*p, strcspn(*p, "="));
		struct json_object *value = NULL;
		struct error ignored = ERROR_INIT;
		cleanup_str struct str quoted = STR_INIT;

		if (!strchr(*p, '=') || !acenv_is_valid(key) || keyvals_get(ret, key))
			continue;
		/* what is no UTF-8 can not be written in JSON */
		value = json_object_new_string(*p);
		str_add(&quoted, json_text(value));
		json_object_put(value);
		value = NULL;
		if (json_parse(str_get(&quoted), quoted.len, "environment", &value, &ignored) == 0)
			strv_add(ret, *p);
		json_object_put(value);
	}
}

static int read_environment(struct run *run, struct error *err)
{
	for (size_t i = 0; i < run->opts->set_env_file.n; i++) {
		const char *file = run->opts->set_env_file.v[i];
		cleanup_free char *text = NULL;
		size_t len;
		int r = file_read(AT_FDCWD, file, ENV_FILE_MAX, &text, &len, err);

		if (r == 0)
			r = env_file_parse(text, file, &run->request.set_env_file, err);
		if (r < 0)
			return error_wrap(err, "--set-env-file");
	}
	if (run->opts->inherit_env)
		read_own_environment(&run->request.inherit_env);
	return 0;
}

static int check_hostname(const char *name, struct error *err)
{
	size_t len = strlen(name);

	if (len == 0 || len > HOSTNAME_MAX || name[0] == '-' || name[0] == '.' ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") != len)
		return error_set(err, -EINVAL, "--hostname: \"%s\" is not a host name", name);
	return 0;
}

/* All that can be said before anything is done. */
static int check_request(struct run *run, struct error *err)
{
	if (run->opts->interactive && run->images.n > 1)
		return error_set(err, -EINVAL, "--interactive is for a single image, not %zu",
				 run->images.n);
	if (run->images.n == 0)
		return error_set(err, -EINVAL, "no image is named");
	if (run->opts->hostname)
		return check_hostname(run->opts->hostname, err);
	return 0;
}

/*
 * Signatures can not be checked yet, so an image only runs when the user waives them. The messages
 * tell an image without a signature from one whose signature goes unchecked.
 */
static int check_signature(const struct run *run, const struct imageref *ref, struct error *err)
{
	cleanup_free char *signature = xasprintf("%s.asc", ref->path);

	if (run->globals->insecure & INSECURE_IMAGE)
		return 0;
	if (ref->kind == IMAGEREF_OCI)
		return error_set(err, -ENOKEY,
				 "%s: an image of a layout has digests and no signature "
				 "(--insecure-options=image runs it all the same)",
				 ref->path);
	if (access(signature, F_OK) < 0)
		return error_errno(err,
				   "%s: the image is not signed (--insecure-options=image runs it "
				   "all the same): error opening signature file %s",
				   ref->path, signature);
	return error_set(err, -EOPNOTSUPP,
			 "%s: this version can not check the signature %s; "
			 "--insecure-options=image runs the image unchecked",
			 ref->path, signature);
}

/* The checked manifest of an image in the store. */
static int load_manifest(struct run *run, const char *what, const char *key,
			 struct json_object **ret, struct error *err)
{
	cleanup_json struct json_object *doc = NULL;
	cleanup_strv struct strv warnings = STRV_INIT;
	int r = store_manifest(run->store, key, &doc, err);

	if (r == 0)
		r = image_manifest_check(doc, &warnings, err);
	if (r < 0)
		return error_wrap(err, "%s", what);
	for (size_t i = 0; i < warnings.n; i++)
		log_warn("%s: %s", what, warnings.v[i]);
	*ret = take_ptr(doc);
	return 0;
}

static int find_stage1(struct run *run, struct error *err)
{
	cleanup_free char *path = NULL, *entry = NULL;
	int r = stage1_find(run->opts->stage1_path, &path, err);

	if (r < 0)
		return r;
	log_debug("stage1: using image from file %s", path);
	r = imageref_import_aci(run->store, path, run->stage1.key, err);
	if (r == 0)
		r = load_manifest(run, path, run->stage1.key, &run->stage1.manifest, err);
	if (r == 0)
		r = stage1_entrypoint(run->stage1.manifest, "run", &entry, err);
	return r < 0 ? error_wrap(err, "stage1") : 0;
}

static int find_image(struct run *run, size_t i, struct error *err)
{
	const struct app_request *request = &run->images.v[i];
	cleanup(imageref_free) struct imageref ref = {.path = NULL};
	cleanup_strv struct strv warnings = STRV_INIT;
	char key[IMAGE_KEY_LEN + 1];
	int r = imageref_parse(request->image, &ref, err);

	if (r == 0)
		r = check_signature(run, &ref, err);
	if (r < 0)
		return r;
	log_debug("image: using image from file %s", ref.path);
	r = imageref_import(run->store, &ref, key, &warnings, err);
	if (r < 0)
		return r;
	for (size_t w = 0; w < warnings.n; w++)
		log_warn("%s: %s", request->image, warnings.v[w]);
	run->apps[i].request = request;
	run->apps[i].key = xstrdup(key);
	r = load_manifest(run, request->image, key, &run->apps[i].image, err);
	if (r == 0 && image_manifest_runnable(run->apps[i].image, err) < 0)
		r = error_wrap(err, "%s", request->image);
	return r;
}

static int find_images(struct run *run, struct error *err)
{
	run->apps = xcalloc(run->images.n, sizeof(*run->apps));
	for (size_t i = 0; i < run->images.n; i++) {
		int r = find_image(run, i, err);

		if (r < 0)
			return r;
	}
	return pod_manifest_build(&run->request, run->apps, run->images.n, &run->manifest, err);
}

/* The UUID without a newline, put in place whole; written to, if it is no regular file. */
static int save_uuid(const char *path, const char *uuid, struct error *err)
{
	cleanup_fd int fd = -1;
	struct stat st;
	int r;

	if (stat(path, &st) < 0 || S_ISREG(st.st_mode)) {
		r = file_write(AT_FDCWD, path, uuid, strlen(uuid), 0644, err);
	} else {
		fd = open(path, O_WRONLY | O_CLOEXEC);
		r = fd < 0 ? -errno : write_all(fd, uuid, strlen(uuid));
		if (r < 0)
			error_set(err, r, "%s: %s", path, strerror(-r));
	}
	return r < 0 ? error_wrap(err, "--uuid-file-save") : 0;
}

/* Fill the pod and become stage1. Returns only to fail; the pod is the caller's to remove. */
static int run_pod(struct run *run, struct error *err)
{
	cleanup_free char *hostname = xasprintf("rkt-%s", run->pod.uuid);
	const struct stage1_run how = {
		.interactive = run->opts->interactive,
		.hostname = run->opts->hostname ? run->opts->hostname : hostname,
		.hostname_given = run->opts->hostname != NULL,
	};
	int r = 0;

	if (run->opts->uuid_file_save)
		r = save_uuid(run->opts->uuid_file_save, run->pod.uuid, err);
	if (r == 0)
		r = prepare_pod(&run->pods, &run->pod, run->store, &run->stage1, run->apps,
				run->images.n, run->manifest, err);
	if (r == 0)
		r = pod_move(&run->pods, &run->pod, POD_RUN, err);
	if (r == 0) {
		log_debug("Pod %s is written, becoming stage1", run->pod.uuid);
		store_close(run->store);
		run->store = NULL;
		r = stage1_exec(&run->pods, &run->pod, run->stage1.manifest, run->globals, &how,
				err);
	}
	return r;
}

/* A pod that never ran leaves nothing; what can not be removed now is gc's. */
static void discard_pod(struct run *run)
{
	struct error err = ERROR_INIT;

	if (pod_move(&run->pods, &run->pod, POD_GARBAGE, &err) < 0 ||
	    pod_delete(&run->pods, &run->pod, &err) < 0)
		log_warn("%s", err.msg);
}

static int run_images(struct run *run, struct error *err)
{
	cleanup_free char *data_dir = NULL;
	int r = globals_data_dir(run->globals, &data_dir, err);

	if (r == 0)
		r = pods_open(data_dir, &run->pods, err);
	if (r == 0)
		r = store_open(data_dir, &run->store, err);
	if (r == 0)
		r = find_stage1(run, err);
	if (r == 0)
		r = find_images(run, err);
	if (r == 0)
		r = pod_create(&run->pods, &run->pod, err);
	if (r < 0)
		return r;
	r = run_pod(run, err);
	discard_pod(run);
	return r;
}

static int run_command(struct globals *globals, void *opts, const struct strv *args)
{
	struct run run = {
		.globals = globals,
		.opts = opts,
		.images = IMAGE_LIST_INIT,
		.pods = {.fd = -1},
		.pod = POD_INIT,
	};
	const struct option_set sets[] = {{options, opts}, {global_options, globals}};
	struct error err = ERROR_INIT;
	int status = EXIT_FAILED;

	run.request.uid = geteuid();
	run.request.gid = getegid();
	if (grammar_parse(args, sets, ARRAY_SIZE(sets), &run.images, &err) < 0)
		goto out;
	if (globals->help) {
		usage_command(stdout, globals->prog, &cmd_run);
		status = 0;
		goto out;
	}
	run.request.set_env = run.opts->set_env; /* borrowed */
	if (globals_apply(globals, &err) < 0 || check_request(&run, &err) < 0 ||
	    read_environment(&run, &err) < 0)
		goto out;
	run_images(&run, &err);
out:
	if (status != 0)
		log_error("%s", err.msg);
	run_free(&run);
	return status;
}

const struct command cmd_run = {
	.name = "run",
	.args = "[options] IMAGE [options] [-- ARGS [---]] [IMAGE ...]",
	.summary = "run images as a pod",
	.text = "Run one or more images as the apps of a pod, in a virtual machine of its\n"
		"own, and wait for it. IMAGE is the path of an .aci file, or oci:DIR[:NAME] for\n"
		"an image of an OCI layout. Options after an image are for that image; words\n"
		"between \"--\" and \"---\" are arguments of its program.\n"
		"\n"
		"A single app's output is passed on as it is; that of several apps gets the\n"
		"app's name before each line. The exit status is that of the first app that\n"
		"fails, or 0; 254 when the pod could not be started.",
	.options = options,
	.size = sizeof(struct run_options),
	.flags = COMMAND_GRAMMAR | COMMAND_ROOT,
	.run = run_command,
};
