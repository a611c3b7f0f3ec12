# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# For tests of the user's network, which begin in a network namespace of their own, after tap.sh.

need_root
need_kvm
need_command passt

ip link set lo up
# passt wants a network to take its part in, if only one that leads nowhere
ip link add outside type veth peer name inside
ip address add 192.0.2.2/24 dev outside
ip link set outside up
ip link set inside up
ip route add default via 192.0.2.1
