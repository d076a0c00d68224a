"""All that goes over this machine's own network while a test looks on, byte for byte: Linux, as root."""

import socket
import struct
import threading
import time

ETH_P_ALL, PACKET_OUTGOING = 0x0003, 4
SOL_PACKET, PACKET_STATISTICS, SO_RCVBUFFORCE = 263, 6, 33


class Capture:
    """What is sent over 127.0.0.1 from ``with`` to its end, by (port from, port to)."""

    def __enter__(self) -> "Capture":
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 28)
        self._socket.bind(("lo", 0))
        self._socket.settimeout(0.2)
        self._flows: dict[tuple[int, int], list[bytes]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(0.5)  # what was sent before is still waiting to be read
        self._over.set()
        self._thread.join()
        statistics = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        self.missed = struct.unpack("II", statistics)[1]
        self._socket.close()

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                packet, (_, _, kind, *_) = self._socket.recvfrom(1 << 17)
            except TimeoutError:
                continue
            if kind == PACKET_OUTGOING:  # each packet is seen when it leaves and when it arrives
                self._keep(packet[14:])

    def _keep(self, packet: bytes) -> None:
        if packet[:1] and packet[0] >> 4 == 4 and packet[9] == socket.IPPROTO_TCP:
            head = (packet[0] & 15) * 4
            ports = struct.unpack_from("!HH", packet, head)
            data = packet[head + (packet[head + 12] >> 4) * 4 :]
            if data:
                self._flows.setdefault(ports, []).append(data)

    def flows(self, port: int | None = None) -> list[bytes]:
        """What went one way between two ports, one after the other; with ``port``, to or from that one only."""
        return [b"".join(parts) for ports, parts in self._flows.items() if port is None or port in ports]
