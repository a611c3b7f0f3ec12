/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_LEFT_H
#define INITRD_LEFT_H

#include <stdbool.h>

#include "initrd/app.h"

/* Processes an app leaves behind. An app's processes are those in its mount namespace. */

/*
 * Hold the app's mount namespace while its program runs. Taking it down costs the kernel half a
 * million instructions, which would else come before the end of the app's last process is told.
 */
void init_left_hold(struct init_app *app) __attribute__((nonnull));

/*
 * Kill what is left of an app whose program has ended. alone: no other app runs. True when nothing
 * was left; else to be called again after the next processes have ended.
 */
bool init_left_kill(const struct init_app *app, bool alone) __attribute__((nonnull));

#endif
