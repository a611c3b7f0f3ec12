/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot is a number: of a virtio-blk device, of an app for init, of its streams. Each has at most one
 * request under way, whose client is answered when it is done:
 *
 *   add     the files become the slot's disk; they are measured if the pod has a TPM; init makes the
 *           app's root of it
 *   start   init starts the app
 *   stop    the app gets SIGTERM, and SIGKILL later
 *   rm      init takes the app away; the disk is empty again
 *
 * What came with add is checked as far as our own safety goes: files, read-only, of sizes that make a
 * disk (vmm/blk.h), records that are cut into what they say. Whoever may connect to control.sock owns
 * the pod; what the records mean is init's to check. The client may go while its request is under way.
 */
#include "vmm/podmut.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/str.h"
#include "common/util.h"
#include "vmm/launch.h"
#include "vmm/podrun_priv.h"

enum request {
	REQUEST_NONE,
	REQUEST_MEASURE, /* then add */
	REQUEST_ADD,
	REQUEST_START,
	REQUEST_STOP,
	REQUEST_RM,
};

struct slot {
	enum request request;
	uint32_t client;
	uint64_t serial;
	uint64_t kill_ns; /* of stop; 0: done */
	bool started;	  /* the file that says so is there */
	bool ended;	  /* likewise of its status */
	bool dead;	  /* its disk is still in use; it can not be had any more */
	uint32_t flags;	  /* PLAN_FLAGS */
	struct str add;	  /* ADD's payload */
	struct eventlog log;
};

struct podmut {
	struct slot slot[PODMUT_SLOTS];
	size_t log_len; /* bytes of the pod's event log */
	int log_fd;	/* it, to append to */
};

/* Names and files */

static bool name_valid(const char *s)
{
	size_t len = strlen(s);

	return len && len <= POD_NAME_MAX && s[0] != '-' && s[len - 1] != '-' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static int find(const struct podrun *run, const char *name)
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

static void reply(struct podrun *run, uint32_t client, const char *error)
{
	cleanup_json struct json_object *root = json_object_new_object();

	if (error)
		json_add_string(root, "error", error);
	else
		json_add_bool(root, "ok", true);
	control_reply(&run->control, client, json_text(root));
}

static void begin(struct podrun *run, unsigned i, uint32_t client, enum request request)
{
	struct slot *slot = &run->mut->slot[i];

	slot->request = request;
	slot->client = client;
	slot->serial = control_wait(&run->control, client);
}

/* The slot's request is done. */
static void done(struct podrun *run, unsigned i, const char *error)
{
	cleanup_json struct json_object *root = json_object_new_object();
	struct slot *slot = &run->mut->slot[i];

	if (error)
		json_add_string(root, "error", error);
	else
		json_add_bool(root, "ok", true);
	slot->request = REQUEST_NONE;
	if (control_answer(&run->control, slot->client, slot->serial, json_text(root)))
		podrun_control(run, slot->client);
}

/* Adding */

static void free_slot(struct podrun *run, unsigned i)
{
	struct slot *slot = &run->mut->slot[i];

	blk_empty(run->guest->disk[i]);
	str_free(&slot->add);
	eventlog_free(&slot->log);
	run->pod.apps[i].name[0] = '\0';
	slot->started = slot->ended = false;
	streams_leave(run->streams, i);
	attach_offer(run->attach, i, 0);
	applog_free(run->log[i]);
	run->log[i] = NULL;
}

/* The description, read once. */
static int read_head(int fd, struct podmut_app *ret, char **ret_body, struct error *err)
{
	cleanup_free char *body = NULL;
	uint64_t len;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, "the app's description");
	if (!S_ISREG(st.st_mode) || pread_all(fd, ret, sizeof(*ret), 0) < 0 ||
	    ret->magic != PODMUT_MAGIC)
		return error_set(err, -EINVAL, "the app's description is none");
	len = (uint64_t)ret->volumes_len + ret->records_len + ret->log_len;
	if (len != (uint64_t)st.st_size - sizeof(*ret) || ret->log_len > EVENTLOG_MAX ||
	    ret->volumes_len + (uint64_t)ret->records_len > AGENT_ADD_MAX - 2 * POD_NAME_MAX ||
	    ret->stop_signal < 1 || ret->stop_signal >= NSIG || ret->in > POD_STDIO_TTY ||
	    ret->out > POD_STDIO_TTY || ret->errout > POD_STDIO_TTY)
		return error_set(err, -EINVAL, "the app's description makes no sense");
	body = xcalloc(1, len + 1);
	if (pread_all(fd, body, len, sizeof(*ret)) < 0)
		return error_set(err, -EINVAL, "the app's description is cut short");
	*ret_body = take_ptr(body);
	return 0;
}

/* Files one behind the other; their descriptors are the disk's then, and -1. */
static int fill_disk(struct podrun *run, unsigned i, int *fds, unsigned n, struct error *err)
{
	struct blk_segment segments[CONTROL_FDS_MAX];
	size_t nsegments = 0;
	int r = guest_segments(fds, n, segments, &nsegments, err);

	if (r == 0)
		r = blk_fill(run->guest->disk[i], segments, nsegments, err);
	for (unsigned k = 0; k < n && r == 0; k++)
		fds[k] = -1;
	return r;
}

