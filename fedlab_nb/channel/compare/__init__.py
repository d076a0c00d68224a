"""The same numbers through several channels, and what each of them costs and hides.

Read readers.py (who could read one update, from the settings), then measure.py (one sum through each channel).
"""

from fedlab_nb.channel.compare.comparison import ChannelComparison, ChannelFigures, Step
from fedlab_nb.channel.compare.measure import compare_channels
from fedlab_nb.channel.compare.readers import Reader, keyring, readers, scheme_name, travels

__all__ = [
    "ChannelComparison",
    "ChannelFigures",
    "Reader",
    "Step",
    "compare_channels",
    "keyring",
    "readers",
    "scheme_name",
    "travels",
]
