/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/httpd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/spawn.h"
#include "common/util.h"

static int start(struct httpd *httpd, struct error *err)
{
	char *const argv[] = {(char *)"python3", (char *)"tests/httpd.py", httpd->dir, NULL};
	struct spawn_args args = {.path = argv[0], .argv = argv, .cwd = -1, .nfds = 3};
	cleanup_strv struct strv ports = STRV_INIT;
	char line[64] = "";
	cleanup_file FILE *out = NULL;
	int in[2], from[2];

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		return error_errno(err, "pipe");
	args.fds = (struct spawn_fd[]){{in[0], 0}, {from[1], 1}, {2, 2}};
	if (spawn(&args, &httpd->pid, &httpd->pidfd, err) < 0)
		return -1;
	close(in[0]);
	close(from[1]);
	httpd->feed = in[1];
	out = fdopen(from[0], "re");
	if (!out || !fgets(line, sizeof(line), out) || !strchr(line, '\n'))
		return error_set(err, -EIO, "tests/httpd.py does not start");
	*strchr(line, '\n') = '\0';
	strv_split(&ports, line, ' ');
	if (ports.n != 3)
		return error_set(err, -EIO, "tests/httpd.py: %s", line);
	snprintf(httpd->http, sizeof(httpd->http), "http://127.0.0.1:%s", ports.v[0]);
	snprintf(httpd->other, sizeof(httpd->other), "http://127.0.0.1:%s", ports.v[1]);
	snprintf(httpd->https, sizeof(httpd->https), "https://127.0.0.1:%s", ports.v[2]);
	httpd->host = httpd->http + strlen("http://");
	httpd->tls_host = httpd->https + strlen("https://");
	return 0;
}

int httpd_setup(void **state)
{
	struct httpd *httpd = xcalloc(1, sizeof(*httpd));
	struct error err = ERROR_INIT;

	snprintf(httpd->dir, sizeof(httpd->dir), "/tmp/tripod-unit-httpd.XXXXXX");
	*state = httpd;
	if (!mkdtemp(httpd->dir) || start(httpd, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return -1;
	}
	snprintf(httpd->ca, sizeof(httpd->ca), "%s/ca.pem", httpd->dir);
	http_settings_init(&httpd->settings);
	httpd->settings.allow_http = true;
	httpd->settings.ca_file = httpd->ca;
	httpd->settings.backoff_ms = 1;
	httpd->settings.backoff_max_ms = 4;
	return http_new(&httpd->settings, &httpd->client, &err);
}

int httpd_teardown(void **state)
{
	struct httpd *httpd = *state;
	struct error err = ERROR_INIT;
	int r;

	http_free(httpd->client);
	close(httpd->feed);
	spawn_kill(httpd->pid, httpd->pidfd);
	close(httpd->pidfd);
	r = remove_tree(AT_FDCWD, httpd->dir, &err);
	free(httpd);
	return r;
}

char *httpd_log(struct httpd *httpd)
{
	cleanup_http_response struct http_response response = HTTP_RESPONSE_INIT;
	cleanup_free char *url = xasprintf("%s/log", httpd->http);
	struct http_request request = {.url = url, .body_max = 1 << 20};
	struct error err = ERROR_INIT;
	struct str body = STR_INIT;

	if (http_fetch(httpd->client, &request, &response, &body, &err) < 0)
		str_add(&body, err.msg);
	return str_take(&body);
}

unsigned httpd_logged(struct httpd *httpd, const char *text)
{
	cleanup_free char *log = httpd_log(httpd);
	unsigned n = 0;

	for (char *line = log, *end; *line; line = end) {
		end = strchrnul(line, '\n');
		if (*end)
			*end++ = '\0';
		n += strstr(line, text) != NULL;
	}
	return n;
}