/* Where the streams of the app go, when it is added and each time it starts. */
static void set_streams(struct podrun *run, unsigned i)
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

static void set_app(struct podrun *run, unsigned i, const char *name, const struct podmut_app *head)
{
	struct pod_app *app = &run->pod.apps[i];

	snprintf(app->name, POD_NAME_MAX + 1, "%s", name);
	app->in = (enum pod_stdio)head->in;
	app->out = (enum pod_stdio)head->out;
	app->errout = (enum pod_stdio)head->errout;
	app->notify = head->notify;
	app->stop_signal = (int)head->stop_signal;
	run->mut->slot[i].flags = head->flags;
	run->mut->slot[i].started = run->mut->slot[i].ended = false;
	attach_offer(run->attach, i, podrun_offered_streams(run, app));
	podrun_open_log(run, i);
	set_streams(run, i);
}

static void set_records(struct slot *slot, unsigned i, const char *name,
			const struct podmut_app *head, const char *body)
{
	char disk[16];

	str_free(&slot->add);
	str_addn(&slot->add, body, head->volumes_len);
	plan_put(&slot->add, PLAN_APP, name, strlen(name));
	plan_disk_path(i, disk, sizeof(disk));
	plan_put(&slot->add, PLAN_ROOT, disk, strlen(disk));
	str_addn(&slot->add, body + head->volumes_len, head->records_len);
}

/* The log of what is to be measured, of which the pod's has room for all but the header. */
static int set_log(const struct podrun *run, struct slot *slot, const struct podmut_app *head,
		   const char *body, struct error *err)
{
	struct eventlog_reader reader;
	struct eventlog_record record;
	const char *log = body + head->volumes_len + head->records_len;
	int r = eventlog_open(&reader, log, head->log_len, err), more;

	if (r < 0)
		return r;
	eventlog_free(&slot->log);
	eventlog_init(&slot->log);
	while ((more = eventlog_next(&reader, &record, err)) > 0) {
		if (record.pcr != MEASURE_PCR_APPS || record.type != EV_RKT)
			return error_set(err, -EINVAL, "the app's measurements are not an app's");
		r = eventlog_add(&slot->log, record.pcr, record.type, &record.digests, record.event,
				 record.event_len, err);
		if (r < 0)
			return r;
	}
	if (more == 0 && run->mut->log_len + slot->log.len > EVENTLOG_MAX)
		return error_set(err, -ENOSPC, "the pod's event log is full");
	return more;
}

static int free_slot_number(const struct podrun *run, struct error *err)
{
	for (unsigned i = 0; i < PODMUT_SLOTS; i++)
		if (!run->pod.apps[i].name[0] && !run->mut->slot[i].dead)
			return (int)i;
	return error_set(err, -ENOSPC, "the pod has %d apps, and room for no more", PODMUT_SLOTS);
}

static int check_add(const struct podrun *run, const char *name, unsigned nfds, struct error *err)
{
	if (!name_valid(name))
		return error_set(err, -EINVAL, "bad app name \"%s\"", name);
	if (run->stopping || run->phase != PHASE_RUN)
		return error_set(err, -EAGAIN, "the pod is not running");
	if (find(run, name) >= 0)
		return error_set(err, -EEXIST, "the pod has an app %s", name);
	for (unsigned i = 0; i < PODMUT_SLOTS; i++)
		if (run->mut->slot[i].request == REQUEST_MEASURE ||
		    run->mut->slot[i].request == REQUEST_ADD)
			return error_set(err, -EBUSY, "another app is being added");
	if (nfds < 2)
		return error_set(err, -EINVAL, "there are no files of the app");
	return 0;
}

static int add_app(struct podrun *run, uint32_t client, const char *name, int *fds, unsigned nfds,
		   struct error *err)
{
	struct tpm_request extend = {.client = client};
	cleanup_free char *body = NULL;
	struct podmut_app head;
	struct slot *slot;
	int i, r = check_add(run, name, nfds, err);

	if (r == 0)
		r = read_head(fds[0], &head, &body, err);
	i = r < 0 ? r : free_slot_number(run, err);
	if (i < 0)
		return i;
	slot = &run->mut->slot[i];
	r = set_log(run, slot, &head, body, err);
	if (r == 0)
		r = fill_disk(run, (unsigned)i, fds + 1, nfds - 1, err);
	if (r < 0)
		return r;
	set_app(run, (unsigned)i, name, &head);
	set_records(slot, (unsigned)i, name, &head, body);
	begin(run, (unsigned)i, client, REQUEST_MEASURE);
	extend.extend = &slot->log;
	if (run->tpm && tpm_get_state(run->tpm, err) == TPM_READY && tpm_ask(run->tpm, &extend))
		return 0;
	podmut_measured(run, NULL);
	return 0;
}

