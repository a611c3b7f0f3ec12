/* SPDX-License-Identifier: Apache-2.0 */
/*
 * swtpm executes what the guest sends it, so it is confined like something that runs the guest's
 * code: as nobody, without capabilities or a way to any, in a mount namespace where the pod's files
 * are hidden, with no network, under its own seccomp filter. The thread that starts it takes all
 * that on itself first, which the child inherits; the other threads are not touched. The state of a
 * TPM nobody prepared is in a tmpfs of that namespace and ends with the two.
 *
 * The confinement is made beside the machine's set-up, which costs next to nothing; the process is
 * started when the guest runs: on a small host it would take the processor from what the guest waits
 * for. It is up milliseconds later, long before init asks for the plan. After the launch the thread
 * is jailed like a vCPU's and allocates nothing.
 */
#include "vmm/tpm.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "vmm/jail.h"

#define THREAD_STACK ((size_t)256 << 10) /* quotes' buffers, and a fork */
#define NOBODY	     65534
/* Hidden under the tmpfs: everything of the pod but its manifests. */
#define HIDDEN_DIR	"stage1"
#define TMPFS_DATA	"mode=0700,uid=65534,gid=65534,size=1m,nr_inodes=64" /* the state: 10 KiB */
#define STATE_FILES_MAX 16 /* files whose owner is changed: swtpm writes two or three */

struct tpm {
	struct swtpm swtpm;
	struct tis tis;
	pthread_t thread;
	int event_fd;
	bool missing; /* the thread's: swtpm can not be executed */
	bool ready;   /* atomic: the registers are there */
	uint8_t auth[TPM_AUTH_SIZE];

	pthread_mutex_t starting; /* held while swtpm is being started: see tpm_leave() */

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	enum tpm_state state;
	bool state_told, quit;
	struct error error;
	const struct eventlog *log; /* NULL: not made yet */
	struct tpm_request requests[TPM_CLIENTS_MAX];
	unsigned nrequests;
	bool answered; /* answer waits for the loop */
	struct tpm_answer answer;
};

/* The thread */

static void tell_loop(const struct tpm *tpm)
{
	uint64_t one = 1;

	(void)!write(tpm->event_fd, &one, sizeof(one));
}

static void set_state(struct tpm *tpm, enum tpm_state state, const struct error *err)
{
	pthread_mutex_lock(&tpm->lock);
	tpm->state = state;
	if (err)
		tpm->error = *err;
	pthread_mutex_unlock(&tpm->lock);
	tell_loop(tpm);
}

/* A directory of state that stage0 made is root's; swtpm will be nobody. */
static int give_away(int dir, struct error *err)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *files = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	unsigned n = 0;
	int r = 0;

	if (!files) {
		close_fd(&copy);
		return error_errno(err, TPM_STATE_DIR);
	}
	while (r == 0 && (entry = readdir(files))) {
		if (strcmp(entry->d_name, "..") == 0)
			continue;
		if (++n > STATE_FILES_MAX)
			r = error_set(err, -EFBIG, TPM_STATE_DIR ": more than %d files",
				      STATE_FILES_MAX);
		else if (fchownat(dir, entry->d_name, NOBODY, NOBODY, AT_SYMLINK_NOFOLLOW) < 0)
			r = error_errno(err, TPM_STATE_DIR "/%s", entry->d_name);
	}
	closedir(files);
	return r;
}

/* Have a mount namespace and a tmpfs in it. Not everywhere may root do that: *ret is false then. */
static int make_namespaces(bool *ret, struct error *err)
{
	*ret = unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET) == 0;
	if (!*ret)
		return errno == EPERM || errno == ENOSPC || errno == EINVAL
			       ? 0
			       : error_errno(err, "the TPM's namespaces");
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return error_errno(err, "the TPM's mounts");
	return 0;
}

/* The directory of state, opened; what of ours swtpm should not see hidden. */
static int open_state(bool private, int *ret, struct error *err)
{
	bool prepared = faccessat(AT_FDCWD, TPM_STATE_DIR, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	cleanup_fd int dir = -1;
	const char *path = TPM_STATE_DIR;
	bool hidden;
	int r;

	if (!prepared && !private && mkdir(TPM_STATE_DIR, 0700) < 0)
		return error_errno(err, TPM_STATE_DIR);
	if (private &&
	    mount("tmpfs", HIDDEN_DIR, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, TMPFS_DATA) < 0)
		return error_errno(err, "the TPM's state");
	hidden = private && !prepared;
	if (hidden)
		path = HIDDEN_DIR;
	dir = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return error_errno(err, "%s", path);
	if (!hidden && geteuid() == 0) {
		r = give_away(dir, err);
		if (r < 0)
			return r;
	}
	*ret = take_fd(&dir);
	return 0;
}

/* Raw calls: the C library's change all threads. */
static int become_nobody(struct error *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, "PR_SET_NO_NEW_PRIVS");
	if (geteuid() == 0 && (syscall(SYS_setgroups, 0, NULL) < 0 ||
			       syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) < 0 ||
			       syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY) < 0))
		return error_errno(err, "the TPM's user");
	return 0;
}

