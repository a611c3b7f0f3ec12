/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "common/str.h"
#include "vmm/metadata.h"

#define POD                                                                                        \
	"{\"annotations\":[{\"name\":\"a\",\"value\":\"b\"}],\"apps\":[{\"name\":\"web\","         \
	"\"image\":{\"id\":\"sha512-0\"}}]}"

static struct metadata *make(void)
{
	static const uint8_t key[METADATA_KEY_SIZE];
	const struct metadata_config config = {
		.uuid = "01234567-89ab-cdef-0123-456789abcdef",
		.token = "t",
		.key = key,
		.pod = POD,
		.pod_len = strlen(POD),
	};
	struct error err = ERROR_INIT;
	struct metadata *md = NULL;

	assert(metadata_new(&config, &md, &err) == 0);
	return md;
}

/* A request, in any pieces, gets at most one answer, which is the same in whatever pieces it came. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct metadata *md;
	const char *bytes = (const char *)data;
	cleanup_str struct str out = STR_INIT;
	struct mdhttp_request request;
	enum mdhttp_state state;
	int status = 0;

	if (!md)
		md = make();
	state = mdhttp_parse(bytes, size, &request, &status);
	assert(size < MDHTTP_REQUEST_MAX || state == MDHTTP_WHOLE || state == MDHTTP_WRONG);
	for (size_t len = size > 64 ? size - 64 : 0; len < size; len++) {
		struct mdhttp_request early;
		int ignored = 0;

		if (mdhttp_parse(bytes, len, &early, &ignored) == MDHTTP_WHOLE)
			assert(state == MDHTTP_WHOLE && early.path_len == request.path_len &&
			       early.body_len == request.body_len);
	}
	if (state == MDHTTP_WRONG)
		assert(status >= 400);
	if (state != MDHTTP_WHOLE)
		return 0;
	assert(request.body + request.body_len <= bytes + size);
	metadata_answer(md, &request, &out);
	assert(str_starts_with(str_get(&out), "HTTP/1.1 "));
	return 0;
}
