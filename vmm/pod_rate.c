/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pod_rate.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/str.h"
#include "common/util.h"
#include "vmm/ratelimit.h"

#define LINE_MAX_BYTES 128 /* a few numbers of 13 digits */

int pod_rate_parse(const char *text, uint64_t *ret, unsigned n, struct error *err)
{
	cleanup_free char *line = xstrndup(text, strcspn(text, "\n"));
	cleanup_strv struct strv words = STRV_INIT;
	cleanup_free uint64_t *values = xcalloc(n, sizeof(*values));

	strv_split(&words, line, ' ');
	if (words.n != n)
		return error_set(err, -EINVAL, "not %u rates, but %zu", n, words.n);
	for (unsigned i = 0; i < n; i++) {
		unsigned long long value;

		if (!str_to_u64(words.v[i], RATELIMIT_MAX, &value))
			return error_set(err, -EINVAL, "\"%.32s\" is no rate", words.v[i]);
		values[i] = value;
	}
	memcpy(ret, values, n * sizeof(*values));
	return 0;
}

int pod_rate_read(const char *file, uint64_t *ret, unsigned n, struct error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r;

	memset(ret, 0, n * sizeof(*ret));
	if (faccessat(AT_FDCWD, file, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return 0;
	r = file_read(AT_FDCWD, file, LINE_MAX_BYTES, &text, &len, err);
	if (r == 0)
		r = pod_rate_parse(text, ret, n, err);
	return r < 0 ? error_wrap(err, "%s", file) : 0;
}
