/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_LEFT_H
#define INITRD_LEFT_H

#include <stdbool.h>

#include "initrd/app.h"

/* Processes an app leaves behind. An app's processes are those in its mount namespace. */

/* Note the app's mount namespace, while its program runs. Needs init's /proc. */
void init_left_note(struct init_app *app) __attribute__((nonnull));

/*
 * Kill what is left of an app whose program has ended. alone: no other app runs. True when nothing
 * was left; else to be called again after the next processes have ended.
 */
bool init_left_kill(const struct init_app *app, bool alone) __attribute__((nonnull));

#endif
