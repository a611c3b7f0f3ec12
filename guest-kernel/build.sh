#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Build the guest kernel: unpack Debian's source package, apply patches/series, merge the config
# fragments onto tinyconfig, build vmlinux, strip the debug information and keep the symbols (the
# VMM finds the log of a dead guest by them).
#
#   build.sh OUT        OUT/vmlinux and OUT/version; nothing is done when the inputs are unchanged
#   build.sh --key      the hash of the inputs and of the tools, which names a build
#
# The same inputs give the same bytes: time, user, host and path of the build are constants.
#
# Environment:
#   TRIPOD_KERNEL_IPV6=n    build without IPv6
#   TRIPOD_KERNEL_JOBS=N    parallel jobs (the number of CPUs)
#   TRIPOD_KERNEL_CACHE=DIR kernels by key: used if there, added if built. Default: OUT/cache
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
source_package=linux-source-6.1
source_version=6.1.192-2
tarball=/usr/src/$source_package.tar.xz
ipv6=${TRIPOD_KERNEL_IPV6:-y}
jobs=${TRIPOD_KERNEL_JOBS:-$(nproc)}

die()
{
	echo "guest-kernel: $*" >&2
	exit 1
}

# The fragments, in order; of the two of IPv6 the one asked for.
fragments()
{
	local omit=61-no-ipv6.config
	[ "$ipv6" = y ] || omit=61-ipv6.config
	find "$here/config" -name '*.config' ! -name "$omit" | sort
}

patches()
{
	sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$here/patches/series"
}

installed_version()
{
	dpkg-query -W -f '${Version}' "$source_package" 2>/dev/null || die "$source_package is not installed"
}

key()
{
	{
		installed_version
		gcc --version | head -1
		ld --version | head -1
		cat "$here/build.sh"
		fragments | while read -r file; do cat "$file"; done
		patches | while read -r patch; do cat "$here/patches/$patch"; done
	} | sha256sum | cut -d' ' -f1
}

prepare()
{
	local work=$1 patch
	mkdir "$work/source" "$work/object"
	tar -xf "$tarball" -C "$work/source" --strip-components=1
	patches | while read -r patch; do
		patch -d "$work/source" -p1 -s --no-backup-if-mismatch <"$here/patches/$patch" ||
			die "patches/$patch does not apply"
	done
}

# Kconfig drops what it cannot have without a word; a line that did not survive is an error here.
check_config()
{
	local config=$1 line name bad=0
	while read -r line; do
		case $line in
		'# CONFIG_'*' is not set')
			name=${line#\# }
			name=${name%% *}
			grep -q "^$name=" "$config" || continue
			;;
		CONFIG_*)
			grep -qxF -- "$line" "$config" && continue
			;;
		*) continue ;;
		esac
		echo "guest-kernel: not in the configuration: $line" >&2
		bad=1
	done
	[ $bad -eq 0 ] || die "the fragments ask for what this source does not have"
}

configure()
{
	local work=$1
	fragments | while read -r file; do cat "$file"; done >"$work/fragments"
	make -s -C "$work/source" O="$work/object" tinyconfig >/dev/null
	(cd "$work/source" &&
		scripts/kconfig/merge_config.sh -m -O "$work/object" "$work/object/.config" \
			"$work/fragments" >/dev/null)
	make -s -C "$work/source" O="$work/object" olddefconfig 2>/dev/null >/dev/null
	check_config "$work/object/.config" <"$work/fragments"
}

build()
{
	local work=$1
	export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970'
	export KBUILD_BUILD_USER=tripod KBUILD_BUILD_HOST=tripod KBUILD_BUILD_VERSION=1
	export KCFLAGS="-ffile-prefix-map=$work/source/= -ffile-prefix-map=$work/object/="
	export SOURCE_DATE_EPOCH=0
	# A make above this one must not hand its variables and its job server down.
	unset MAKEFLAGS MAKELEVEL MFLAGS MAKEOVERRIDES
	make -s -C "$work/source" O="$work/object" -j"$jobs" vmlinux
	objcopy --strip-debug -R .comment -R .note.gnu.property "$work/object/vmlinux" "$work/vmlinux"
	make -s -C "$work/source" O="$work/object" kernelrelease >"$work/version"
}

main()
{
	local out=$1 cache work hash
	mkdir -p "$out"
	out=$(cd "$out" && pwd)
	cache=${TRIPOD_KERNEL_CACHE:-$out/cache}
	hash=$(key)
	if [ "$(cat "$out/key" 2>/dev/null)" = "$hash" ] && [ -s "$out/vmlinux" ]; then
		return
	fi
	if [ ! -s "$cache/$hash/vmlinux" ]; then
		[ "$(installed_version)" = "$source_version" ] ||
			echo "guest-kernel: $source_package is $(installed_version), tested: $source_version" >&2
		mkdir -p "$cache"
		work=$(mktemp -d "$cache/build.XXXXXX")
		# shellcheck disable=SC2064 # the directory of this build
		trap "rm -rf '$work'" EXIT
		echo "guest-kernel: building ($jobs jobs)" >&2
		prepare "$work"
		configure "$work"
		build "$work"
		mkdir "$work/result"
		mv "$work/vmlinux" "$work/version" "$work/result/"
		cp "$work/object/.config" "$work/result/config"
		mv -T "$work/result" "$cache/$hash" 2>/dev/null || [ -s "$cache/$hash/vmlinux" ]
	fi
	for file in vmlinux version config; do
		cp "$cache/$hash/$file" "$out/$file.new"
		mv "$out/$file.new" "$out/$file"
	done
	echo "$hash" >"$out/key"
}

case ${1:-} in
--key) key ;;
'' | -*) die "usage: build.sh OUT | --key" ;;
*) main "$1" ;;
esac
