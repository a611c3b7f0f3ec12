/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_LIMITS_H
#define STAGE0_IMAGE_LIMITS_H

#include "common/util.h"

/* What an image can make us hold or write (spec/images.md 22.1 and 27). */

#define IMAGE_BLOCK 4096 /* EROFS block, and the alignment of every file's content */

#define IMAGE_HOLE_MIN (64 * KIB) /* a gap in a file from here on is a hole in a layer's data */

#define ENTRY_PATH_MAX	    4096	 /* PATH_MAX: longer can not be named by any program */
#define ENTRY_COMPONENT_MAX 255		 /* NAME_MAX, and what EROFS can store */
#define ENTRY_DEPTH_MAX	    256		 /* components of a path */
#define ENTRY_SYMLINK_MAX   4095	 /* PATH_MAX less the NUL */
#define ENTRY_XATTRS_MAX    64		 /* extended attributes of an entry */
#define ENTRY_XATTR_BYTES   (64 * KIB)	 /* their names and values together */
#define ENTRY_SIZE_MAX	    (1024 * GIB) /* logical size of a file, holes included */
#define ENTRY_SPARSE_MAX    65536	 /* pieces of a sparse file */
#define ENTRY_TIME_MAX	    (INT64_C(1) << 40) /* seconds; later times are clamped */

#define IMAGE_ENTRIES_MAX  4000000	/* entries of an image */
#define IMAGE_OUT_MAX	   (64 * GIB)	/* decompressed bytes */
#define IMAGE_LOGICAL_MAX  (4096 * GIB) /* files with their holes; a disk ends at 16 TiB */
#define IMAGE_RATIO_MAX	   200		/* decompressed bytes a compressed byte ... */
#define IMAGE_RATIO_FREE   (64 * MIB)	/* ... beyond this many free ones */
#define IMAGE_MANIFEST_MAX (4 * MIB)
#define IMAGE_LAYERS_MAX   512 /* layers of an image, and images one is rendered from */
#define IMAGE_DEPTH_MAX	   64  /* dependencies of dependencies */

#define DECOMP_XZ_MEMORY       (128 * MIB) /* the largest xz preset needs 65 MiB */
#define DECOMP_ZSTD_WINDOW_LOG 27 /* 128 MiB: the largest window of --ultra without --long=31 */

#endif
