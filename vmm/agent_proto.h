/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_AGENT_PROTO_H
#define VMM_AGENT_PROTO_H

#include <stdint.h>

/*
 * What the VMM and init say to each other over vsock. Shared by vmm/ and initrd/; nothing but
 * <stdint.h> is needed. All integers are little endian, structures have no padding.
 *
 * Init dials the host (CID 2) once at AGENT_PORT_CONTROL. Control messages are a struct agent_hdr
 * and len bytes of payload, both ways. Every stream of an app or a session is a connection of its
 * own that init dials at AGENT_PORT_STREAM and opens with a struct agent_stream; bytes follow, raw,
 * until either side shuts its direction down. vsock credit is the flow control.
 *
 *   init -> VMM  HELLO     {u32 version, u32 0}
 *   VMM  -> init PLAN      records, see below
 *   init -> VMM  STARTED   app: its program has been executed
 *   init -> VMM  FAILED    app: {u32 exit code, text}: could not be started; the text says why.
 *                          Takes the place of STARTED and EXITED.
 *   init -> VMM  EXITED    app: {u32 wait status} as wait4(2) gives it. Sent after its output
 *                          streams were shut down.
 *   VMM  -> init SIGNAL    app or AGENT_ALL_APPS: {u32 signal}
 *   VMM  -> init WINSIZE   app or session: {u16 rows, u16 columns}
 *   init -> VMM  FATAL     {text}: init itself can not go on; the pod ends.
 *   init -> VMM  NOTICE    app: {text}: what the program said on its NOTIFY_SOCKET (sd_notify(3)),
 *                          between STARTED and EXITED
 *   VMM  -> init ADD       app: the records of one app, PLAN_APP first; of a mutable pod only, where
 *                          the number is free and the disk the app's already. Nothing is started.
 *   VMM  -> init START     app that was added and does not run
 *   VMM  -> init REMOVE    likewise: nothing is left of it when this is done
 *   init -> VMM  DONE      app: {u32 code, text}: ADD or REMOVE is done, 0, or could not be
 *   VMM  -> init SESSION   session (in the place of the app): {u64 cookie}: somebody wants to execute
 *                          a command in an app, see below
 *
 * The VMM ends the VM when every app has ended and every stream is closed; init never powers off
 * by itself. What init sends is hostile to the VMM like everything from a guest.
 */

#define AGENT_VERSION	   1
#define AGENT_PORT_CONTROL 1024
#define AGENT_PORT_STREAM  1025

#define AGENT_ALL_APPS 0xffff

enum agent_type {
	AGENT_HELLO = 1,
	AGENT_PLAN = 2,
	AGENT_STARTED = 3,
	AGENT_FAILED = 4,
	AGENT_EXITED = 5,
	AGENT_SIGNAL = 6,
	AGENT_WINSIZE = 7,
	AGENT_FATAL = 8,
	AGENT_SESSION = 9,
	AGENT_EXEC = 10, /* in a session only */
	AGENT_NOTICE = 11,
	AGENT_ADD = 12,
	AGENT_REMOVE = 13,
	AGENT_DONE = 14,
	AGENT_START = 15,
};

struct agent_hdr {
	uint32_t len; /* payload bytes */
	uint16_t type;
	uint16_t app; /* index in the plan, or AGENT_ALL_APPS */
};

#define AGENT_TEXT_MAX 1024	    /* payload of a message from init, which never needs more */
#define AGENT_ADD_MAX  (256U << 10) /* payload of ADD: one app's arguments and environment */
#define AGENT_PLAN_MAX (1U << 20)   /* payload of the plan: environments are bounded by execve */

struct agent_stream {
	uint32_t magic; /* AGENT_STREAM_MAGIC */
	uint16_t app;
	uint8_t kind; /* enum agent_stream_kind */
	uint8_t zero;
};

#define AGENT_STREAM_MAGIC 0x64707274 /* "trpd" */

