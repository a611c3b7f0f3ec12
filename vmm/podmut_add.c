/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An app is added to a running pod: its files become the slot's disk; they are measured if the pod has
 * a TPM, one app at a time; init makes the app's root of the disk.
 *
 * What came with the request is checked as far as our own safety goes: files, read-only, of sizes that
 * make a disk (vmm/blk.h), records that are cut into what they say. Whoever may connect to control.sock
 * owns the pod; what the records mean is init's to check.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/str.h"
#include "common/util.h"
#include "vmm/launch.h"
#include "vmm/podmut_priv.h"
#include "vmm/podrun_priv.h"

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
	if (ret->nshares > PODMUT_SHARES)
		return error_set(err, -E2BIG, "more than %d volumes of the host", PODMUT_SHARES);
	len = (uint64_t)ret->nshares * sizeof(uint64_t) + ret->volumes_len + ret->records_len +
	      ret->log_len;
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
	podmut_set_streams(run, i);
}

static void set_records(struct slot *slot, unsigned i, const char *name,
			const struct podmut_app *head, const struct str *volumes,
			const char *records)
{
	char disk[16];

	str_free(&slot->add);
	str_addn(&slot->add, str_get(volumes), volumes->len);
	plan_put(&slot->add, PLAN_APP, name, strlen(name));
	plan_disk_path(i, disk, sizeof(disk));
	plan_put(&slot->add, PLAN_ROOT, disk, strlen(disk));
	str_addn(&slot->add, records, head->records_len);
}

/* The log of what is to be measured, of which the pod's has room for all but the header. */
static int set_log(const struct podrun *run, struct slot *slot, const struct podmut_app *head,
		   const char *log, struct error *err)
{
	struct eventlog_reader reader;
	struct eventlog_record record;
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
	if (!pod_name_valid(name, POD_NAME_MAX))
		return error_set(err, -EINVAL, "bad app name \"%s\"", name);
	if (run->stopping || run->phase > PHASE_RUN)
		return error_set(err, -EAGAIN, "the pod is not running");
	if (run->phase < PHASE_RUN)
		return error_set(err, -EAGAIN,
				 "the pod is not ready yet (see status --wait-ready)");
	if (podmut_find(run, name) >= 0)
		return error_set(err, -EEXIST, "the pod has an app %s", name);
	for (unsigned i = 0; i < PODMUT_SLOTS; i++)
		if (run->mut->slot[i].request == REQUEST_MEASURE ||
		    run->mut->slot[i].request == REQUEST_ADD)
			return error_set(err, -EBUSY, "another app is being added");
	if (nfds < 2)
		return error_set(err, -EINVAL, "there are no files of the app");
	return 0;
}

/* What an app brings becomes slot i's. fds: all but the description. */
static int fill_slot(struct podrun *run, unsigned i, const char *name,
		     const struct podmut_app *head, const char *body, int *fds, unsigned nfds,
		     struct error *err)
{
	const unsigned nshares = head->nshares ? head->nshares + 1 : 0; /* and the life line */
	const char *p = body + head->nshares * sizeof(uint64_t);
	const char *records = p + head->volumes_len;
	cleanup_str struct str volumes = STR_INIT;
	uint64_t features[PODMUT_SHARES];
	int r;

	memcpy(features, body, head->nshares * sizeof(uint64_t));
	str_addn(&volumes, p, head->volumes_len);
	if (nfds <= nshares)
		return error_set(err, -EINVAL, "there are no files of the app");
	r = set_log(run, &run->mut->slot[i], head, records + head->records_len, err);
	if (r == 0)
		r = podmut_share_take(run, i, fds, features, head->nshares, &volumes, err);
	if (r == 0)
		r = fill_disk(run, i, fds + nshares, nfds - nshares, err);
	if (r < 0) {
		podmut_share_release(run, i);
		return r;
	}
	set_app(run, i, name, head);
	set_records(&run->mut->slot[i], i, name, head, &volumes, records);
	return 0;
}

static int add_app(struct podrun *run, uint32_t client, const char *name, int *fds, unsigned nfds,
		   struct error *err)
{
	struct tpm_request extend = {.client = client};
	struct tpm_answer refused = {.error = ERROR_INIT};
	cleanup_free char *body = NULL;
	struct podmut_app head;
	int i, r = check_add(run, name, nfds, err);

	if (r == 0)
		r = read_head(fds[0], &head, &body, err);
	i = r < 0 ? r : free_slot_number(run, err);
	if (i < 0)
		return i;
	r = fill_slot(run, (unsigned)i, name, &head, body, fds + 1, nfds - 1, err);
	if (r < 0)
		return r;
	podmut_begin(run, (unsigned)i, client, REQUEST_MEASURE);
	if (!run->tpm || tpm_get_state(run->tpm, err) == TPM_ABSENT) {
		podmut_measured(run, NULL);
		return 0;
	}
	extend.extend = &run->mut->slot[i].log;
	if (!tpm_ask(run->tpm, &extend)) {
		error_set(&refused.error, -EBUSY, "the pod's TPM takes no requests now");
		podmut_measured(run, &refused);
	}
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
	podmut_free_slot(run, i);
	podmut_done(run, i, err.msg);
}

void podmut_ask_add(struct podrun *run, uint32_t client)
{
	struct error err = ERROR_INIT;
	int *fds = NULL;
	unsigned n = control_take_fds(&run->control, client, &fds);

	if (add_app(run, client, control_args(&run->control, client), fds, n, &err) < 0)
		podmut_reply(run, client, err.msg);
	for (unsigned i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(fds);
}
