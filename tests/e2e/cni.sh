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