/* What takes privileges, and leaves none. *ret: the directory of state. */
static int confine(int *ret, struct error *err)
{
	cleanup_fd int state = -1;
	bool private = false;
	int r = geteuid() == 0 ? make_namespaces(&private, err) : 0;

	if (r == 0)
		r = open_state(private, &state, err);
	if (r == 0)
		r = become_nobody(err);
	if (r == 0)
		*ret = take_fd(&state);
	return r;
}

/* Wait for the launch's log. NULL when there will be none. */
static const struct eventlog *wait_log(struct tpm *tpm)
{
	const struct eventlog *log;

	pthread_mutex_lock(&tpm->lock);
	while (!tpm->log && !tpm->quit)
		pthread_cond_wait(&tpm->changed, &tpm->lock);
	log = tpm->log;
	pthread_mutex_unlock(&tpm->lock);
	return log;
}

static int launch(struct tpm *tpm, struct error *err)
{
	cleanup_fd int state = -1;
	const struct eventlog *log;
	int r = confine(&state, err);

	log = wait_log(tpm);
	if (r < 0)
		return r;
	if (!log)
		return error_set(err, -ECANCELED, "nothing is launched");
	pthread_mutex_lock(&tpm->starting);
	r = swtpm_start(&tpm->swtpm, state, err);
	pthread_mutex_unlock(&tpm->starting);
	/* as nobody: a directory of PATH that can not be searched looks like that, too */
	tpm->missing = r == -ENOENT || r == -EACCES;
	if (r == 0)
		r = swtpm_power_on(&tpm->swtpm, err);
	if (r == 0 && getrandom(tpm->auth, sizeof(tpm->auth), 0) != sizeof(tpm->auth))
		r = error_errno(err, "getrandom");
	if (r == 0)
		r = jail_vcpu(err);
	if (r == 0)
		r = swtpm_extend_log(&tpm->swtpm, log->data, log->len, err);
	return r < 0 ? r : swtpm_own_platform(&tpm->swtpm, tpm->auth, sizeof(tpm->auth), err);
}

/* Extend while the guest waits for the TPM. */
static void extend(struct tpm *tpm, const struct eventlog *log, struct error *err)
{
	int r = tis_borrow(&tpm->tis, TPM_QUOTE_WAIT_MS);

	if (r < 0) {
		error_set(err, r, "the TPM: %s", r == -ETIMEDOUT ? "no answer" : "it is gone");
		return;
	}
	(void)!swtpm_extend_log(&tpm->swtpm, log->data, log->len, err);
	tis_return(&tpm->tis);
}

static void answer(struct tpm *tpm, const struct tpm_request *request)
{
	struct tpm_answer *ret = &tpm->answer;

	ret->request = *request;
	ret->error = (struct error)ERROR_INIT;
	if (request->extend)
		extend(tpm, request->extend, &ret->error);
	else if (request->quote)
		tpm_quote_make(&tpm->tis, tpm->auth, request->nonce, request->nonce_len,
			       request->pcrs, &ret->quote, &ret->error);
	else
		tpm_quote_read(&tpm->tis, request->pcrs, &ret->quote, &ret->error);
}

/* One request after the other; the next one when the loop has taken the last one's answer. */
static void serve(struct tpm *tpm)
{
	struct tpm_request request;

	for (;;) {
		pthread_mutex_lock(&tpm->lock);
		while (!tpm->quit && (tpm->answered || tpm->nrequests == 0))
			pthread_cond_wait(&tpm->changed, &tpm->lock);
		if (tpm->quit) {
			pthread_mutex_unlock(&tpm->lock);
			return;
		}
		request = tpm->requests[0];
		tpm->nrequests--;
		memmove(tpm->requests, tpm->requests + 1,
			tpm->nrequests * sizeof(tpm->requests[0]));
		pthread_mutex_unlock(&tpm->lock);

		answer(tpm, &request); /* nobody looks at it before answered */
		pthread_mutex_lock(&tpm->lock);
		tpm->answered = true;
		pthread_mutex_unlock(&tpm->lock);
		tell_loop(tpm);
	}
}

static void *body(void *arg)
{
	struct tpm *tpm = arg;
	struct error err = ERROR_INIT;
	int r = launch(tpm, &err);

	if (r < 0) {
		set_state(tpm, tpm->missing ? TPM_ABSENT : TPM_FAILED, &err);
		/* not the thread's end, but for tpm_free(): it would be swtpm's, too */
		serve(tpm);
		return NULL;
	}
	__atomic_store_n(&tpm->ready, true, __ATOMIC_RELEASE);
	set_state(tpm, TPM_READY, NULL);
	serve(tpm);
	return NULL;
}

