"""A cable between two network namespaces: a TAP device at each end, and a delay as of a real network.

    cable.py NAMESPACE INTERFACE NAMESPACE INTERFACE MILLISECONDS

Frames come out as a NIC with two receive queues gives them to the kernel: with whole checksums, without
what the kernel knows of their sender, both directions of a connection on the same queue. Says "up" when
both ends are there, and ends when it is told to.
"""

import collections
import ctypes
import fcntl
import os
import select
import struct
import sys
import time

QUEUES = 2
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x0100
CLONE_NEWNET = 0x40000000
TAGS = (0x8100, 0x88A8)
LIBC = ctypes.CDLL(None, use_errno=True)


def end(namespace: str, interface: str) -> list[int]:
    """Makes an end in a namespace; returns the file descriptors of its queues."""
    with open(f"/run/netns/{namespace}") as file:
        if LIBC.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE
    queues = []
    for _ in range(QUEUES):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", interface.encode(), flags))
        queues.append(fd)
    return queues


def queue_of(frame: bytes) -> int:
    """A symmetric hash over addresses and ports of the outer IPv4 header, as a NIC has it."""
    at = 12
    while int.from_bytes(frame[at : at + 2], "big") in TAGS:
        at += 4
    if frame[at : at + 2] != b"\x08\x00":
        return 0
    return sum(frame[at + 14 : at + 26]) % QUEUES


def main() -> None:
    ends = [end(*sys.argv[1:3]), end(*sys.argv[3:5])]
    other = {fd: ends[1 - side] for side in (0, 1) for fd in ends[side]}
    delay = float(sys.argv[5]) / 1000
    waiting: collections.deque[tuple[float, list[int], bytes]] = collections.deque()
    print("up", flush=True)
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        readable, _, _ = select.select(list(other), [], [], timeout)
        for fd in readable:
            try:
                while True:
                    waiting.append((time.monotonic() + delay, other[fd], os.read(fd, 65536)))
            except BlockingIOError:
                pass
        while waiting and waiting[0][0] <= time.monotonic():
            _, to, frame = waiting.popleft()
            try:
                os.write(to[queue_of(frame)], frame)
            except OSError:
                pass  # The other end is down: a cable does not care.


if __name__ == "__main__":
    main()
