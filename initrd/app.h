/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_APP_H
#define INITRD_APP_H

#include <stdbool.h>
#include <sys/types.h>

#include "initrd/plan.h"
#include "initrd/stream.h"
#include "initrd/text.h"

/* An app: its program, from its start to its end. */

enum init_app_state {
	INIT_APP_WAITING,   /* not started yet */
	INIT_APP_PREPARING, /* its pre-start handler runs */
	INIT_APP_RUNNING,
	INIT_APP_ENDING, /* its program has ended; what is left of it is being killed and drained */
	INIT_APP_CLEANING, /* its post-stop handler runs */
	INIT_APP_ENDED,
};

/* What is executed for an app. */
enum init_app_part {
	INIT_APP_PRE_START,
	INIT_APP_PROGRAM,
	INIT_APP_POST_STOP,
};

#define INIT_APP_STREAMS 3

struct init_app {
	const struct init_plan_app *plan;
	unsigned index;
	enum init_app_state state;
	pid_t pid;		    /* of what runs of it */
	int status;		    /* of its program, as wait4(2) gives it */
	int code;		    /* it could not be started: AGENT_EXIT_... or a handler's */
	int asked;		    /* the signal that asked it to end before its program ran; 0 */
	bool ran;		    /* something of it did */
	bool cleaned;		    /* the post-stop handler did */
	bool in_session;	    /* its terminal is init's session's */
	int ns;			    /* its mount namespace; -1 until it is made */
	int notify;		    /* its notification socket, -1: none */
	int kept[INIT_APP_STREAMS]; /* its ends of its streams, for what is run next; -1 */
	struct init_text failure;   /* with code: why */
	struct init_stream
		stream[INIT_APP_STREAMS]; /* by enum agent_stream_kind; a tty is the 1st */
};

/* Our ends of an app's stdin, stdout and stderr, or of its terminal; -1 where there is none. */
struct init_app_ends {
	int fd[INIT_APP_STREAMS];
};

void init_app_prepare(struct init_app *app, const struct init_plan_app *plan, unsigned index)
	__attribute__((nonnull));

/*
 * Start the app: mounts, user, streams and execve(2), in that order. 0: its program runs and ret
 * are our ends. Otherwise the exit code the app is taken to have ended with (AGENT_EXIT_...), and
 * why.
 */
int init_app_start(struct init_app *app, const struct init_plan *pod, struct init_app_ends *ret,
		   struct init_text *why) __attribute__((nonnull));

/*
 * The same in steps. make: the app's root, held by its namespace, and its notification socket. run:
 * a part of it there; streams are made for the first and kept for those to come, so ret is -1 for all
 * others. Handlers are run as root, and confined as the app is. Results as above.
 */
int init_app_make(struct init_app *app, const struct init_plan *pod, struct init_text *why)
	__attribute__((nonnull));
int init_app_run(struct init_app *app, enum init_app_part part, struct init_app_ends *ret,
		 struct init_text *why) __attribute__((nonnull));

/* Nothing more will be run: close what was kept. */
void init_app_release(struct init_app *app) __attribute__((nonnull));

/*
 * Start a command beside an app that runs: in its namespace and confined as it is, but as root in
 * its root directory. request holds the command, what is set over the app's environment, and whether
 * it gets a terminal; pool is for INIT_REQUEST_POOL_MAX + INIT_POOL_MAX pointers. Else as
 * init_app_start(); the process leads a session and a process group.
 */
int init_app_enter(const struct init_app *app, const struct init_plan_app *request, char **pool,
		   struct init_app_ends *ret, pid_t *ret_pid, struct init_text *why)
	__attribute__((nonnull));

#endif
