/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other side of vmm/podmut.h. Adding is where the work is: the VMM can open nothing any more, so
 * that here the manifest is read, the files of the disk are opened and measured, and the app's records
 * are made as the VMM would make them at a launch.
 */
#include "vmm/appchange.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/str.h"
#include "common/util.h"
#include "vmm/appshare.h"
#include "vmm/control.h"
#include "vmm/dial.h"
#include "vmm/launch.h"
#include "vmm/metadata_link.h"
#include "vmm/plan.h"
#include "vmm/pod.h"
#include "vmm/podmut.h"
#include "vmm/podrun.h"

/* How long each may take: what it waits for has its own limit in the pod, or has none. */
#define ADD_TIMEOUT_MS	 60000
#define START_TIMEOUT_MS (-1) /* a pre-start handler takes its time */
#define RM_POLL_MS	 100
#define STOP_TIMEOUT_MS	 (POD_STOP_DEADLINE_MS + POD_STREAMS_DEADLINE_MS)

#define ERRNO_MAX 4095 /* the kernel's */

/* What the pod is to the apps it gets. */
struct facts {
	bool no_caps, no_paths, no_seccomp, tpm, guest_tpm;
	int64_t memory, watchdog;
	char *mds_token; /* owned; NULL: there is no metadata service */
	pid_t vmm;
};

static void facts_free(struct facts *facts)
{
	free(facts->mds_token);
}

static int parse(int argc, char *const *argv, const char **ret, struct error *err)
{
	*ret = NULL;
	for (int i = 1; i < argc; i++) {
		if (str_starts_with(argv[i], "--app="))
			*ret = argv[i] + strlen("--app=");
		else if (argv[i][0] == '-' && strcmp(argv[i], "--debug") != 0)
			return error_set(err, -EINVAL, "unknown argument %s", argv[i]);
	}
	if (!*ret || !**ret || strlen(*ret) > POD_NAME_MAX)
		return error_set(err, -EINVAL, "usage: %s --app=NAME, in a pod directory", argv[0]);
	return 0;
}

