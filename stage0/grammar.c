/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/grammar.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"

/* Take the words from *at to "---" or the end as arguments of the last image. */
static int take_arguments(const struct strv *words, size_t *at, struct image_list *images,
			  struct error *err)
{
	struct app_request *app = images->n ? &images->v[images->n - 1] : NULL;

	if (!app)
		return error_set(err, -EINVAL, "arguments after \"--\" without an image before it");
	if (app->has_args)
		return error_set(err, -EINVAL, "%s: a second block of arguments", app->image);
	app->has_args = true;
	for (; *at < words->n; ++*at) {
		if (strcmp(words->v[*at], "---") == 0) {
			++*at;
			break;
		}
		strv_add(&app->args, words->v[*at]);
	}
	return 0;
}

static int add_image(struct image_list *images, const char *ref, struct error *err)
{
	if (images->n >= POD_APPS_MAX)
		return error_set(err, -E2BIG, "a pod can have %d images", POD_APPS_MAX);
	images->v = xrealloc(images->v, images->n + 1, sizeof(*images->v));
	images->v[images->n] = (struct app_request){.image = xstrdup(ref)};
	images->n++;
	return 0;
}

int grammar_parse(const struct strv *words, const struct option_set *sets, size_t nsets,
		  struct image_list *ret, struct error *err)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < words->n) {
		const char *word = words->v[at];

		if (!*word || strcmp(word, "---") == 0) {
			at++;
		} else if (strcmp(word, "--") == 0) {
			at++;
			r = take_arguments(words, &at, ret, err);
		} else if (word[0] == '-') {
			r = option_parse_word(words->v, words->n, &at, sets, nsets,
					      ret->n ? &ret->v[ret->n - 1] : NULL, err);
		} else {
			r = add_image(ret, word, err);
			at++;
		}
	}
	return r;
}

void image_list_free(struct image_list *images, const struct option *table)
{
	for (size_t i = 0; i < images->n; i++) {
		options_free(table, &images->v[i], true);
		strv_free(&images->v[i].args);
		free(images->v[i].image);
	}
	free(images->v);
	*images = (struct image_list)IMAGE_LIST_INIT;
}
