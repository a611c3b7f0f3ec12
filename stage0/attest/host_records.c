/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/attest/host_records.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/encode.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/util.h"
#include "stage0/attest/verify.h"

#define LINE (2 * SHA256_SIZE + 1) /* bytes of a line with its newline */
/* Begin again when there are so many: evidence must have room for all of them. */
#define RECORDS_MAX EVIDENCE_RECORDS_MAX

void host_records_close(struct host_records *records)
{
	close_fd(&records->fd);
	strv_free(&records->digests);
}

/* The lines of the file as far as they are whole; false: there is no list in it. */
static bool read_lines(int fd, struct host_records *records)
{
	struct error ignored = ERROR_INIT;
	cleanup_free char *text = NULL;
	struct stat st;
	size_t n, len = 0;

	if (fstat(fd, &st) < 0 || st.st_size < LINE ||
	    st.st_size > (off_t)LINE * (RECORDS_MAX + 1) || st.st_size % LINE != 0)
		return false;
	n = (size_t)st.st_size / LINE;
	text = xcalloc(n, LINE);
	if (pread_all(fd, text, n * LINE, 0) < 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		char *line = text + i * LINE;
		uint8_t digest[SHA256_SIZE];

		if (line[LINE - 1] != '\n')
			return false;
		line[LINE - 1] = '\0';
		if (hex_decode(line, digest, sizeof(digest), &len, &ignored) < 0 ||
		    len != sizeof(digest))
			return false;
		if (i == 0)
			memcpy(records->start, digest, sizeof(digest));
		else
			strv_add(&records->digests, line);
	}
	return true;
}

static bool leads_to(const struct host_records *records, const uint8_t now[SHA256_SIZE])
{
	uint8_t pcr[SHA256_SIZE];

	memcpy(pcr, records->start, sizeof(pcr));
	for (size_t i = 0; i < records->digests.n; i++)
		record_extend(pcr, records->digests.v[i]);
	return memcmp(pcr, now, sizeof(pcr)) == 0;
}

static int append(const struct host_records *records, const uint8_t digest[SHA256_SIZE],
		  struct error *err)
{
	char line[LINE + 1];
	int r;

	hash_hex(digest, SHA256_SIZE, line);
	line[LINE - 1] = '\n';
	r = write_all(records->fd, line, LINE);
	return r < 0 ? error_set(err, r, "host-tpm: %s", strerror(-r)) : 0;
}

int host_records_lock(const char *data_dir, struct host_records *ret, struct error *err)
{
	cleanup_free char *path = xasprintf("%s/host-tpm", data_dir);
	cleanup_fd int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
	int r;

	if (fd < 0)
		return error_errno(err, "%s", path);
	do
		r = flock(fd, LOCK_EX);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return error_errno(err, "%s", path);
	*ret = (struct host_records)HOST_RECORDS_NONE;
	ret->fd = take_fd(&fd);
	return 0;
}

int host_records_read(struct host_records *records, const uint8_t now[SHA256_SIZE],
		      struct error *err)
{
	if (read_lines(records->fd, records) && leads_to(records, now) &&
	    records->digests.n < RECORDS_MAX)
		return 0;
	strv_free(&records->digests);
	memcpy(records->start, now, SHA256_SIZE);
	if (ftruncate(records->fd, 0) < 0)
		return error_errno(err, "host-tpm");
	return append(records, now, err);
}

int host_records_add(struct host_records *records, const char *record, struct error *err)
{
	char hex[2 * SHA256_SIZE + 1];
	struct digests digests;
	int r;

	digests_of(record, strlen(record), &digests);
	r = append(records, digests.sha256, err);
	if (r < 0)
		return r;
	hash_hex(digests.sha256, SHA256_SIZE, hex);
	strv_add(&records->digests, hex);
	return 0;
}
