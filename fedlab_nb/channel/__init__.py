"""How a sum gets from the owners to the server: one protocol a file, each to be read from top to bottom.

plain.py: the server reads every update. sealed.py: it adds ciphertexts, and a key holder (or an owner) opens the sum.
threshold.py: it adds ciphertexts, and the sum opens only if every owner of the round agrees. masked.py: it adds numbers
whose masks cancel.
"""

from fedlab_nb.channel.current import Channels
from fedlab_nb.channel.opening import Channel, Encryption, Server, for_range, open_channel
from fedlab_nb.channel.traffic import HANDSHAKE, Opaque

__all__ = [
    "HANDSHAKE",
    "Channel",
    "Channels",
    "Encryption",
    "Opaque",
    "Server",
    "for_range",
    "open_channel",
]
