#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# mkcpio.sh INIT DIR... > initrd
#
# Write a cpio archive (newc) with INIT as /init and empty directories: the same bytes for the same
# INIT, whoever builds, and without cpio(1), which knows neither.
set -eu

inode=0

# pad BYTES: zeroes up to the next multiple of four
pad()
{
	case $(($1 % 4)) in
	1) printf '\0\0\0' ;;
	2) printf '\0\0' ;;
	3) printf '\0' ;;
	esac
}

# header NAME MODE SIZE: owner root, no times, one link
header()
{
	inode=$((inode + 1))
	printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\0' \
		"$inode" "$2" 0 0 1 0 "$3" 0 0 0 0 $((${#1} + 1)) 0 "$1"
	pad $((110 + ${#1} + 1))
}

init=$1
shift
for dir; do
	header "$dir" 0040755 0
done
size=$(($(wc -c <"$init")))
header init 0100755 "$size"
cat "$init"
pad "$size"
header 'TRAILER!!!' 0 0
