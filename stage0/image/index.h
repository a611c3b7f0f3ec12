/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_INDEX_H
#define STAGE0_IMAGE_INDEX_H

#include <stdint.h>

#include "common/error.h"
#include "stage0/image/entry.h"

/*
 * The index of a layer: every entry of its archive in archive order. A private format, read back as
 * carefully as the archive itself: it was written by a process that parsed hostile bytes.
 *
 *   header  "TPDINDEX", u32 version, u32 zero, u64 entries, u64 bytes of the data file
 *   entry   u32 bytes that follow; u8 type, u8 zero, u16 permissions, u32 uid, u32 gid,
 *           u64 mtime, u32 mtime_ns, u32 major, u32 minor, u64 size, u64 data,
 *           u16 path bytes, u16 link bytes, u16 attributes, path and link (each with a NUL),
 *           then per attribute u16 name bytes, u32 value bytes, name (with a NUL), value
 *
 * All little endian, unaligned.
 */

struct index_writer;
struct index_reader;

/* Write to fd, an empty file positioned at 0 that stays the caller's. */
struct index_writer *index_writer_new(int fd) __attribute__((returns_nonnull));
int index_writer_add(struct index_writer *writer, const struct entry *entry, struct error *err)
	__attribute__((nonnull));
/* Write what is buffered and the header. data_size: bytes of the data file. */
int index_writer_finish(struct index_writer *writer, uint64_t data_size, struct error *err)
	__attribute__((nonnull));
void index_writer_free(struct index_writer *writer); /* NULL is fine */
static inline void index_writer_freep(struct index_writer **writer)
{
	index_writer_free(*writer);
}
#define cleanup_index_writer cleanup(index_writer_freep)

/* Read from fd, positioned at 0, which stays the caller's. The caller frees *ret. */
int index_reader_new(int fd, struct index_reader **ret, struct error *err) __attribute__((nonnull));
/* The next entry, valid until the next call. Returns 1, 0 at the end, -EBADMSG when damaged. */
int index_reader_next(struct index_reader *reader, struct entry *ret, struct error *err)
	__attribute__((nonnull));
/* Bytes of the data file the index speaks of; every entry's content was checked to be within. */
uint64_t index_reader_data_size(const struct index_reader *reader) __attribute__((nonnull));
void index_reader_free(struct index_reader *reader); /* NULL is fine */
static inline void index_reader_freep(struct index_reader **reader)
{
	index_reader_free(*reader);
}
#define cleanup_index_reader cleanup(index_reader_freep)

#endif
