#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install the Debian packages tripod is built, tested and measured with, and fetch those whose files
# go into images. The only place that runs apt-get; does nothing (and needs no root) when all of
# them are there.
set -eu
cd "$(dirname "$0")"

# compilers and libraries
build="gcc libc6-dev musl-tools make pkg-config
	libfdt-dev libarchive-dev libjson-c-dev libssl-dev libcurl4-openssl-dev libseccomp-dev
	librnp-dev libext2fs-dev
	zlib1g-dev libbz2-dev liblzma-dev libzstd-dev libtss2-dev"
# guest kernel
kernel="linux-source-6.1 flex bison bc libelf-dev xz-utils patch cpio kmod"
# images
images="busybox-static ca-certificates"
# tests and checks
tests="libcmocka-dev perl erofs-utils e2fsprogs device-tree-compiler clang clang-format clang-tidy
	libclang-rt-14-dev cppcheck shellcheck zstd bzip2 python3 procps openssl strace
	docker-registry buildah iproute2 curl passt containernetworking-plugins iptables
	qemu-system-common swtpm swtpm-tools tpm2-tools umoci skopeo redis-tools"
# measurements
bench="qemu-system-x86 podman"

missing=
for package in $build $kernel $images $tests $bench; do
	case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
	installed) ;;
	*) missing="$missing $package" ;;
	esac
done
if [ -n "$missing" ]; then
	if [ "$(id -u)" -ne 0 ]; then
		echo "deps: missing packages, run 'sudo make deps':$missing" >&2
		exit 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q
	# shellcheck disable=SC2086 # a list of words
	apt-get install -q -y --no-install-recommends $missing
fi
images/debs.sh build/debs
