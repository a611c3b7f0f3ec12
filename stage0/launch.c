/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What run, prepare and run-prepared have in common, in the order it happens: the words of the
 * command line, the images into the store, the pod's directory, stage1. A command calls the steps it
 * is made of; each takes what the ones before it left in struct launch, which holds everything, so
 * that one function lets go of it.
 */
#include "stage0/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/util.h"
#include "stage0/acname.h"
#include "stage0/image_manifest.h"
#include "stage0/network.h"
#include "stage0/pod_file.h"
#include "stage0/rate.h"
#include "stage0/stage1.h"
#include "stage0/volume.h"

#define ENV_FILE_MAX (1 << 20) /* bytes; execve takes 2 MiB in all */
#define HOSTNAME_MAX 64	       /* bytes, the kernel's limit */

/* What an image on the command line may have. */
static const struct option image_options[] = {
	{.include = launch_app_options},
	{.include = launch_image_options},
	{.name = NULL},
};

void launch_free(struct launch *launch)
{
	for (size_t i = 0; launch->apps && i < launch->napps; i++) {
		json_object_put(launch->apps[i].image);
		free((char *)launch->apps[i].key);
		free(launch->apps[i].name);
	}
	free(launch->apps);
	dns_free(&launch->dns);
	json_object_put(launch->manifest);
	json_object_put(launch->stage1.manifest);
	fetching_close(&launch->fetching);
	store_close(launch->store);
	pod_close(&launch->pod);
	pods_close(&launch->pods);
	strv_free(&launch->request.set_env_file);
	strv_free(&launch->request.inherit_env);
	image_list_free(&launch->images, image_options);
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

static int read_environment(struct launch *launch, struct error *err)
{
	for (size_t i = 0; i < launch->opts->set_env_file.n; i++) {
		const char *file = launch->opts->set_env_file.v[i];
		cleanup_free char *text = NULL;
		size_t len;
		int r = file_read(AT_FDCWD, file, ENV_FILE_MAX, &text, &len, err);

		if (r == 0)
			r = env_file_parse(text, file, &launch->request.set_env_file, err);
		if (r < 0)
			return error_wrap(err, "--set-env-file");
	}
	if (launch->opts->inherit_env)
		read_own_environment(&launch->request.inherit_env);
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

/* What is said of volumes, before images are looked for. */
static int check_volumes(struct launch *launch, struct error *err)
{
	cleanup_json struct json_object *volumes = json_object_new_array();
	const struct strv none = STRV_INIT;
	int r = 0;

	for (size_t i = 0; r == 0 && i < launch->opts->volumes.n; i++)
		r = volume_add(volumes, launch->opts->volumes.v[i], err);
	for (size_t i = 0; r == 0 && i <= launch->images.n; i++) {
		cleanup_json struct json_object *mounts = NULL;

		r = mounts_build(volumes, i ? &launch->images.v[i - 1].mounts : &none,
				 &launch->opts->mounts, &mounts, err);
	}
	launch->napps = launch->images.n;
	return r;
}

/* The manifest is given: nothing else may be that is in a manifest. */
static int take_pod_file(struct launch *launch, struct error *err)
{
	const struct launch_options *opts = launch->opts;
	struct json_object *apps = NULL;
	int r;

	if (launch->images.n || opts->ports.n || opts->sysctls.n || opts->volumes.n ||
	    opts->mounts.n || opts->set_env.n || opts->set_env_file.n || opts->inherit_env)
		return error_set(err, -EINVAL,
				 "conflicting flags set with --pod-manifest (see --help)");
	r = pod_file_read(opts->pod_manifest, &launch->manifest, err);
	if (r == 0)
		r = json_get_array(launch->manifest, "apps", &apps, err);
	if (r == 0)
		launch->napps = apps ? json_object_array_length(apps) : 0;
	return r;
}

/* All that can be said before anything is done. */
static int check_request(struct launch *launch, struct error *err)
{
	int r = launch->opts->pod_manifest ? take_pod_file(launch, err)
					   : check_volumes(launch, err);

	if (r < 0)
		return r;
	if (launch->sandbox && launch->images.n)
		return error_set(err, -EINVAL, "a sandbox begins without apps; see app add");
	if (launch->images.n == 0 && !launch->opts->pod_manifest && !launch->sandbox)
		return error_set(err, -EINVAL, "no image is named");
	r = stage1_choice_check(&launch->opts->stage1, err);
	if (r == 0)
		r = fetching_parse(&launch->opts->fetching, &launch->fetching, err);
	return r < 0 ? r : launch_check_run(launch, launch->napps, err);
}

/* The checked manifest of an image in the store. */
static int load_manifest(struct launch *launch, const char *what, const char *key,
			 struct json_object **ret, struct error *err)
{
	cleanup_json struct json_object *doc = NULL;
	cleanup_strv struct strv warnings = STRV_INIT;
	int r = store_manifest(launch->store, key, &doc, err);

	if (r == 0)
		r = image_manifest_check(doc, &warnings, err);
	if (r < 0)
		return error_wrap(err, "%s", what);
	for (size_t i = 0; i < warnings.n; i++)
		log_warn("%s: %s", what, warnings.v[i]);
	*ret = take_ptr(doc);
	return 0;
}

static int find_stage1(struct launch *launch, struct error *err)
{
	cleanup_free char *what = NULL, *entry = NULL;
	int r = stage1_choose(&launch->opts->stage1, &launch->fetching, launch->globals->as_rkt,
			      &what, launch->stage1.key, err);

	if (r == 0)
		r = load_manifest(launch, what, launch->stage1.key, &launch->stage1.manifest, err);
	if (r == 0)
		r = stage1_entrypoint(launch->stage1.manifest, "run", &entry, err);
	if (r == 0 && launch->sandbox && !stage1_is_mutable(launch->stage1.manifest))
		return error_set(err, -ENOTSUP, "stage1 does not support mutable pods");
	return r < 0 ? error_wrap(err, "stage1") : 0;
}

/* The manifest of an app's image, whose key is known. */
static int load_image(struct launch *launch, const char *what, struct pod_app *app,
		      struct error *err)
{
	int r = load_manifest(launch, what, app->key, &app->image, err);

	if (r == 0 && image_manifest_runnable(app->image, err) < 0)
		r = error_wrap(err, "%s", what);
	return r;
}

static int find_image(struct launch *launch, size_t i, struct error *err)
{
	const struct app_request *request = &launch->images.v[i];
	char key[IMAGE_KEY_LEN + 1];
	int r = fetching_image(&launch->fetching, request->image, request->signature, false, key,
			       err);

	if (r < 0)
		return r;
	launch->apps[i].request = request;
	launch->apps[i].key = xstrdup(key);
	return load_image(launch, request->image, &launch->apps[i], err);
}

/* The image of an app of --pod-manifest, and the app as the two say. */
static int find_pod_file_image(struct launch *launch, size_t i, struct error *err)
{
	cleanup_strv struct strv warnings = STRV_INIT;
	struct pod_app *app = &launch->apps[i];
	int r = pod_file_image(launch->manifest, i, launch->store, app, err);

	if (r == 0)
		r = load_image(launch, app->name, app, err);
	if (r == 0)
		r = pod_file_complete(launch->manifest, i, app, &warnings, err);
	for (size_t k = 0; r == 0 && k < warnings.n; k++)
		log_warn("%s: %s", app->name, warnings.v[k]);
	return r;
}

static int find_images(struct launch *launch, struct error *err)
{
	const bool given = launch->opts->pod_manifest;

	launch->apps = xcalloc(launch->napps ? launch->napps : 1, sizeof(*launch->apps));
	for (size_t i = 0; i < launch->napps; i++) {
		int r = given ? find_pod_file_image(launch, i, err) : find_image(launch, i, err);

		if (r < 0)
			return r;
	}
	if (given)
		return 0;
	return pod_manifest_build(&launch->request, launch->apps, launch->napps, &launch->manifest,
				  err);
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

/*
 * Read the words behind the command, table being its options, and check all that can be checked
 * before anything is done. With globals->help set nothing is.
 */
static int parse(struct launch *launch, const struct option *table, const struct strv *words,
		 struct error *err)
{
	const struct option_set sets[] = {{table, launch->opts}, {global_options, launch->globals}};
	int r = grammar_parse(words, sets, ARRAY_SIZE(sets), &launch->images, err);

	if (r < 0 || launch->globals->help)
		return r;
	launch->request.uid = geteuid();
	launch->request.gid = getegid();
	launch->request.set_env = launch->opts->set_env; /* borrowed */
	launch->request.ports = launch->opts->ports;	 /* borrowed */
	launch->request.mutable_pod = launch->sandbox;
	launch->request.whole_ports = launch->opts->whole_ports; /* borrowed, as what follows */
	launch->request.annotations = launch->opts->annotations;
	launch->request.user_annotations = launch->opts->user_annotations;
	launch->request.user_labels = launch->opts->user_labels;
	launch->request.sysctls = launch->opts->sysctls;
	launch->request.volumes = launch->opts->volumes; /* borrowed */
	launch->request.mounts = launch->opts->mounts;	 /* borrowed */
	r = globals_apply(launch->globals, err);
	if (r == 0)
		r = check_request(launch, err);
	return r < 0 ? r : read_environment(launch, err);
}

int launch_command(struct launch *launch, const struct command *command, const struct strv *words,
		   int (*steps)(struct launch *launch, struct error *err), int failed)
{
	struct error err = ERROR_INIT;
	int r = parse(launch, command->options, words, &err);

	if (r == 0 && launch->globals->help)
		usage_command(stdout, launch->globals->prog, command);
	else if (r == 0)
		r = steps(launch, &err);
	if (r < 0)
		log_error("%s", err.msg);
	launch_free(launch);
	return r < 0 ? failed : 0;
}

int launch_open(struct launch *launch, struct error *err)
{
	cleanup_free char *data_dir = NULL;
	int r = globals_data_dir(launch->globals, &data_dir, err);

	if (r == 0)
		r = pods_open(data_dir, &launch->pods, err);
	return r < 0 ? r : store_open(data_dir, &launch->store, err);
}

int launch_create(struct launch *launch, struct error *err)
{
	int r = fetching_open(launch->globals, launch->store, launch->opts->quiet,
			      &launch->fetching, err);

	if (r == 0)
		r = find_stage1(launch, err);
	if (r == 0)
		r = find_images(launch, err);
	fetching_close(&launch->fetching);
	if (r == 0)
		r = pod_create(&launch->pods, &launch->pod, err);
	return r;
}

int launch_prepare(struct launch *launch, struct error *err)
{
	int r = 0;

	if (launch->opts->uuid_file_save)
		r = save_uuid(launch->opts->uuid_file_save, launch->pod.uuid, err);
	if (r == 0)
		r = prepare_pod(&launch->pods, &launch->pod, launch->store, &launch->stage1,
				launch->apps, launch->napps, launch->manifest, err);
	return r;
}

/*
 * The networks stage1 is told of (rkt-behaviour 8.1); NULL: nothing is said, for who has no privilege
 * and a stage1 that is not ours.
 */
static const char *networks(const struct launch *launch)
{
	if (launch->opts->net && *launch->opts->net)
		return launch->opts->net;
	if (geteuid() == 0)
		return "default";
	return stage1_takes_disks(launch->stage1.manifest) ? "user" : NULL;
}

int launch_check_run(const struct launch *launch, size_t napps, struct error *err)
{
	const struct launch_options *opts = launch->opts;
	uint64_t rates[RATES_MAX];
	struct dns dns;
	int r = 0;

	if (opts->interactive && napps > 1)
		return error_set(err, -EINVAL, "--interactive is for a single app, not %zu", napps);
	if (opts->hostname)
		r = check_hostname(opts->hostname, err);
	if (r == 0 && opts->tpm.tpm) /* prepare has no such options */
		r = tpm_options_check(&opts->tpm, err);
	if (r == 0 && opts->disk.rw) /* likewise */
		r = disk_options_check(&opts->disk, err);
	if (r == 0 && opts->net)
		r = network_check(opts->net, err);
	if (r == 0 && opts->net_rate)
		r = rate_parse(&net_rate, opts->net_rate, rates, err);
	if (r == 0 && opts->net && opts->ports.n + opts->whole_ports.n &&
	    !network_publishes(opts->net))
		r = error_set(err, -EINVAL, "--port needs a network, not --net=%s", opts->net);
	if (r == 0 && opts->mds_register && opts->net && strcmp(opts->net, "none") == 0)
		r = error_set(err, -EINVAL, "--mds-register needs a network, not --net=none");
	if (r < 0)
		return r;
	r = dns_make(&opts->dns, "", &dns, err);
	if (r == 0)
		dns_free(&dns);
	return r;
}

/*
 * The run entry point's part of the options, and the files that go with it. hostname is the one the
 * pod has by default.
 */
static int how_to_run(struct launch *launch, const char *hostname, struct stage1_run *ret,
		      struct error *err)
{
	const struct launch_options *opts = launch->opts;
	int r;

	*ret = (struct stage1_run){
		.interactive = opts->interactive,
		.mutable_pod = launch->sandbox,
		.hostname = opts->hostname ? opts->hostname : hostname,
		.hostname_given = opts->hostname != NULL,
		.net = networks(launch),
		.local_config = globals_config_dirs(launch->globals).local,
	};
	r = dns_make(&opts->dns, ret->hostname, &launch->dns, err);
	if (r == 0)
		r = dns_write(&launch->dns, launch->pod.fd, err);
	if (r == 0)
		r = pod_tpm_write(&opts->tpm, &launch->pods, &launch->pod, err);
	if (r == 0 && opts->disk.rw && stage1_takes_disks(launch->stage1.manifest))
		r = disk_write(&opts->disk, &launch->pod, launch->manifest, err);
	if (r == 0)
		r = rate_write(&net_rate, opts->net_rate, &launch->pod, err);
	ret->dns_mode = launch->dns.mode;
	if (opts->mds_register) {
		mds_make_token(launch->mds_token);
		ret->mds_token = launch->mds_token;
	}
	return r;
}

int launch_measure(struct launch *launch, const struct stage1_host *host, char **ret,
		   size_t *ret_len, struct error *err)
{
	cleanup_free char *hostname = xasprintf("rkt-%s", launch->pod.uuid);
	struct stage1_run how;
	int r = how_to_run(launch, hostname, &how, err);

	if (r < 0)
		return r;
	return stage1_measure(&launch->pods, &launch->pod, launch->stage1.manifest, launch->globals,
			      &how, host, ret, ret_len, err);
}

/* Say to the host's TPM what is about to run. */
static int record(struct launch *launch, const struct strv *argv, struct error *err)
{
	cleanup_free char *warning = NULL;
	struct json_object *manifest = launch->prepared ? NULL : launch->manifest;
	int r = pod_tpm_record(&launch->opts->tpm, &launch->pods, &launch->pod, manifest, argv,
			       &warning, err);

	if (warning)
		log_warn("%s", warning);
	return r;
}

int launch_exec(struct launch *launch, struct error *err)
{
	cleanup_free char *hostname = xasprintf("rkt-%s", launch->pod.uuid);
	cleanup_strv struct strv argv = STRV_INIT;
	struct stage1_run how;
	int r;

	if (launch->napps == 0 && !launch->sandbox)
		return error_set(err, -EINVAL, "pod must contain at least one application");
	r = volumes_check_sources(launch->manifest, err);
	if (r == 0)
		r = how_to_run(launch, hostname, &how, err);
	if (r == 0 && how.mds_token)
		r = mds_register(&launch->pods, &launch->pod, err);
	if (r == 0)
		r = disk_make(&launch->pod, launch->manifest, err);
	if (r == 0)
		r = pod_move(&launch->pods, &launch->pod, POD_RUN, err);
	if (r == 0)
		r = stage1_arguments(&launch->pods, &launch->pod, launch->stage1.manifest,
				     launch->globals, &how, &argv, err);
	if (r == 0)
		r = record(launch, &argv, err);
	if (r < 0)
		return r;
	log_debug("Pod %s is written, becoming stage1", launch->pod.uuid);
	store_close(launch->store);
	launch->store = NULL;
	return stage1_exec(&launch->pods, &launch->pod, &argv, err);
}

/* What can not be removed now is gc's. */
static void discard_pod(struct launch *launch)
{
	struct error err = ERROR_INIT;

	if (pod_move(&launch->pods, &launch->pod, POD_GARBAGE, &err) < 0 ||
	    pod_delete(&launch->pods, &launch->pod, &err) < 0)
		log_warn("%s", err.msg);
}

int launch_passing(struct launch *launch, int (*with)(struct launch *launch, struct error *err),
		   struct error *err)
{
	int r = launch_open(launch, err);

	if (r == 0)
		r = launch_create(launch, err);
	if (r < 0)
		return r;
	r = launch_prepare(launch, err);
	if (r == 0)
		r = with(launch, err);
	discard_pod(launch);
	return r;
}

int launch_run(struct launch *launch, struct error *err)
{
	return launch_passing(launch, launch_exec, err);
}