/* The others' side */

int tpm_new(struct tpm **ret, struct error *err)
{
	struct tpm *tpm = xcalloc(1, sizeof(*tpm));
	sigset_t blocked, old;
	pthread_attr_t attr;
	int r;

	tpm->swtpm = (struct swtpm)SWTPM_NONE;
	tpm->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (tpm->event_fd < 0) {
		free(tpm);
		return error_errno(err, "eventfd");
	}
	tis_init(&tpm->tis, &swtpm_backend, &tpm->swtpm);
	pthread_mutex_init(&tpm->starting, NULL);
	pthread_mutex_init(&tpm->lock, NULL);
	pthread_cond_init(&tpm->changed, NULL);
	/* signals are the main thread's; SIGSYS is the jail's */
	sigfillset(&blocked);
	sigdelset(&blocked, SIGSYS);
	pthread_sigmask(SIG_SETMASK, &blocked, &old);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	r = pthread_create(&tpm->thread, &attr, body, tpm);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0) {
		close_fd(&tpm->event_fd);
		free(tpm);
		return error_set(err, -r, "thread for the TPM: %s", strerror(r));
	}
	*ret = tpm;
	return 0;
}

int tpm_event_fd(const struct tpm *tpm)
{
	return tpm->event_fd;
}

void tpm_measure(struct tpm *tpm, const struct eventlog *log)
{
	pthread_mutex_lock(&tpm->lock);
	assert(!tpm->log);
	tpm->log = log;
	pthread_cond_broadcast(&tpm->changed);
	pthread_mutex_unlock(&tpm->lock);
}

enum tpm_event tpm_take_event(struct tpm *tpm, struct tpm_answer *ret)
{
	enum tpm_event event = TPM_EVENT_NONE;
	uint64_t count;

	(void)!read(tpm->event_fd, &count, sizeof(count));
	pthread_mutex_lock(&tpm->lock);
	if (tpm->state != TPM_STARTING && !tpm->state_told) {
		tpm->state_told = true;
		event = TPM_EVENT_STATE;
	} else if (tpm->answered) {
		*ret = tpm->answer;
		tpm->answered = false;
		pthread_cond_broadcast(&tpm->changed);
		event = TPM_EVENT_ANSWER;
	}
	pthread_mutex_unlock(&tpm->lock);
	return event;
}

enum tpm_state tpm_get_state(struct tpm *tpm, struct error *err)
{
	enum tpm_state state;

	pthread_mutex_lock(&tpm->lock);
	state = tpm->state;
	if (state == TPM_FAILED || state == TPM_ABSENT)
		*err = tpm->error;
	pthread_mutex_unlock(&tpm->lock);
	return state;
}

bool tpm_ask(struct tpm *tpm, const struct tpm_request *request)
{
	bool room;

	assert(request->nonce_len <= sizeof(request->nonce));
	pthread_mutex_lock(&tpm->lock);
	room = tpm->nrequests < TPM_CLIENTS_MAX && tpm->state == TPM_READY;
	if (room)
		tpm->requests[tpm->nrequests++] = *request;
	pthread_cond_broadcast(&tpm->changed);
	pthread_mutex_unlock(&tpm->lock);
	return room;
}

void tpm_bus_read(void *opaque, uint64_t offset, void *data, uint32_t len)
{
	struct tpm *tpm = opaque;

	if (__atomic_load_n(&tpm->ready, __ATOMIC_ACQUIRE))
		tis_read(&tpm->tis, offset, data, len);
	else
		memset(data, 0xff, len);
}

void tpm_bus_write(void *opaque, uint64_t offset, const void *data, uint32_t len)
{
	struct tpm *tpm = opaque;

	if (__atomic_load_n(&tpm->ready, __ATOMIC_ACQUIRE))
		tis_write(&tpm->tis, offset, data, len);
}

void tpm_leave(struct tpm *tpm)
{
	if (tpm)
		pthread_mutex_lock(&tpm->starting);
}

void tpm_free(struct tpm *tpm)
{
	if (!tpm)
		return;
	pthread_mutex_lock(&tpm->lock);
	tpm->quit = true;
	pthread_cond_broadcast(&tpm->changed);
	pthread_mutex_unlock(&tpm->lock);
	pthread_join(tpm->thread, NULL);
	swtpm_free(&tpm->swtpm);
	tis_free(&tpm->tis);
	pthread_cond_destroy(&tpm->changed);
	pthread_mutex_destroy(&tpm->lock);
	pthread_mutex_destroy(&tpm->starting);
	close_fd(&tpm->event_fd);
	explicit_bzero(tpm->auth, sizeof(tpm->auth));
	free(tpm);
}