/* What was measured is in the log before anybody is told; a log that can not be kept ends the add. */
static int keep_log(struct podrun *run, const struct slot *slot, struct error *err)
{
	struct eventlog empty;
	size_t header, len;
	int r;

	eventlog_init(&empty);
	header = empty.len;
	eventlog_free(&empty);
	len = slot->log.len - header;
	r = write_all(run->mut->log_fd, slot->log.data + header, len);
	if (r < 0)
		return error_set(err, r, LAUNCH_LOG_FILE ": %s", strerror(-r));
	run->mut->log_len += len;
	return 0;
}

void podmut_measured(struct podrun *run, const struct tpm_answer *answer)
{
	struct error err = ERROR_INIT;
	unsigned i = 0;
	int r;

	while (i < PODMUT_SLOTS && run->mut->slot[i].request != REQUEST_MEASURE)
		i++;
	if (i == PODMUT_SLOTS)
		return;
	if (answer && answer->error.code < 0)
		err = answer->error;
	r = err.code < 0 ? err.code : keep_log(run, &run->mut->slot[i], &err);
	if (r == 0 && !agent_add(&run->agent, (uint16_t)i, (const uint8_t *)run->mut->slot[i].add.s,
				 run->mut->slot[i].add.len))
		r = error_set(&err, -EBUSY, "init does not listen");
	if (r == 0) {
		run->mut->slot[i].request = REQUEST_ADD;
		return;
	}
	free_slot(run, i);
	done(run, i, err.msg);
}

static void ask_add(struct podrun *run, uint32_t client)
{
	struct error err = ERROR_INIT;
	int *fds = NULL;
	unsigned n = control_take_fds(&run->control, client, &fds);

	if (add_app(run, client, control_args(&run->control, client), fds, n, &err) < 0)
		reply(run, client, err.msg);
	for (unsigned i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(fds);
}

/* The other requests */

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
	set_streams(run, i);
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
	json_add_int(root, "watchdog", (int64_t)run->plan_args.watchdog_usec);
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
	int i = name_valid(name) ? find(run, name) : -1, r = 0;
	struct error err = ERROR_INIT;
	unsigned k = 0;

	while (verbs[k].verb != verb)
		k++;
	if (i < 0)
		r = error_set(&err, -ENOENT, "the pod has no app \"%s\"", name);
	else if (run->mut->slot[i].request != REQUEST_NONE)
		r = error_set(&err, -EBUSY, "app %s is being changed", name);
	if (r == 0)
		r = verbs[k].act(run, (unsigned)i, &err);
	if (r < 0)
		reply(run, client, err.msg);
	else
		begin(run, (unsigned)i, client, verbs[k].request);
}

void podmut_ask(struct podrun *run, uint32_t client, enum control_verb verb)
{
	if (!run->mut)
		reply(run, client, "the pod is not mutable");
	else if (verb == CONTROL_APP_FACTS)
		reply_facts(run, client);
	else if (verb == CONTROL_APP_ADD)
		ask_add(run, client);
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
		done(run, i, NULL);
	} else if (app->state == AGENT_APP_ABSENT && agent_add_sent(&run->agent)) {
		text = xstrdup(app->text);
		free_slot(run, i);
		done(run, i, text);
	}
}

static void look_rm(struct podrun *run, unsigned i)
{
	const struct agent_app *app = &run->agent.apps[i];

	if (app->state == AGENT_APP_ABSENT) {
		remove_mark(run, i, "");
		remove_mark(run, i, PODMUT_STARTED);
		remove_mark(run, i, PODMUT_CREATED);
		free_slot(run, i);
		done(run, i, NULL);
	} else if (app->state == AGENT_APP_STUCK) {
		run->mut->slot[i].dead = true;
		done(run, i, app->text);
	}
}

static void look_stop(struct podrun *run, unsigned i, uint64_t now_ns)
{
	struct slot *slot = &run->mut->slot[i];
	enum agent_app_state state = run->agent.apps[i].state;

	if (state != AGENT_APP_RUNNING && state != AGENT_APP_PENDING) {
		slot->kill_ns = 0;
		done(run, i, NULL);
	} else if (slot->kill_ns && now_ns >= slot->kill_ns) {
		slot->kill_ns = 0;
		agent_signal(&run->agent, (uint16_t)i, SIGKILL);
	}
}

static void look_start(struct podrun *run, unsigned i)
{
	const struct agent_app *app = &run->agent.apps[i];

	if (app->state == AGENT_APP_FAILED)
		done(run, i, app->text);
	else if (app->state != AGENT_APP_PENDING)
		done(run, i, NULL);
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
	run->pod.napps = PODMUT_SLOTS;
	run->pod.apps = xcalloc(PODMUT_SLOTS, sizeof(run->pod.apps[0]));
	for (unsigned i = 0; i < PODMUT_SLOTS; i++)
		run->pod.apps[i] = (struct pod_app){.name = xcalloc(1, POD_NAME_MAX + 1),
						    .stop_signal = SIGTERM};
	run->control.takes_fds = true;
	run->mut = mut;
	return 0;
}
