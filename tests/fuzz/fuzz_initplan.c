/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "initrd/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile size_t total; /* so that the reads below are not optimised away */

/* Decode a plan, or a request, and read every string of it to its end. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char *pool[INIT_POOL_MAX]; /* more than a request needs */
	static struct init_plan plan;
	struct init_plan_app request;
	uint8_t *bytes = malloc(size ? size : 1);
	struct init_text why = {.len = 0};

	memcpy(bytes, data, size);
	if (init_plan_decode(bytes, size, pool, &plan, &why) == 0) {
		for (unsigned i = 0; i < plan.napps; i++) {
			const struct init_plan_app *app = &plan.app[i];

			for (char **s = app->argv; *s; s++)
				total += strlen(*s);
			for (char **s = app->envp; *s; s++)
				total += strlen(*s);
			total += strlen(app->name) + strlen(app->root) + strlen(app->user) +
				 strlen(app->group) + strlen(app->workdir);
			for (unsigned j = 0; j < 4 * app->ngroups; j++)
				total += app->groups[j];
			for (unsigned j = 0; j < 8 * app->nfilter; j++)
				total += app->filter[j];
			for (unsigned j = 0; j < app->nmounts; j++) {
				struct plan_mount mount = init_plan_mount(app, j);

				total += strlen(app->mounts[j]) +
					 init_plan_volume(&plan, mount.volume).flags;
			}
		}
	}
	memcpy(bytes, data, size);
	if (init_request_decode(bytes, size, pool, &request, &why) == 0) {
		for (char **s = request.argv; *s; s++)
			total += strlen(*s);
		for (char **s = request.envp; *s; s++)
			total += strlen(*s);
		total += strlen(request.name);
	}
	free(bytes);
	return 0;
}
