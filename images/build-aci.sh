#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# images/build-aci.sh DIR OUT.aci
#
# Pack DIR/manifest and DIR/rootfs into an ACI (appc: a tar with exactly these two names). The same
# input gives the same bytes: entries sorted, owner 0:0, times 0, no name and time in the gzip
# header. The manifest comes first, so that a reader knows the image before its files.
set -euo pipefail
export LC_ALL=C

dir=$1 out=$2
python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$dir/manifest"
mkdir -p "$(dirname "$out")"
tar -C "$dir" --format=gnu --sort=name --numeric-owner --owner=0 --group=0 --mtime=@0 \
	-cf - manifest rootfs | gzip -n -6 >"$out.new"
mv "$out.new" "$out"
