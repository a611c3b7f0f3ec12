# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# A service manager, as far as a pod sees of it. Read after tap.sh.

# start_manager: it listens at $WORK/notify; what it is told is in $WORK/told, a line each, and its
# process is $manager
start_manager()
{
	TRIPOD_TEST=$WORK python3 -c '
import socket, sys

s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    print(s.recv(4096).decode(), flush=True)' "$WORK/notify" >"$WORK/told" &
	manager=$!
	wait_for test -S "$WORK/notify" || bail 'no service manager'
}

end_manager()
{
	kill "$manager"
	wait "$manager" 2>/dev/null
}
