#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The units in dist/systemd are what systemd takes.
. tests/e2e/tap.sh
need_command systemd-analyze

mkdir "$WORK/units"
for unit in dist/systemd/*; do
	sed "s,/usr/local/bin/tripod,$TRIPOD," "$unit" >"$WORK/units/$(basename "$unit")"
done
cp "$WORK/units/tripod-pod@.service" "$WORK/units/tripod-pod@x.service"
cd "$WORK/units" || exit 1
for unit in tripod-gc.service tripod-gc.timer tripod-pod@x.service; do
	run systemd-analyze verify --man=no "./$unit"
	# what it says of other units of the machine is not ours
	is "$unit: systemd has nothing to say of it" "$(printf '%s\n' "$out" "$err" | grep -F "${unit%@*}")" ''
done
done_testing
