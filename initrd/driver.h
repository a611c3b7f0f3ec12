/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_DRIVER_H
#define INITRD_DRIVER_H

/*
 * Devices whose driver init binds, because no driver is for what the device tree calls them
 * (firmware/fdt.c). Their number is that of their window.
 */

/* The files of devices and drivers, as a mount that belongs to no namespace: no app may have it. */
int init_driver_open(void);

/* 0 or a negative errno. */
int init_driver_bind(int sysfs, unsigned window);
int init_driver_unbind(int sysfs, unsigned window);

#endif
