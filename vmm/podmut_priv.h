/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_PODMUT_PRIV_H
#define VMM_PODMUT_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/eventlog.h"
#include "common/str.h"
#include "vmm/podmut.h"

/* Between the slots of a mutable pod (podmut.c) and what fills one (podmut_add.c). */

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
	int life;	  /* of who has started its volumes' servers; -1: it has none of the host */
	uint32_t flags;	  /* PLAN_FLAGS */
	struct str add;	  /* ADD's payload */
	struct eventlog log;
};

/* A volume of the host's, and the window where its device is. */
struct share {
	int fd;	      /* of its server; -1: the slot is free */
	unsigned app; /* whose it is */
	bool dead;    /* the guest has not let go of it; it can not be had any more */
};

struct podmut {
	struct slot slot[PODMUT_SLOTS];
	struct share share[PODMUT_SHARES];
	size_t log_len; /* bytes of the pod's event log */
	int log_fd;	/* it, to append to */
};

/* The slot of the app that has the name, -1: none. */
int podmut_find(const struct podrun *run, const char *name) __attribute__((nonnull));

/* Answer a request at once: with an error, or NULL. */
void podmut_reply(struct podrun *run, uint32_t client, const char *error)
	__attribute__((nonnull(1)));
/* Slot i has a request of that client under way; it is done: answer it, with an error or NULL. */
void podmut_begin(struct podrun *run, unsigned i, uint32_t client, enum request request)
	__attribute__((nonnull));
void podmut_done(struct podrun *run, unsigned i, const char *error) __attribute__((nonnull(1)));

/* Where the streams of the app go, when it is added and each time it starts. */
void podmut_set_streams(struct podrun *run, unsigned i) __attribute__((nonnull));
/* The app is gone, or never came to be: its slot can be another's. */
void podmut_free_slot(struct podrun *run, unsigned i) __attribute__((nonnull));

/*
 * podmut_share.c. take: the app's volumes get slots, which volumes, its PLAN_VOLUME record, is changed
 * to say; fds, the life line and a socket for each of n shares, are the slots' then, and -1. release:
 * the app has none any more.
 */
int podmut_share_take(struct podrun *run, unsigned i, int *fds, const uint64_t *features,
		      unsigned n, struct str *volumes, struct error *err) __attribute__((nonnull));
void podmut_share_release(struct podrun *run, unsigned i) __attribute__((nonnull));

/* podmut_add.c: CONTROL_APP_ADD of a client. */
void podmut_ask_add(struct podrun *run, uint32_t client) __attribute__((nonnull));

#endif
