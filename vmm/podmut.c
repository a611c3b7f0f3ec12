/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot is a number: of a virtio-blk device, of an app for init, of its streams. Each has at most one
 * request under way, whose client is answered when it is done:
 *
 *   add     the app's files become the slot's disk (podmut_add.c)
 *   start   init starts the app
 *   stop    the app gets SIGTERM, and SIGKILL later
 *   rm      init takes the app away; the disk is empty again
 *
 * The client may go while its request is under way.
 */
#include "vmm/podmut.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/str.h"
#include "common/util.h"
#include "vmm/launch.h"
#include "vmm/podmut_priv.h"
#include "vmm/podrun_priv.h"

/* Names and files */

int podmut_find(const struct podrun *run, const char *name)
{
	for (unsigned i = 0; i < PODMUT_SLOTS; i++)
		if (run->pod.apps[i].name[0] && strcmp(run->pod.apps[i].name, name) == 0)
			return (int)i;
	return -1;
}

static void status_path(const struct podrun *run, unsigned i, const char *what, struct str *ret)
{
	str_addf(ret, STAGE1_STATE_DIR "/status/%s%s%s", run->pod.apps[i].name, *what ? "-" : "",
		 what);
}

static void put_mark(const struct podrun *run, unsigned i, const char *what)
{
	cleanup_str struct str path = STR_INIT;
	cleanup_fd int fd = -1;

	status_path(run, i, what, &path);
	fd = open(str_get(&path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		log_warn("%s: %s", str_get(&path), strerror(errno));
}

static void remove_mark(const struct podrun *run, unsigned i, const char *what)
{
	cleanup_str struct str path = STR_INIT;

	status_path(run, i, what, &path);
	if (unlink(str_get(&path)) < 0 && errno != ENOENT)
		log_warn("%s: %s", str_get(&path), strerror(errno));
}

/* Answers */

static struct json_object *outcome(const char *error)
{
	struct json_object *root = json_object_new_object();

	if (error)
		json_add_string(root, "error", error);
	else
		json_add_bool(root, "ok", true);
	return root;
}

void podmut_reply(struct podrun *run, uint32_t client, const char *error)
{
	cleanup_json struct json_object *root = outcome(error);

	control_reply(&run->control, client, json_text(root));
}

void podmut_begin(struct podrun *run, unsigned i, uint32_t client, enum request request)
{
	struct slot *slot = &run->mut->slot[i];

	slot->request = request;
	slot->client = client;
	slot->serial = control_wait(&run->control, client);
}

void podmut_done(struct podrun *run, unsigned i, const char *error)
{
	cleanup_json struct json_object *root = outcome(error);
	struct slot *slot = &run->mut->slot[i];

	slot->request = REQUEST_NONE;
	if (control_answer(&run->control, slot->client, slot->serial, json_text(root)))
		podrun_control(run, slot->client);
}

/* Slots */

void podmut_free_slot(struct podrun *run, unsigned i)
{
	struct slot *slot = &run->mut->slot[i];

	blk_empty(run->guest->disk[i]);
	podmut_share_release(run, i);
	str_free(&slot->add);
	eventlog_free(&slot->log);
	metadata_link_change(run->metadata, run->pod.apps[i].name, -1);
	run->pod.apps[i].name[0] = '\0';
	slot->started = slot->ended = false;
	streams_leave(run->streams, i);
	attach_offer(run->attach, i, 0);
	applog_free(run->log[i]);
	run->log[i] = NULL;
}

void podmut_set_streams(struct podrun *run, unsigned i)
{
	const struct pod_app *app = &run->pod.apps[i];
	const struct stream_app stream = {
		.name = app->name,
		.flags = run->mut->slot[i].flags,
		.discard_out = app->out == POD_STDIO_NULL,
		.discard_err = app->errout == POD_STDIO_NULL,
		.log = run->log[i],
		.attach = run->attach,
	};

	streams_join(run->streams, i, &stream);
}

/* The requests but add */

static int start_app(struct podrun *run, unsigned i, struct error *err)
{
	const char *name = run->pod.apps[i].name;

	if (run->agent.apps[i].state == AGENT_APP_RUNNING ||
	    run->agent.apps[i].state == AGENT_APP_PENDING)
		return error_set(err, -EEXIST, "app %s runs", name);
	if (run->stopping)
		return error_set(err, -EAGAIN, "the pod is being stopped");
	if (!streams_app_idle(run->streams, i))
		return error_set(err, -EAGAIN, "the last output of app %s is still on its way",
				 name);
	if (!agent_start(&run->agent, (uint16_t)i))
		return error_set(err, -EBUSY, "init does not listen");
	remove_mark(run, i, PODMUT_STARTED);
	remove_mark(run, i, "");
	run->mut->slot[i].started = run->mut->slot[i].ended = false;
	memset(&run->ready.app[i], 0, sizeof(run->ready.app[i]));
	podmut_set_streams(run, i);
	return 0;
}

static int stop_app(struct podrun *run, unsigned i, struct error *err)
{
	if (run->agent.apps[i].state != AGENT_APP_RUNNING &&
	    run->agent.apps[i].state != AGENT_APP_PENDING)
		return error_set(err, -ESRCH, "app %s does not run", run->pod.apps[i].name);
	if (!agent_signal(&run->agent, (uint16_t)i, (uint32_t)run->pod.apps[i].stop_signal))
		return error_set(err, -EBUSY, "init does not listen");
	run->mut->slot[i].kill_ns = clock_now_ns() + UINT64_C(1000000) * POD_STOP_DEADLINE_MS;
	return 0;
}

static int remove_app(struct podrun *run, unsigned i, struct error *err)
{
	if (run->agent.apps[i].state == AGENT_APP_RUNNING ||
	    run->agent.apps[i].state == AGENT_APP_PENDING)
		return error_set(err, -EBUSY, "app %s runs", run->pod.apps[i].name);
	if (!streams_app_idle(run->streams, i))
		return error_set(err, -EAGAIN, "the last output of app %s is still on its way",
				 run->pod.apps[i].name);
	if (!agent_remove(&run->agent, (uint16_t)i))
		return error_set(err, -EBUSY, "init does not listen");
	return 0;
}

static void reply_facts(struct podrun *run, uint32_t client)
{
	cleanup_json struct json_object *root = json_object_new_object();

	json_add_bool(root, "no-caps", run->args->no_caps_restriction);
	json_add_bool(root, "no-paths", run->args->no_paths);
	json_add_bool(root, "no-seccomp", run->args->no_seccomp);
	json_add_bool(root, "tpm", run->shape.tpm == TPM_ON);
	json_add_bool(root, "guest-tpm", run->shape.guest_tpm);
	json_add_int(root, "memory", (int64_t)run->guest->memory);
	if (run->plan_args.mds_token)
		json_add_string(root, "mds-token", run->plan_args.mds_token);
	json_add_int(root, "watchdog", (int64_t)run->plan_args.watchdog_usec);
	control_reply(&run->control, client, json_text(root));
}

/* With its code, for those that are not the end of it (vmm/appchange.c). */
static void refuse(struct podrun *run, uint32_t client, const struct error *err)
{
	cleanup_json struct json_object *root = json_object_new_object();

	json_add_string(root, "error", err->msg);
	json_add_int(root, "errno", -err->code);
	control_reply(&run->control, client, json_text(root));
}

static void ask_app(struct podrun *run, uint32_t client, enum control_verb verb)
{
	static const struct {
		enum control_verb verb;
		enum request request;
		int (*act)(struct podrun *run, unsigned i, struct error *err);
	} verbs[] = {
		{CONTROL_APP_START, REQUEST_START, start_app},
		{CONTROL_APP_STOP, REQUEST_STOP, stop_app},
		{CONTROL_APP_RM, REQUEST_RM, remove_app},
	};
	const char *name = control_args(&run->control, client);
	int i = pod_name_valid(name, POD_NAME_MAX) ? podmut_find(run, name) : -1, r = 0;
	struct error err = ERROR_INIT;
	unsigned k = 0;

	while (verbs[k].verb != verb)
		k++;
	if (i < 0)
		r = error_set(&err, -ENOENT, "the pod has no app \"%s\"", name);
	else if (run->mut->slot[i].request != REQUEST_NONE)
		r = error_set(&err, -EALREADY, "app %s is being changed", name);
	if (r == 0)
		r = verbs[k].act(run, (unsigned)i, &err);
	if (r < 0)
		refuse(run, client, &err);
	else
		podmut_begin(run, (unsigned)i, client, verbs[k].request);
}

/* What the metadata service is to say of an app: its process reads it, so it is only looked at here. */
static int give_metadata(struct podrun *run, const char *name, const int *fds, unsigned n,
			 struct error *err)
{
	struct stat st;

	if (!run->metadata)
		return error_set(err, -ENOTSUP, "the pod has no metadata service");
	if (!pod_name_valid(name, POD_NAME_MAX) || podmut_find(run, name) < 0)
		return error_set(err, -ENOENT, "the pod has no app \"%s\"", name);
	if (n != 1 || fstat(fds[0], &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "there is no file of its manifests");
	metadata_link_change(run->metadata, name, fds[0]);
	return 0;
}

static void ask_metadata(struct podrun *run, uint32_t client)
{
	struct error err = ERROR_INIT;
	int *fds = NULL;
	unsigned n = control_take_fds(&run->control, client, &fds);
	int r = give_metadata(run, control_args(&run->control, client), fds, n, &err);

	podmut_reply(run, client, r < 0 ? err.msg : NULL);
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
	free(fds);
}

void podmut_ask(struct podrun *run, uint32_t client, enum control_verb verb)
{
	if (!run->mut)
		podmut_reply(run, client, "the pod is not mutable");
	else if (verb == CONTROL_APP_FACTS)
		reply_facts(run, client);
	else if (verb == CONTROL_APP_ADD)
		podmut_ask_add(run, client);
	else if (verb == CONTROL_APP_METADATA)
		ask_metadata(run, client);
	else
		ask_app(run, client, verb);
}

/* What init has said */

/* The marks of what has happened, of which two may have come at once. */
static void write_marks(struct podrun *run, unsigned i)
{
	const struct agent_app *app = &run->agent.apps[i];
	struct slot *slot = &run->mut->slot[i];

	if (!slot->started && (app->state == AGENT_APP_RUNNING || app->state == AGENT_APP_EXITED)) {
		slot->started = true;
		put_mark(run, i, PODMUT_STARTED);
	}
	if (slot->ended || (app->state != AGENT_APP_EXITED && app->state != AGENT_APP_FAILED))
		return;
	slot->ended = true;
	podrun_write_end(run, i);
}

static void look_add(struct podrun *run, unsigned i)
{
	const struct agent_app *app = &run->agent.apps[i];
	cleanup_free char *text = NULL;

	if (app->state == AGENT_APP_ADDED) {
		put_mark(run, i, PODMUT_CREATED);
		podmut_done(run, i, NULL);
	} else if (app->state == AGENT_APP_ABSENT) {
		text = xstrdup(app->text);
		podmut_free_slot(run, i);
		podmut_done(run, i, text);
	}
}

static void look_rm(struct podrun *run, unsigned i)
{
	const struct agent_app *app = &run->agent.apps[i];

	if (app->state == AGENT_APP_ABSENT) {
		remove_mark(run, i, "");
		remove_mark(run, i, PODMUT_STARTED);
		remove_mark(run, i, PODMUT_CREATED);
		podmut_free_slot(run, i);
		podmut_done(run, i, NULL);
	} else if (app->state == AGENT_APP_STUCK) {
		run->mut->slot[i].dead = true;
		podmut_done(run, i, app->text);
	}
}

static void look_stop(struct podrun *run, unsigned i, uint64_t now_ns)
{
	struct slot *slot = &run->mut->slot[i];
	enum agent_app_state state = run->agent.apps[i].state;

	if (state != AGENT_APP_RUNNING && state != AGENT_APP_PENDING) {
		slot->kill_ns = 0;
		podmut_done(run, i, NULL);
	} else if (slot->kill_ns && now_ns >= slot->kill_ns) {
		slot->kill_ns = 0;
		agent_signal(&run->agent, (uint16_t)i, SIGKILL);
	}
}

static void look_start(struct podrun *run, unsigned i)
{
	const struct agent_app *app = &run->agent.apps[i];

	if (app->state == AGENT_APP_FAILED)
		podmut_done(run, i, app->text);
	else if (app->state != AGENT_APP_PENDING)
		podmut_done(run, i, NULL);
}

void podmut_look(struct podrun *run, uint64_t now_ns)
{
	for (unsigned i = 0; i < PODMUT_SLOTS; i++) {
		write_marks(run, i);
		switch (run->mut->slot[i].request) {
		case REQUEST_NONE:
		case REQUEST_MEASURE:
			break;
		case REQUEST_ADD:
			look_add(run, i);
			break;
		case REQUEST_START:
			look_start(run, i);
			break;
		case REQUEST_STOP:
			look_stop(run, i, now_ns);
			break;
		case REQUEST_RM:
			look_rm(run, i);
			break;
		}
	}
}

uint64_t podmut_deadline(const struct podrun *run)
{
	uint64_t at = UINT64_MAX;

	for (unsigned i = 0; run->mut && i < PODMUT_SLOTS; i++)
		if (run->mut->slot[i].kill_ns)
			at = MIN(at, run->mut->slot[i].kill_ns);
	return at;
}

int podmut_open(struct podrun *run, struct error *err)
{
	struct podmut *mut = xcalloc(1, sizeof(*mut));

	mut->log_fd = open(LAUNCH_LOG_FILE, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	if (mut->log_fd < 0) {
		free(mut);
		return error_errno(err, LAUNCH_LOG_FILE);
	}
	mut->log_len = run->guest->log.len;
	for (unsigned i = 0; i < PODMUT_SLOTS; i++)
		mut->slot[i].life = -1;
	for (unsigned i = 0; i < PODMUT_SHARES; i++)
		mut->share[i].fd = -1;
	run->pod.napps = PODMUT_SLOTS;
	run->pod.apps = xcalloc(PODMUT_SLOTS, sizeof(run->pod.apps[0]));
	for (unsigned i = 0; i < PODMUT_SLOTS; i++)
		run->pod.apps[i] = (struct pod_app){.name = xcalloc(1, POD_NAME_MAX + 1),
						    .stop_signal = SIGTERM};
	run->control.takes_fds = true;
	run->mut = mut;
	return 0;
}