enum agent_stream_kind {
	AGENT_STDIN = 0,
	AGENT_STDOUT = 1,
	AGENT_STDERR = 2,
	AGENT_TTY = 3,	   /* one two-way stream in the place of the three */
	AGENT_CONTROL = 4, /* of a session: its messages */
};

#define AGENT_KINDS 5

/*
 * A session: a command executed beside an app, in its root and confined as it is. The VMM only
 * relays bytes: a client on the host and init talk to each other.
 *
 * On SESSION init dials AGENT_PORT_SESSION and opens the connection with a struct
 * agent_session_stream of kind AGENT_CONTROL. On it, with the same struct agent_hdr, whose app is 0:
 *
 *   client -> init  EXEC     records: PLAN_APP (the app's name), PLAN_ARG *, PLAN_ENV * (over the
 *                            app's own environment), PLAN_FLAGS (PLAN_TTY), PLAN_WINSIZE. First.
 *   client -> init  SIGNAL   {u32 signal} to the command
 *   client -> init  WINSIZE  {u16 rows, u16 columns}
 *   init -> client  STARTED, FAILED and EXITED as above
 *
 * The command's streams are connections to AGENT_PORT_SESSION too: stdin, stdout and stderr, or tty.
 * As with an app's, stdout and stderr are dialled when there is some output, and shut down before
 * EXITED. The end of the control connection ends the session and kills the command. The cookie keeps
 * other programs of the guest from posing as init.
 */
#define AGENT_PORT_SESSION 1026
#define AGENT_SESSIONS_MAX 32	       /* at once: 20 were asked for */
#define AGENT_EXEC_MAX	   (64U << 10) /* payload of EXEC */

struct agent_session_stream {
	uint32_t magic; /* AGENT_STREAM_MAGIC */
	uint16_t session;
	uint8_t kind; /* enum agent_stream_kind */
	uint8_t zero;
	uint64_t cookie;
};

/*
 * The metadata service: init listens at AGENT_METADATA_ADDRESS and AGENT_METADATA_TCP_PORT, and relays
 * bytes, raw: who it is that asks is in the URL. To dial the host is half the work of a short exchange,
 * so connections to AGENT_PORT_METADATA stay, each for one exchange after the other, in frames
 * {struct agent_metadata_hdr, u8 data[len]}:
 *
 *   DATA   what the app sends, or is answered
 *   EOF    to the host, empty: the app sends no more, and listens still
 *   BYE    to init with the answer's last bytes, to the host empty
 *
 * init begins an exchange with DATA or EOF. Each side ends it with one BYE; when both have, the next may
 * begin.
 */
#define AGENT_PORT_METADATA	1027
#define AGENT_METADATA_ADDRESS	0x7f000001 /* 127.0.0.1: there is a loop-back in every pod */
#define AGENT_METADATA_TCP_PORT 18112	   /* rkt's, of its daemon */
#define AGENT_METADATA_MAX	16	   /* apps at once; others wait to be accepted */
#define AGENT_METADATA_CHUNK	8192	   /* bytes of data in a frame, at most */

enum agent_metadata_kind {
	AGENT_METADATA_DATA = 'd',
	AGENT_METADATA_EOF = 'e',
	AGENT_METADATA_BYE = 'b',
};

struct agent_metadata_hdr {
	uint8_t kind; /* enum agent_metadata_kind */
	uint8_t zero;
	uint16_t len;
};

/*
 * The plan: a sequence of records {u16 tag, u16 zero, u32 len, u8 data[len]}, no padding. Strings
 * are not terminated and hold no NUL. Pod records come first; PLAN_APP starts an app and the
 * records after it are that app's. Repeatable ones are marked *.
 */
#define PLAN_APPS_MAX 64 /* apps of a pod: each costs a virtio-blk device */

