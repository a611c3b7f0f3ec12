/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "stage0/command.h"

/* A file of ours must not become somebody's stdin or stderr because the caller closed that. */
static void open_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		exit(EXIT_FAILED);
	close(fd);
}

int main(int argc, char **argv)
{
	open_standard_streams();
	/* one whose caller ignores it, which is inherited, could wait for nobody */
	signal(SIGCHLD, SIG_DFL);
	/* tpm2-tss prints what we say in our own words */
	setenv("TSS2_LOG", "all+none", 0);
	return command_main(argc, argv);
}
