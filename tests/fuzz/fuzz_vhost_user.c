/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio-fs device whose back end says what the input is, then hangs up. */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/guest_driver.h"
#include "tests/unit/vu_backend.h"
#include "vmm/fs.h"

#define STREAM_MAX 4096 /* more than a front end ever asks for */

static struct guest g;
static int memfd = -1;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	struct vu_backend b;
	struct fs *fs;
	int r;

	if (memfd < 0) {
		guest_init(&g);
		memfd = memfd_create("guest", MFD_CLOEXEC);
	}
	vu_init(&b);
	(void)!send(b.back, data, MIN(size, (size_t)STREAM_MAX), MSG_NOSIGNAL);
	shutdown(b.back, SHUT_WR);
	r = fs_new("v0", b.front, &g.mem, memfd, &fs, &err);
	assert(r == 0);
	if (fs_meet(fs, &err) == 0) {
		guest_start(&g, &fs->dev, UINT64_MAX);
		virtio_queue_notified(&fs->dev, 0);
		guest_write32(&g, 0x70, 0);
		guest_start(&g, &fs->dev, UINT64_MAX);
		virtio_queue_notified(&fs->dev, 0);
	}
	fs_lost(fs);
	fs_free(fs);
	vu_free(&b);
	return 0;
}