enum plan_tag {
	/* pod */
	PLAN_HOSTNAME = 1,    /* string */
	PLAN_MEMORY = 2,      /* u64 bytes: init waits until that much is online (virtio-mem) */
	PLAN_NIC = 3,	      /* * struct plan_nic: eth0, eth1, ... in the order of the devices */
	PLAN_ADDRESS = 4,     /* * struct plan_address: of the NIC before */
	PLAN_ROUTE = 5,	      /* * struct plan_route: through the NIC before */
	PLAN_HOSTS = 6,	      /* string: /etc/hosts of apps whose images have none */
	PLAN_HOSTS_SET = 7,   /* string: /etc/hosts of all apps */
	PLAN_RESOLV = 8,      /* string: /etc/resolv.conf of all apps */
	PLAN_TPM = 9,	      /* empty: init binds the TPM's driver */
	PLAN_VOLUME = 10,     /* struct plan_volume each: those of the pod, in order */
	PLAN_DISK = 11,	      /* struct plan_disk: where what the apps write is kept */
	PLAN_METADATA = 12,   /* empty: init serves AGENT_METADATA_TCP_PORT */
	PLAN_SYSCTL = 13,     /* * string: "NAME=VALUE", NAME a file below /proc/sys */
	PLAN_MACHINE_ID = 15, /* string: /etc/machine-id where it is missing or empty */
	PLAN_MUTABLE = 14,    /* empty: there are no apps yet, they come by ADD */

	/* app */
	PLAN_APP = 16,	   /* string: its name; starts the app */
	PLAN_ROOT = 17,	   /* string: block device of its EROFS image, e.g. /dev/vda */
	PLAN_ARG = 18,	   /* * string: argv[0] is the program, searched as section 7.8 says */
	PLAN_ENV = 19,	   /* * string: NAME=value */
	PLAN_USER = 20,	   /* string: name, number or absolute path, section 7.4 */
	PLAN_GROUP = 21,   /* string, likewise */
	PLAN_GROUPS = 22,  /* u32 each: supplementary group ids */
	PLAN_WORKDIR = 23, /* string, absolute */
	PLAN_FLAGS = 24,   /* u32: enum plan_flags */
	PLAN_WINSIZE = 25, /* u16 rows, u16 columns: with PLAN_TTY */
	PLAN_CAPS = 26,	   /* u64: capability bounding set, bit n is capability n */
	PLAN_SECCOMP = 27, /* struct sock_filter each: the program that filters system calls */
	PLAN_OOM = 28,	   /* i32: oom_score_adj, -1000 to 1000 */
	PLAN_LIMITS = 29,  /* struct plan_limits */
	/* * strings: argv of what runs before the program, and after it; as root */
	PLAN_PRE_START = 30,
	PLAN_POST_STOP = 31,
	PLAN_MOUNT = 32, /* * struct plan_mount, then an absolute path: has a volume there */
	PLAN_ULIMIT = 33 /* struct plan_ulimit each: of setrlimit(2) */
};

#define PLAN_SECCOMP_MAX 4096 /* instructions: BPF_MAXINSNS, more the kernel does not take */

#define PLAN_NICS_MAX	   8  /* of a pod */
#define PLAN_ADDRESSES_MAX 8  /* of a NIC */
#define PLAN_ROUTES_MAX	   32 /* of a NIC */

struct plan_nic {
	uint16_t mtu;
	uint16_t zero;
};

/* A block device with an ext4 file system. Without one, what the apps write is kept in memory. */
struct plan_disk {
	uint64_t size;	 /* bytes; nothing for init, but measured */
	char device[16]; /* absolute path, terminated */
};

struct plan_limits {
	uint64_t memory; /* bytes, 0: no limit */
	uint32_t cpu;	 /* microseconds in 100 000, of all processors together; 0: no limit */
	uint32_t weight; /* among others that want the processor, 1 to PLAN_WEIGHT_MAX; 0: 100 */
};

#define PLAN_WEIGHT_MAX 10000 /* cpu.weight */

struct plan_ulimit {
	uint32_t resource; /* Linux's number of it, below PLAN_ULIMITS_MAX */
	uint32_t zero;
	uint64_t soft, hard; /* PLAN_UNLIMITED: no limit. soft is not above hard */
};

#define PLAN_ULIMITS_MAX 16 /* of an app: there are as many resources */
#define PLAN_UNLIMITED	 UINT64_MAX

