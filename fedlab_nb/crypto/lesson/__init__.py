"""Lessons: attacks that work, to be run by students; and the reason why they fail on what this library releases."""

from fedlab_nb.crypto.lesson.recover import KeyRecovery, recover_key

__all__ = ["KeyRecovery", "recover_key"]
