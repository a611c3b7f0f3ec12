/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest kernel's command line, per kind of host. Each word's reason stands in
 * guest-kernel/README.md; what every pod wants is compiled in instead (guest-kernel/config/), since
 * parsing a word costs ten thousand instructions on each boot.
 *
 * A command line is CMDLINE_COMMON, then CMDLINE_EMULATED if the host runs guest kernel mode in
 * KVM's instruction emulator, then CMDLINE_DEBUG or CMDLINE_QUIET, then the user's words, separated
 * by spaces.
 */
#ifndef FIRMWARE_CMDLINE_H
#define FIRMWARE_CMDLINE_H

/* Nothing: that a panic resets at once, through the keyboard controller's port, is compiled in. */
#define CMDLINE_COMMON ""

/* What KVM's instruction emulator does not know, or where it makes the usual choice a slow one. */
#define CMDLINE_EMULATED                                                                           \
	"noxsave clearcpuid=cx16,smap,smep,umip,pcid,fsgsbase,invpcid,popcnt,rdrand,rdseed,"       \
	"erms,fsrm mitigations=off"

/* Nothing: there is no console, and the log keeps warnings and worse. */
#define CMDLINE_QUIET ""
/*
 * The serial port is LAYOUT_SERIAL_BASE's, found by device tree; earlycon shows what comes before.
 * All messages are recorded and shown.
 */
#define CMDLINE_DEBUG                                                                              \
	"console=ttyS0 8250.nr_uarts=1 earlycon=uart8250,mmio,0xcffff000 record_loglevel=8"

#endif