#define PLAN_VOLUMES_MAX 256 /* of a pod */
#define PLAN_MOUNTS_MAX	 256 /* of an app */

/* A directory, or a single file, that apps mount. */
struct plan_volume {
	uint32_t mode, uid, gid; /* of one made here */
	uint16_t share;		 /* with PLAN_VOLUME_HOST: virtio-fs device of tag "v" and this */
	uint8_t flags;		 /* enum plan_volume_flags */
	uint8_t window;		 /* with PLAN_VOLUME_SLOT: of the device, among virtio-mmio's */
};

enum plan_volume_flags {
	PLAN_VOLUME_HOST = 1 << 0,   /* the host's; else an empty directory of the pod */
	PLAN_VOLUME_FILE = 1 << 1,   /* the host's, and the file PLAN_VOLUME_NAME in the share */
	PLAN_VOLUME_SEEDED = 1 << 2, /* begins as the image's directory where it is mounted */
	PLAN_VOLUME_SLOT = 1 << 3, /* the host's, and in ADD: the device's driver is to be bound */
};

#define PLAN_VOLUME_NAME "file"

struct plan_mount {
	uint16_t volume; /* index of the plan's */
	uint8_t flags;	 /* enum plan_mount_flags */
	uint8_t zero;
};

enum plan_mount_flags {
	PLAN_MOUNT_READ_ONLY = 1 << 0,
};

#define PLAN_SYSCTLS_MAX 64 /* of a pod */

struct plan_address {
	uint8_t family; /* 4 or 6 */
	uint8_t prefix; /* bits */
	uint8_t zero[2];
	uint8_t ip[16]; /* 4 or 16 bytes of it */
};

struct plan_route {
	uint8_t family;
	uint8_t prefix; /* 0 is the default route */
	uint8_t zero[2];
	uint8_t to[16];
	uint8_t via[16]; /* all zero: on the link */
};

/*
 * PLAN_NUMBERS_FIRST and PLAN_PRIMARY_GROUP are OCI's rule (images.md 17.2). The user's own group is
 * that of /etc/passwd, or 0; a user given by name has those of /etc/group, too, if there are no
 * PLAN_GROUPS.
 */
enum plan_flags {
	PLAN_TTY = 1 << 0,	     /* stdin, stdout and stderr are one pseudo terminal */
	PLAN_STDIN = 1 << 1,	     /* stdin is a stream; else /dev/null */
	PLAN_READONLY_ROOT = 1 << 2, /* no writable layer */
	PLAN_NO_NEW_PRIVS = 1 << 4,  /* no privileges from setuid programs */
	PLAN_MASK_PATHS = 1 << 5,    /* files of the kernel hidden and read only */
	PLAN_TPM_DEVICE = 1 << 3, /* /dev/tpm0, tpmrm0 and the launch's event log; with PLAN_TPM */
	PLAN_NUMBERS_FIRST = 1 << 6, /* ids that are numbers are not looked up as names */
	PLAN_NOTIFY = 1 << 8,	     /* it speaks on AGENT_NOTIFY_SOCKET */
	PLAN_PRIMARY_GROUP = 1 << 7, /* the group is the user's own, in the place of PLAN_GROUP */
};

/* A socket in the app's root, for its program with PLAN_NOTIFY. */
#define AGENT_NOTIFY_SOCKET "/dev/notify"

/* Exit codes of an app that could not be started; systemd's, as users of rkt know them. */
#define AGENT_EXIT_CHDIR   200
#define AGENT_EXIT_EXEC	   203
#define AGENT_EXIT_STDIN   208 /* any of the streams */
#define AGENT_EXIT_USER	   217
#define AGENT_EXIT_GROUP   216
#define AGENT_EXIT_CAPS	   218
#define AGENT_EXIT_LIMITS  205 /* setrlimit(2)'s */
#define AGENT_EXIT_OOM	   206
#define AGENT_EXIT_CGROUP  219
#define AGENT_EXIT_SECCOMP 228
#define AGENT_EXIT_ROOTFS  226 /* mounts of the app's root */

#endif
