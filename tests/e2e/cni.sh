# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# For tests of CNI networks, which begin in network and mount namespaces of their own, after tap.sh:
# what they need, and a look at what pods leave.

need_root
need_kvm
[ -x /usr/lib/cni/bridge ] || skip_all 'no CNI plugins'
[ -c /dev/net/tun ] || skip_all 'no /dev/net/tun'

# Leases and namespaces of the test's own, too.
mkdir -p /run/netns /var/lib/cni
mount -t tmpfs tmpfs /run/netns
mount -t tmpfs tmpfs /var/lib/cni
ip link set lo up

# what a pod may leave on the host, as text
traces()
{
	ip -o link | sed 's/^[0-9]*: \([^:@]*\).*/link \1/' | sort
	ip route | sed 's/ linkdown//; s/ *$//' # which comes and goes a moment late
	iptables-save | grep -E '^-A|^:' | grep -v 'DEFAULT\|^:[A-Z]* ACCEPT' | sed 's/ \[.*//'
	ls /run/netns
	find /var/lib/cni/networks -name '[0-9]*.[0-9]*' 2>/dev/null
}

# are_back: traces are what they were when they were put in $WORK/before
are_back()
{
	traces >"$WORK/after"
	cmp -s "$WORK/before" "$WORK/after"
}

no_traces()
{
	are_back
	is "$1" "$(cat "$WORK/after")" "$(cat "$WORK/before")"
}

# the same after a kill: who cleans up then is nobody's child
no_traces_soon()
{
	wait_for are_back
	no_traces "$1"
}

# end_network SERVER...: these processes, the pods, and the test
end_network()
{
	for server; do
		kill "$server"
		finish "$server" 2>/dev/null
	done
	run "$TRIPOD" --dir="$DATA" gc --grace-period=0s
	# shellcheck disable=SC2154 # run sets it
	is 'gc ends well' "$status" 0
	is 'and no pod is left' "$(find "$DATA"/pods/*/* 2>/dev/null)" ''
	no_leaks 'no process and no mount is left'
	done_testing
}
