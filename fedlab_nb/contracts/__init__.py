"""What a part of anybody's own must keep to, kind by kind; ``fl.checks`` offers it."""

from fedlab_nb.contracts.aggregator import check_aggregator
from fedlab_nb.contracts.attack import check_attack
from fedlab_nb.contracts.compressor import check_compressor
from fedlab_nb.contracts.report import Fault, Report
from fedlab_nb.contracts.strategy import check_strategy

__all__ = ["Fault", "Report", "check_aggregator", "check_attack", "check_compressor", "check_strategy"]
