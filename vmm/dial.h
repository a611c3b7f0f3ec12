/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_DIAL_H
#define VMM_DIAL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/json.h"

/*
 * The other side of control.sock: stage1's entry points that talk to a running pod. The working
 * directory is the pod's.
 */

/*
 * Connect, *ret being a blocking socket. A pod that is only just starting has no socket yet and is
 * waited for. -ESRCH: it has ended.
 */
int dial_pod(int *ret, struct error *err) __attribute__((nonnull));

/* Send a line (without its newline). A pod that is gone is -EPIPE. */
int dial_send(int fd, const char *line, struct error *err) __attribute__((nonnull));

/*
 * Receive a line, which is put into buf without its newline and terminated, within timeout_ms (-1:
 * no limit). -EPIPE: the pod hung up before, -ETIMEDOUT.
 */
int dial_receive(int fd, char *buf, size_t size, int timeout_ms, struct error *err)
	__attribute__((nonnull));

/*
 * Connect, send a verb and get its answer, which the caller puts; *ret_fd is the connection. An answer
 * that is a refusal is an error.
 */
int dial_ask(const char *verb, int *ret_fd, struct json_object **ret, struct error *err)
	__attribute__((nonnull));

#endif
