/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_LATE_H
#define INITRD_LATE_H

/*
 * Devices that no app waits for. Their drivers are bound when the apps have been started and had time
 * to come up, so that no start pays for them, and a pod that ends soon never does.
 */

/* From now on it is time in LATE_MS. */
void init_late_begin(void);
#define LATE_MS 2000

/* Bind them if it is time. Returns how long to wait until it is, in ms; -1 when nothing is left. */
int init_late(void);

#endif
