"""Invented short messages as counts of words, wanted or not, in three languages; with a known truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fedlab_nb.data.samples.truth import check_size, yes_no

if TYPE_CHECKING:
    import pandas as pd

# By language: words that spam likes, then words that other messages like, in the same order of meaning.
WORDS = {
    "English": (("free", "win", "money", "click", "offer"), ("meeting", "report", "lunch", "thanks", "tomorrow")),
    "French": (("gratuit", "gagner", "argent", "cliquer", "offre"), ("bureau", "rapport", "repas", "merci", "demain")),
    "German": (("gratis", "gewinn", "geld", "klicken", "angebot"), ("sitzung", "bericht", "mittag", "danke", "morgen")),
}
SHARED = ("link", "euro")
SHARES = (0.5, 0.3, 0.2)
# How often each of a language's twelve words is used in spam, in units that add up to one message.
LIKED = (0.16, 0.14, 0.13, 0.12, 0.10)
LESS_LIKED = (0.05, 0.05, 0.05, 0.05, 0.05)
LINKS = (0.07, 0.03)
LENGTH = 5.0


def messages(rows: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Invented messages in English, French or German: how often each of 32 words stands in one, and whether it is spam.

    Nobody wrote them. A message draws its words at random, those of its language and two that all share, with rates
    that depend on ``spam`` ("no" or "yes", as many of both) alone; so the log-odds of "yes" are linear in the counts.
    ``fl.partition.Natural("language")`` makes each language an owner: one who never saw the words of the others, and
    so cannot tell their spam. ``frame.attrs["truth"]`` has the ``coefficients`` per word (its intercept is 0) and the
    ``best_accuracy``: what a filter that knew the rates would reach on these very rows, about 0.84.

    Raises:
        SettingError: if there are fewer than 50 rows.

    >>> messages().shape
    (2000, 34)
    """
    import pandas as pd

    check_size("messages", "rows", rows, least=50, example=2000)
    rng = np.random.default_rng(seed)
    languages = np.array(list(WORDS))
    written, spam = rng.choice(len(languages), rows, p=SHARES), rng.random(rows) < 0.5
    often = np.array([*LIKED, *LESS_LIKED, *LINKS])
    seldom = np.array([*LESS_LIKED, *LIKED, *LINKS[::-1]])
    counts = rng.poisson(LENGTH * np.where(spam[:, None], often, seldom))
    vocabulary = [word for liked, others in WORDS.values() for word in (*liked, *others)]
    table = np.zeros((rows, len(vocabulary) + len(SHARED)), dtype=np.int64)
    for number in range(len(languages)):
        own = written == number
        table[np.ix_(own, np.arange(10) + 10 * number)] = counts[own, :10]
    table[:, -2:] = counts[:, 10:]
    frame = pd.DataFrame(table, columns=[*vocabulary, *SHARED])
    frame["language"], frame["spam"] = languages[written], yes_no(spam)
    weights = np.log(often / seldom)
    chance = 1 / (1 + np.exp(-(counts @ weights)))
    slopes = [*np.tile(weights[:10], len(languages)), *weights[10:]]
    frame.attrs["target"] = "spam"
    frame.attrs["truth"] = {
        "coefficients": {word: float(slope) for word, slope in zip([*vocabulary, *SHARED], slopes, strict=True)},
        "best_accuracy": float(np.maximum(chance, 1 - chance).mean()),
    }
    return frame
