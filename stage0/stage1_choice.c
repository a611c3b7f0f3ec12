/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/stage1_choice.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "stage0/imageref.h"
#include "stage0/stage1.h"

int stage1_choice_check(const struct stage1_choice *choice, struct error *err)
{
	size_t n = choice->from_dir.n + choice->hash.n + choice->name.n + choice->path.n +
		   choice->url.n;

	if (n > 1)
		return error_set(
			err, -EINVAL,
			"of --stage1-from-dir, --stage1-hash, --stage1-name, --stage1-path "
			"and --stage1-url only one can be given, and once");
	return 0;
}

static const char *images_dir(const struct fetching *fetching, bool as_rkt)
{
	if (fetching->config.stage1_images)
		return fetching->config.stage1_images;
	return as_rkt ? "/usr/lib/rkt/stage1-images" : "/usr/lib/tripod/stage1-images";
}

/* Whether the file is in the directory where an administrator puts stage1 images. */
static bool is_below(const char *path, const char *dir)
{
	cleanup_free char *real = realpath(dir, NULL);
	size_t len = real ? strlen(real) : 0;

	return real && strncmp(path, real, len) == 0 && path[len] == '/';
}

static int choose_path(struct fetching *fetching, bool as_rkt, const char *path, char **ret_what,
		       char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	cleanup_free char *real = realpath(path, NULL);
	int r;

	if (!real)
		return error_errno(err, "%s", path);
	r = fetching_image(fetching, real, NULL, is_below(real, images_dir(fetching, as_rkt)),
			   ret_key, err);
	if (r == 0)
		*ret_what = take_ptr(real);
	return r;
}

static int choose_from_dir(struct fetching *fetching, bool as_rkt, const char *file,
			   char **ret_what, char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	cleanup_free char *path = xasprintf("%s/%s", images_dir(fetching, as_rkt), file);

	if (strchr(file, '/') || !*file)
		return error_set(err, -EINVAL, "--stage1-from-dir: \"%s\" is not a file's name",
				 file);
	return choose_path(fetching, as_rkt, path, ret_what, ret_key, err);
}

/* The text must be a reference of the kinds that the option is for. */
static int choose_reference(struct fetching *fetching, const char *option, const char *text,
			    unsigned kinds, char **ret_what, char ret_key[IMAGE_KEY_LEN + 1],
			    struct error *err)
{
	cleanup_imageref struct imageref ref = IMAGEREF_INIT;
	int r = imageref_parse(text, &ref, err);

	if (r == 0 && !(kinds & (1U << ref.kind)))
		r = error_set(err, -EINVAL, "--%s: \"%s\" is something else", option, text);
	if (r == 0)
		r = fetching_image(fetching, text, NULL, false, ret_key, err);
	if (r == 0)
		*ret_what = xstrdup(text);
	return r;
}

/* The configured image by its name, if the store has it. */
static int find_configured(struct fetching *fetching, char **ret_what,
			   char ret_key[IMAGE_KEY_LEN + 1])
{
	const struct config *config = &fetching->config;
	cleanup_imageref struct imageref ref = IMAGEREF_INIT;
	cleanup_free char *text = NULL;
	struct error ignored = ERROR_INIT;
	int r;

	/* a version that is being worked on: what has its name may be older */
	if (!config->stage1_name || str_ends_with(config->stage1_version, "-dirty"))
		return -ENOENT;
	text = xasprintf("%s:%s", config->stage1_name, config->stage1_version);
	r = imageref_parse_name(text, &ref, &ignored);
	if (r == 0)
		r = store_find(fetching->store, ref.path, ref.labels, ret_key, &ignored);
	if (r < 0)
		return -ENOENT;
	log_debug("image: using image from local store for image name %s", text);
	*ret_what = take_ptr(text);
	return 0;
}

static int choose_built_in(struct fetching *fetching, char **ret_what,
			   char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	cleanup_free char *path = NULL;
	int r = stage1_find(NULL, &path, err);

	if (r == 0)
		r = fetching_image(fetching, path, NULL, true, ret_key, err);
	if (r == 0)
		*ret_what = take_ptr(path);
	return r;
}

/* What is configured to be in a file that is not there may be beside our own program. */
static char *path_beside(const char *location)
{
	char exe[PATH_MAX];
	ssize_t len;

	if (location[0] != '/' || access(location, F_OK) == 0)
		return NULL;
	len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (len < 0)
		return NULL;
	exe[len] = '\0';
	*strrchr(exe, '/') = '\0';
	return xasprintf("%s%s", exe, strrchr(location, '/'));
}

static int choose_default(struct fetching *fetching, char **ret_what,
			  char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	const char *location = fetching->config.stage1_location;
	cleanup_free char *beside = location ? path_beside(location) : NULL;
	int r;

	if (find_configured(fetching, ret_what, ret_key) == 0)
		return 0;
	if (!location)
		return choose_built_in(fetching, ret_what, ret_key, err);
	if (beside && access(beside, F_OK) == 0)
		location = beside;
	r = fetching_image(fetching, location, NULL, true, ret_key, err);
	if (r == 0)
		*ret_what = xstrdup(location);
	return r < 0 ? error_wrap(err, "the configured image") : 0;
}

int stage1_choose(const struct stage1_choice *choice, struct fetching *fetching, bool as_rkt,
		  char **ret_what, char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	if (choice->path.n)
		return choose_path(fetching, as_rkt, choice->path.v[0], ret_what, ret_key, err);
	if (choice->from_dir.n)
		return choose_from_dir(fetching, as_rkt, choice->from_dir.v[0], ret_what, ret_key,
				       err);
	if (choice->hash.n)
		return choose_reference(fetching, "stage1-hash", choice->hash.v[0],
					1U << IMAGEREF_ID, ret_what, ret_key, err);
	if (choice->name.n)
		return choose_reference(fetching, "stage1-name", choice->name.v[0],
					1U << IMAGEREF_NAME, ret_what, ret_key, err);
	if (choice->url.n)
		return choose_reference(fetching, "stage1-url", choice->url.v[0],
					1U << IMAGEREF_URL | 1U << IMAGEREF_FILE |
						1U << IMAGEREF_DOCKER,
					ret_what, ret_key, err);
	return choose_default(fetching, ret_what, ret_key, err);
}
