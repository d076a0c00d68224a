"""What is refused, with the reason: settings before anything leaves, and numbers when they are about to."""

from fedlab_nb.parties.rules.releases import check_debits, check_noise, check_numbers
from fedlab_nb.parties.rules.settings import check_house, check_owners, check_strategy, is_number, is_seed

__all__ = [
    "check_debits",
    "check_house",
    "check_noise",
    "check_numbers",
    "check_owners",
    "check_strategy",
    "is_number",
    "is_seed",
]