/* Ask for something and wait until it is done. fds: what goes with it, nfds of them. */
static int ask(const char *verb, const int *fds, unsigned nfds, int timeout_ms, struct error *err)
{
	_Alignas(struct cmsghdr) char ancillary[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))] = {0};
	cleanup_free char *line = xasprintf("%s\n", verb);
	struct iovec iov = {line, strlen(line)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	cleanup_json struct json_object *json = NULL;
	char text[2 * AGENT_TEXT_MAX];
	const char *refusal = NULL;
	int64_t code = EBUSY;
	cleanup_fd int fd = -1;
	int r = dial_pod(&fd, err);

	if (r < 0)
		return r;
	if (nfds) {
		struct cmsghdr *c;

		msg.msg_control = ancillary;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	if (sendmsg(fd, &msg, MSG_NOSIGNAL) != (ssize_t)iov.iov_len)
		return error_errno(err, "asking the pod");
	r = dial_receive(fd, text, sizeof(text), timeout_ms, err);
	if (r == 0)
		r = json_parse(text, strlen(text), "the pod's answer", &json, err);
	if (r == 0)
		r = json_get_string(json, "error", &refusal, err);
	if (r == 0)
		r = json_get_int(json, "errno", 1, ERRNO_MAX, &code, err);
	if (r == 0 && refusal)
		r = error_set(err, -(int)code, "%s", refusal);
	return r;
}

static int get_facts(struct facts *ret, struct error *err)
{
	cleanup_json struct json_object *json = NULL;
	const char *token = NULL;
	struct ucred peer = {.pid = 0};
	socklen_t len = sizeof(peer);
	cleanup_fd int fd = -1;
	int r = dial_ask("app-facts", &fd, &json, err);

	if (r < 0 || (r = json_get_bool(json, "no-caps", &ret->no_caps, err)) < 0 ||
	    (r = json_get_bool(json, "no-paths", &ret->no_paths, err)) < 0 ||
	    (r = json_get_bool(json, "no-seccomp", &ret->no_seccomp, err)) < 0 ||
	    (r = json_get_bool(json, "tpm", &ret->tpm, err)) < 0 ||
	    (r = json_get_bool(json, "guest-tpm", &ret->guest_tpm, err)) < 0 ||
	    (r = json_get_int(json, "memory", 0, INT64_MAX, &ret->memory, err)) < 0 ||
	    (r = json_get_int(json, "watchdog", 0, INT64_MAX, &ret->watchdog, err)) < 0 ||
	    (r = json_get_string(json, "mds-token", &token, err)) < 0)
		return r;
	ret->mds_token = token ? xstrdup(token) : NULL;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return error_errno(err, "SO_PEERCRED");
	ret->vmm = peer.pid;
	return 0;
}

static struct pod_app *find_app(struct pod_spec *pod, const char *name)
{
	for (unsigned i = 0; i < pod->napps; i++)
		if (strcmp(pod->apps[i].name, name) == 0)
			return &pod->apps[i];
	return NULL;
}

/* Whether the pod can have the app. */
static int check_app(struct pod_app *app, const struct facts *facts, struct error *err)
{
	if (app->tpm && !facts->guest_tpm)
		return error_set(err, -ENOTSUP,
				 "it asks for a TPM, which the pod has only with --tpm=on");
	app->tpm |= facts->tpm;
	if (app->iso.memory > (uint64_t)facts->memory)
		return error_set(err, -ENOSPC,
				 "its memory limit is %" PRIu64 " MiB, and the pod has %" PRId64
				 " MiB in all",
				 app->iso.memory / MIB, facts->memory / (int64_t)MIB);
	return 0;
}

/* Whether two mounts mean one volume: empty ones go by their names. */
static bool same_volume(const struct pod_volume *a, const struct pod_volume *b)
{
	return a->name == b->name || (a->kind == POD_VOLUME_EMPTY && b->kind == POD_VOLUME_EMPTY &&
				      strcmp(a->name, b->name) == 0);
}

/* The volumes of this app alone, borrowed, its mounts counted among them. The caller frees the list. */
static void own_volumes(struct pod_spec *pod, struct pod_app *app, struct pod_spec *ret)
{
	*ret = (struct pod_spec){
		.volumes = xcalloc(app->nmounts ? app->nmounts : 1, sizeof(ret->volumes[0]))};
	for (unsigned i = 0; i < app->nmounts; i++) {
		unsigned k = 0;
		const struct pod_volume *volume = &pod->volumes[app->mounts[i].volume];

		while (k < ret->nvolumes && !same_volume(&ret->volumes[k], volume))
			k++;
		if (k == ret->nvolumes)
			ret->volumes[ret->nvolumes++] = *volume;
		app->mounts[i].volume = k;
	}
}

/* Where the volumes of the host come from, which is in no plan. */
static void list_sources(const struct pod_spec *own, struct strv *ret)
{
	for (unsigned i = 0; i < own->nvolumes; i++) {
		const struct pod_volume *volume = &own->volumes[i];

		if (volume->kind == POD_VOLUME_HOST)
			strv_add_owned(ret, xasprintf("%s,source=%s,readOnly=%s,recursive=%s",
						      volume->name, volume->source,
						      volume->read_only ? "true" : "false",
						      volume->recursive ? "true" : "false"));
	}
}

/*
 * Without what is of this launch and not of the app: what our service manager wants, and which of the
 * sources are files.
 */
static int measure(const struct pod_spec *own, const struct pod_app *app, const struct facts *facts,
		   const int *disk, unsigned ndisk, struct eventlog *ret, struct error *err)
{
	cleanup_free struct launch_parts *parts = xcalloc(1, sizeof(*parts));
	cleanup_free struct pod_volume *volumes = xcalloc(own->nvolumes + 1, sizeof(*volumes));
	const struct plan_args plain = {.open_paths = facts->no_paths,
					.mds_token = facts->mds_token ? LAUNCH_TOKEN : NULL};
	const struct pod_spec unseen = {.volumes = volumes, .nvolumes = own->nvolumes};
	cleanup_str struct str records = STR_INIT;
	cleanup_strv struct strv sources = STRV_INIT;
	int r;

	for (unsigned i = 0; i < own->nvolumes; i++) {
		volumes[i] = own->volumes[i];
		volumes[i].is_file = false;
	}
	plan_volumes(&records, &unseen);
	plan_app_records(&records, app, &plain);
	list_sources(own, &sources);
	launch_begin(parts);
	r = launch_add_app(parts, AT_FDCWD, app, disk, ndisk, err);
	launch_end(parts);
	return r < 0 ? r
		     : measure_added(&parts->apps[0], &sources, records.s, records.len, ret, err);
}

/* The description as a file: what the VMM can read when it wants to. */
static int write_description(const struct podmut_app *head, const struct appshare *shares,
			     const struct str *volumes, const struct str *records,
			     const struct eventlog *log, int *ret, struct error *err)
{
	cleanup_fd int fd = memfd_create("app", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return error_errno(err, "memfd_create");
	r = write_all(fd, head, sizeof(*head));
	if (r == 0 && shares->n)
		r = write_all(fd, shares->features, shares->n * sizeof(shares->features[0]));
	if (r == 0 && volumes->len)
		r = write_all(fd, volumes->s, volumes->len);
	if (r == 0)
		r = write_all(fd, records->s, records->len);
	if (r == 0)
		r = write_all(fd, log->data, log->len);
	if (r < 0)
		return error_set(err, r, "the app's description: %s", strerror(-r));
	*ret = take_fd(&fd);
	return 0;
}

static int describe(const struct pod_spec *own, const struct pod_app *app,
		    const struct facts *facts, const struct appshare *shares, const int *disk,
		    unsigned ndisk, int *ret, struct error *err)
{
	cleanup_str struct str volumes = STR_INIT, records = STR_INIT;
	const struct plan_args args = {.open_paths = facts->no_paths,
				       .mds_token = facts->mds_token,
				       .watchdog_usec = (uint64_t)facts->watchdog};
	struct podmut_app head = {.magic = PODMUT_MAGIC,
				  .flags = plan_flags(app, &args),
				  .in = (uint8_t)app->in,
				  .out = (uint8_t)app->out,
				  .errout = (uint8_t)app->errout,
				  .notify = app->notify,
				  .stop_signal = (uint32_t)app->stop_signal,
				  .nshares = shares->n};
	struct eventlog log;
	int r;

	plan_volumes(&volumes, own);
	plan_app_records(&records, app, &args);
	if (volumes.len + records.len > AGENT_ADD_MAX - 2 * POD_NAME_MAX)
		return error_set(err, -E2BIG, "its arguments and environment are too long");
	r = measure(own, app, facts, disk, ndisk, &log, err);
	if (r < 0)
		return r;
	head.volumes_len = (uint32_t)volumes.len;
	head.records_len = (uint32_t)records.len;
	head.log_len = (uint32_t)log.len;
	r = write_description(&head, shares, &volumes, &records, &log, ret, err);
	eventlog_free(&log);
	return r;
}

static void confine(struct pod_app *app, const struct facts *facts)
{
	if (facts->no_caps)
		app->iso.caps = UINT64_MAX;
	if (facts->no_seccomp)
		app->iso.seccomp.mode = SECCOMP_OFF;
}

/* The pod's manifest, the image's, and how long they are before them: struct metadata_change. */
static int write_manifests(const char *name, int *ret, struct error *err)
{
	cleanup_free char *path = xasprintf("appsinfo/%s/manifest", name);
	cleanup_free char *pod = NULL, *image = NULL;
	cleanup_fd int fd = memfd_create("manifests", MFD_CLOEXEC);
	struct metadata_change head;
	size_t pod_len, image_len;
	int r = fd < 0 ? error_errno(err, "memfd_create") : 0;

	if (r == 0)
		r = file_read(AT_FDCWD, "pod", JSON_SIZE_MAX, &pod, &pod_len, err);
	if (r == 0)
		r = file_read(AT_FDCWD, path, JSON_SIZE_MAX, &image, &image_len, err);
	if (r < 0)
		return r;
	head = (struct metadata_change){(uint32_t)pod_len, (uint32_t)image_len};
	r = write_all(fd, &head, sizeof(head));
	if (r == 0)
		r = write_all(fd, pod, pod_len);
	if (r == 0)
		r = write_all(fd, image, image_len);
	if (r < 0)
		return error_set(err, r, "the app's manifests: %s", strerror(-r));
	*ret = take_fd(&fd);
	return 0;
}

/* An app of which the metadata service knows nothing can run all the same. */
static void tell_metadata(const char *name)
{
	cleanup_free char *verb = xasprintf("app-metadata %s", name);
	struct error err = ERROR_INIT;
	cleanup_fd int fd = -1;
	int r = write_manifests(name, &fd, &err);

	if (r == 0)
		r = ask(verb, &fd, 1, ADD_TIMEOUT_MS, &err);
	if (r < 0)
		log_warn("the metadata service: %s", err.msg);
}

/* Everything that goes with the request: the description, shares, the disk. */
static int send_app(const struct pod_spec *own, const struct pod_app *app,
		    const struct facts *facts, const struct appshare *shares, const char *verb,
		    struct error *err)
{
	int fds[CONTROL_FDS_MAX] = {-1};
	unsigned first = 1, n = 0;
	int r;

	if (shares->n) {
		fds[first++] = shares->life;
		memcpy(&fds[first], shares->fd, shares->n * sizeof(fds[0]));
		first += shares->n;
	}
	r = pod_open_disk(AT_FDCWD, app, fds + first, CONTROL_FDS_MAX - first, &n, err);
	if (r < 0)
		return r;
	r = describe(own, app, facts, shares, fds + first, n, &fds[0], err);
	if (r == 0)
		r = ask(verb, fds, first + n, ADD_TIMEOUT_MS, err);
	close_fd(&fds[0]);
	for (unsigned i = 0; i < n; i++)
		close_fd(&fds[first + i]);
	return r;
}

static int add(struct pod_spec *pod, struct pod_app *app, const char *verb, struct error *err)
{
	struct appshare shares = APPSHARE_NONE;
	cleanup(facts_free) struct facts facts = {false};
	struct pod_spec own;
	int r = get_facts(&facts, err);

	if (r == 0)
		r = check_app(app, &facts, err);
	if (r < 0)
		return r;
	if (app->iso.disk_rate[0] || app->iso.disk_rate[1])
		log_warn("app %s: limits of its disk are not enforced for an app that is added",
			 app->name);
	own_volumes(pod, app, &own);
	confine(app, &facts);
	pod_filters(pod);
	r = pod_volumes_look(&own, err);
	if (r == 0)
		r = appshare_start(&own, facts.vmm, &shares, err);
	if (r == 0)
		r = send_app(&own, app, &facts, &shares, verb, err);
	if (r == 0 && facts.mds_token)
		tell_metadata(app->name);
	appshare_close(&shares);
	free(own.volumes);
	return r;
}

int appchange_add(int argc, char *const *argv, struct error *err)
{
	cleanup_free char *verb = NULL;
	cleanup(pod_free) struct pod_spec pod = {.apps = NULL};
	struct pod_app *app;
	const char *name;
	int r = parse(argc, argv, &name, err);

	if (r == 0)
		r = pod_load(AT_FDCWD, &pod, err);
	if (r < 0)
		return r;
	app = find_app(&pod, name);
	if (!app)
		return error_set(err, -ENOENT, "the pod's manifest has no app %s", name);
	for (size_t i = 0; i < pod.notes.n; i++)
		log_warn("%s", pod.notes.v[i]);
	verb = xasprintf("app-add %s", name);
	r = add(&pod, app, verb, err);
	return r < 0 ? error_wrap(err, "app %s", name) : 0;
}

static int change(int argc, char *const *argv, const char *verb, int timeout_ms, struct error *err)
{
	cleanup_free char *line = NULL;
	const char *name;
	int r = parse(argc, argv, &name, err);

	if (r < 0)
		return r;
	line = xasprintf("%s %s", verb, name);
	return ask(line, NULL, 0, timeout_ms, err);
}

int appchange_start(int argc, char *const *argv, struct error *err)
{
	return change(argc, argv, "app-start", START_TIMEOUT_MS, err);
}

int appchange_stop(int argc, char *const *argv, struct error *err)
{
	return change(argc, argv, "app-stop", STOP_TIMEOUT_MS, err);
}

/* Until nothing else goes on with the app: who has added it may have been killed meanwhile. */
int appchange_rm(int argc, char *const *argv, struct error *err)
{
	const struct timespec pause = {.tv_nsec = RM_POLL_MS * 1000000L};
	struct error why = ERROR_INIT;
	int r = -EALREADY;

	for (int waited = 0; r == -EALREADY && waited < ADD_TIMEOUT_MS; waited += RM_POLL_MS) {
		if (waited)
			nanosleep(&pause, NULL);
		/* of one that does not run an error; what else is wrong comes again */
		(void)!change(argc, argv, "app-stop", STOP_TIMEOUT_MS, &why);
		r = change(argc, argv, "app-rm", ADD_TIMEOUT_MS, &why);
	}
	/* the pod has not got it, or has got rid of it */
	return r < 0 && r != -ENOENT ? error_set(err, r, "%s", why.msg) : 0;
}
