#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# python3.aci: Debian's python3 with its standard library, compiled, and every extension module.
. "$(dirname "$0")/lib.sh"

debs=$1 out=$2
image_begin "$out"
image_unpack "$debs" python3
image_base
root=$work/rootfs

# The image's own interpreter on the image's own libraries, run in place.
own_python()
{
	local libs=$root/lib/x86_64-linux-gnu:$root/usr/lib/x86_64-linux-gnu
	env -i PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 \
		"$root/lib64/ld-linux-x86-64.so.2" --library-path "$libs" \
		"$root/usr/bin/python3.11" -s -P "$@"
}

# A package forgotten in python3.packages shows here, not in a guest.
own_python - "$root" <<-'END'
	import pathlib, importlib.machinery, sys

	dynload = pathlib.Path(sys.argv[1], "usr/lib/python3.11/lib-dynload")
	for module in sorted(dynload.glob("*.so")):
	    name = module.name.split(".")[0]
	    try:
	        importlib.machinery.ExtensionFileLoader(name, str(module)).create_module(
	            importlib.machinery.ModuleSpec(name, None, origin=str(module)))
	    except ImportError as error:
	        sys.exit(f"python3.aci: {module.name}: {error}")
END

# The packages compile on installation; here that is a step of its own. Paths in the code objects
# are the guest's, and a file that says nothing of times is the same in every build.
own_python -m compileall -q -s "$root" -p / --invalidation-mode unchecked-hash \
	"$root/usr/lib/python3.11" "$root/usr/lib/python3"
image_manifest tripod/python3 "$(image_version "$debs" python3 python3.11)" /usr/bin/python3
image_end "$out"
