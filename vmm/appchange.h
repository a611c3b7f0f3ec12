/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_APPCHANGE_H
#define VMM_APPCHANGE_H

#include "common/error.h"

/*
 * rkt's stage1 app/add, app/start, app/stop and app/rm entry points (rkt-behaviour 6.1), in the
 * directory of a mutable pod that runs: "--app=NAME", the app being in the pod's manifest for add.
 * Each returns when it is done; rm stops the app first if it runs.
 */
int appchange_add(int argc, char *const *argv, struct error *err) __attribute__((nonnull));
int appchange_start(int argc, char *const *argv, struct error *err) __attribute__((nonnull));
int appchange_stop(int argc, char *const *argv, struct error *err) __attribute__((nonnull));
int appchange_rm(int argc, char *const *argv, struct error *err) __attribute__((nonnull));

#endif
