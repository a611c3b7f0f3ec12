/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_STAGE1_H
#define VMM_STAGE1_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

/*
 * rkt's stage1 contract, the run entry point's side (rkt-behaviour.md sections 6.2 to 6.4): its
 * arguments, and the files it owes to the pod directory, which is the working directory.
 */

#define STAGE1_STATE_DIR    "stage1/rootfs/rkt" /* what is written while the apps run is below */
#define STAGE1_EXIT_FAILURE 254			/* could not start: network, manifest, machine */

struct stage1_args {
	bool debug;
	bool interactive;
	bool mutable_pod;
	bool no_caps_restriction; /* --disable-capabilities-restriction */
	bool no_paths;
	bool no_seccomp;
	const char *net;      /* --net=LIST, NULL when absent */
	const char *hostname; /* never empty: given or rkt-UUID */
	const char *dns_conf_mode, *mds_token, *local_config, *private_users, *ipc;
	const char *uuid;
	int argc; /* all of them, without the program's name; uuid is the last */
	char *const *argv;
	char hostname_buf[64];
};

/* Parse argv[1..]. Strings stay argv's (hostname may be ret's own). */
int stage1_parse(int argc, char *const *argv, struct stage1_args *ret, struct error *err)
	__attribute__((nonnull));

/* The administrator's configuration directory. */
const char *stage1_local_config(const struct stage1_args *args) __attribute__((nonnull));

/* Refuse what this stage1 has not: networks but loopback, shared ids, foreign IPC. */
int stage1_check(const struct stage1_args *args, struct error *err) __attribute__((nonnull));

/* RKT_LOCK_FD: open, and closed in whatever we execute. 0 when the variable is absent. */
int stage1_keep_lock(struct error *err) __attribute__((nonnull));

/* Files below the pod directory dirfd. Readers see the old or the new text. */
int stage1_write_pid(int dirfd, struct error *err) __attribute__((nonnull));
int stage1_write_net_info(int dirfd, const char *json, struct error *err) __attribute__((nonnull));
int stage1_write_ready(int dirfd, struct error *err) __attribute__((nonnull));
/* rkt/status/APP */
int stage1_write_status(int dirfd, const char *app, int code, struct error *err)
	__attribute__((nonnull));

/* The exit code of a wait status as wait4(2) gives it: the code, or 128 + signal. */
int stage1_exit_code(unsigned wait_status);

#endif
