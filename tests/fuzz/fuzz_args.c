/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/format.h"
#include "stage0/grammar.h"
#include "stage0/imageref.h"
#include "common/quantity.h"

#define WORDS_MAX 4096 /* bytes; more finds nothing new */

/* One word a line: parsed as run's command line, then each as everything a word can be. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = xstrndup((const char *)data, MIN(size, WORDS_MAX));
	cleanup_free void *opts = xcalloc(1, cmd_run.size);
	struct globals globals = {.prog = "tripod"};
	const struct option_set sets[] = {{cmd_run.options, opts}, {global_options, &globals}};
	struct image_list images = IMAGE_LIST_INIT;
	cleanup_strv struct strv words = STRV_INIT, env = STRV_INIT;
	struct error err = ERROR_INIT;

	strv_split(&words, text, '\n');
	options_init(cmd_run.options, opts, false);
	options_init(global_options, &globals, false);
	if (grammar_parse(&words, sets, ARRAY_SIZE(sets), &images, &err) == 0)
		globals_apply(&globals, &err);
	env_file_parse(text, "file", &env, &err);
	for (size_t i = 0; i < words.n; i++) {
		cleanup(imageref_free) struct imageref ref = {.path = NULL};
		int64_t number;

		imageref_parse(words.v[i], &ref, &err);
		quantity_parse(words.v[i], QUANTITY_MILLI, &number, &err);
		duration_parse(words.v[i], &number, &err);
	}
	image_list_free(&images, cmd_run.options);
	options_free(cmd_run.options, opts, false);
	options_free(global_options, &globals, false);
	return 0;
}
