# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the recipes share. A recipe is called as: images/NAME.sh DEBS OUT.aci
# with DEBS the directory images/debs.sh filled.
set -euo pipefail
export LC_ALL=C
umask 022

images=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=

# A directory for the image's parts, removed at the end: $work, $work/rootfs.
image_begin()
{
	work=$(mktemp -d "$1.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	chmod 755 "$work"
	mkdir "$work/rootfs"
}

# Unpack the packages of DEBS/NAME.list.
image_unpack()
{
	local debs=$1 name=$2 deb
	[ -s "$debs/$name.list" ] || { echo "$0: no packages in $debs: run 'make deps'" >&2 && exit 1; }
	while read -r deb; do
		dpkg-deb -x "$deb" "$work/rootfs"
	done <"$debs/$name.list"
}

# The version of a package that image_unpack() unpacked, as an appc label value.
image_version()
{
	local debs=$1 name=$2 package=$3 deb
	deb=$(grep "/${package}_" "$debs/$name.list")
	dpkg-deb -f "$deb" Version
}

# The directories and accounts any program may expect.
image_base()
{
	local root=$work/rootfs
	(cd "$root" && mkdir -p dev etc proc root run sys tmp var/tmp)
	chmod 700 "$root/root"
	chmod 1777 "$root/tmp" "$root/var/tmp"
	cat >"$root/etc/passwd" <<-END
		root:x:0:0:root:/root:/bin/sh
		daemon:x:1:1:daemon:/:/bin/false
		app:x:1000:1000:app:/:/bin/sh
		nobody:x:65534:65534:nobody:/:/bin/false
	END
	cat >"$root/etc/group" <<-END
		root:x:0:
		daemon:x:1:
		audio:x:29:app
		app:x:1000:
		nogroup:x:65534:
	END
}

# Write the manifest: image_manifest NAME VERSION EXEC [ARG...]
image_manifest()
{
	python3 - "$@" >"$work/manifest" <<-'END'
		import json, sys

		name, version, *command = sys.argv[1:]
		json.dump({
		    "acKind": "ImageManifest",
		    "acVersion": "0.8.11",
		    "name": name,
		    "labels": [
		        {"name": "version", "value": version},
		        {"name": "os", "value": "linux"},
		        {"name": "arch", "value": "amd64"},
		    ],
		    "app": {"exec": command, "user": "0", "group": "0"},
		}, sys.stdout, indent=2)
		print()
	END
}

image_end()
{
	"$images/build-aci.sh" "$work" "$1"
}
