#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A pod that tries to get where it may not, and who looks whether it did.

    net_spoof.py attack IP GATEWAY HOST OUTSIDE OTHER   in the pod: one line per attempt
    net_spoof.py serve FILE                             TCP and UDP on port 8080 of all addresses
    net_spoof.py sniff FILE INTERFACE                   each frame that comes in there, in hex
"""
import fcntl
import select
import socket
import struct
import sys

PATIENCE = 2  # seconds for what is not to be answered
CONTROL = b"may pass"
LAST = b"the last one"
FORGED = b"may not pass"


def ip_checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp4(source, to, payload):
    udp = struct.pack("!HHHH", 7, 8080, 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                       socket.inet_aton(source), socket.inet_aton(to))
    return head[:10] + struct.pack("!H", ip_checksum(head)) + head[12:] + udp


def udp6(source, to, payload):
    udp = struct.pack("!HHHH", 7, 8080, 8 + len(payload), 1) + payload
    return struct.pack("!IHBB", 6 << 28, len(udp), 17, 64) + \
        socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, to) + udp


def arp(op, mac, ip, to_ip):
    return struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, op, mac, socket.inet_aton(ip),
                       b"\xff" * 6, socket.inet_aton(to_ip)) + FORGED


def route(gateway):
    """A default route, as an app with the privilege adds it."""
    def address(ip):
        return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(ip))
    entry = struct.pack("L", 0) + address("0.0.0.0") + address(gateway) + address("0.0.0.0") + \
        struct.pack("HhLLhP", 3, 0, 0, 0, 0, 0) + b"\0" * 64
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, 0x890B, entry)  # SIOCADDRT


def connect(what, family, address):
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(PATIENCE)
        try:
            sock.connect(address)
            print(what, "connected", flush=True)
        except OSError:
            print(what, "nothing", flush=True)


def attack(ip, gateway, host, outside, other):
    route(gateway)
    connect("gateway", socket.AF_INET, (gateway, 8080))
    connect("host", socket.AF_INET, (host, 8080))
    connect("outside", socket.AF_INET, (outside, 8080))
    connect("other", socket.AF_INET, (other, 8080))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for to in gateway, host, outside, other:
            sock.sendto(FORGED, (to, 8080))
    mac = open("/sys/class/net/eth0/address").read().strip()
    mac = bytes.fromhex(mac.replace(":", ""))
    forged_mac = b"\x02\x99\x99\x99\x99\x99"
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind(("eth0", 0))
    every = b"\xff" * 6

    def send(source, kind, data):
        raw.send(every + source + struct.pack("!H", kind) + data)

    for _ in range(3):
        send(mac, 0x0800, udp4(ip, "255.255.255.255", CONTROL))
        send(forged_mac, 0x0800, udp4(ip, host, FORGED))
        send(mac, 0x0800, udp4(other, host, FORGED))
        send(mac, 0x0800, udp4(gateway, host, FORGED))
        send(mac, 0x0806, arp(2, mac, other, gateway))
        send(mac, 0x0806, arp(2, mac, gateway, other))
        send(mac, 0x0806, arp(2, forged_mac, ip, gateway))
        send(mac, 0x86DD, udp6("fe80::99", "ff02::1", FORGED))
        send(mac, 0x86DD, udp6("2001:db8::99", "ff02::1", FORGED))
        send(mac, 0x8100, struct.pack("!HH", 5, 0x0800) + udp4(other, host, FORGED))
        send(mac, 0x88CC, FORGED)
    # IPv6 as an honest stack speaks it: the pod has no address of the network's
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto(FORGED, ("ff02::1", 8080, 0, 2))
        except OSError:
            pass
    send(mac, 0x0800, udp4(ip, "255.255.255.255", LAST))
    print("done", flush=True)


def serve(path):
    tcp = socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True)
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    udp.bind(("::", 8080))
    with open(path, "ab", buffering=0) as out:
        out.write(b"ready\n")
        while True:
            for sock in select.select([tcp, udp], [], [])[0]:
                if sock is tcp:
                    tcp.accept()[0].close()
                    out.write(b"tcp\n")
                else:
                    out.write(b"udp " + udp.recv(2000).hex().encode() + b"\n")


def sniff(path, interface):
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    raw.bind((interface, 3))
    with open(path, "ab", buffering=0) as out:
        out.write(b"ready\n")
        while True:
            try:
                data, where = raw.recvfrom(2000)
            except OSError:  # the interface is gone
                return
            if where[2] != socket.PACKET_OUTGOING:
                out.write(data.hex().encode() + b"\n")


{"attack": attack, "serve": serve, "sniff": sniff}[sys.argv[1]](*sys.argv[2:])
