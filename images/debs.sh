#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# images/debs.sh OUT: bring the Debian packages that go into the images to OUT, from where apt is
# configured to get packages, verified as apt verifies. Needs no root. Packages that are there
# already are not asked for again; "make clean" forgets them.
#
# Called by deps.sh, before anything is built.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=$1

# Paths of the .deb of each package in OUT are written to OUT/NAME.list, which says that it is whole.
fetch()
{
	local name=$1
	shift
	local dir=$out/$name
	[ ! -e "$out/$name.list" ] || [ "$here/$name.packages" -nt "$out/$name.list" ] || return 0
	rm -rf "$dir"
	mkdir -p "$dir"
	(cd "$dir" && apt-get -q -o APT::Sandbox::User=root "$@" download "${packages[@]}") || return
	find "$dir" -name '*.deb' | LC_ALL=C sort >"$out/$name.list"
}

mkdir -p "$out"
for file in "$here"/*.packages; do
	name=$(basename "$file" .packages)
	mapfile -t packages < <(sed -e 's/#.*//' "$file" | tr -s ' \t' '\n' | sed '/^$/d')
	[ -e "$out/$name.list" ] || echo "deps: packages for $name.aci"
	fetch "$name" >/dev/null 2>&1 && continue
	# The machine's package lists are missing or old: use lists of our own.
	lists=(-o "Dir::State::Lists=$out/lists" -o "Dir::Cache=$out/cache")
	mkdir -p "$out/lists/partial" "$out/cache/archives/partial"
	apt-get -q -o APT::Sandbox::User=root "${lists[@]}" update
	fetch "$name" "${lists[@]}"
done
