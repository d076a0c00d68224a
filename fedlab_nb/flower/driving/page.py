"""What a project says of the notebook at the wheel: its settings file, and a section of the guide."""

from __future__ import annotations

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.driving.words import HOLD, NOTEBOOK

SITE_FILE = f"sites/{NOTEBOOK}.toml"
_SITE = """\
# Settings of the notebook that drives the run.
# Copy this file to the machine of the notebook, as site.toml, outside the project folder.
# Then try it: python -m fedlab_nb.flower.project check site.toml --app PROJECT

# The notebook has no rows and no keys.
name = "{notebook}"
role = "{notebook}"

# The only agreement that it drives (SHA-256 of fedlab_app/agreement.json).
agreement = "{digest}"
"""
_GUIDE = """
## The notebook at the wheel

The parties agreed that a notebook may drive this run (`"driven": true` in the agreement): hold it between two rounds,
let it play one more, and end it after a round. {changes} No round is played twice.

The notebook is a node of its own. On its machine, as the user whose kernel it is: make a key pair as an owner does,
have the server register its public part (`flwr supernode register ../notebook.pub fedlab_superlink --name notebook`),
copy `{file}` there as `site.toml`, write `node.toml` with the one line `site = "/full/path/of/site.toml"`,
and run `flower-supernode` as an owner does, with the same TMPDIR as the kernel. The run does not begin without this
node; later it goes on without it.
Then `fl.flower.run(project, control)` or `fl.flower.attach(project, control, number)` in the notebook takes the wheel.

- **Who can drive:** whoever runs that node, and every process of that user. Flower lets in nodes by their registered
  keys and knows no names: a node drives because it says that it is the notebook. Two that say so keep the run from
  beginning, and so does a party that says so in place of its own name. So register no key that belongs to nobody here.
  The server needs no notebook: whoever runs it decides what it does in any case.
- **How fast:** the server's question waits at the notebook, and a wish travels back in a trip (4 to 6 seconds). One
  that arrives before a round ends is done at its end, else a round later. Rounds wait for no answer.
- **Without a listener:** if no kernel listens, the run goes on by itself, also one that was held: a pause lasts as long
  as the kernel that wished it. Attach again to take the wheel; the newest kernel of the same user has it.
- **What it costs:** on that machine one more SuperNode, and a process of Flower's in which a question waits, about 150
  MB; it starts anew every {hold:.0f} seconds. A SuperNode serves one message at a time: a second run that it drives is
  heard later.
"""


_CHANGES = """\
It can also change numbers of the strategy, such as the learning rate, from the
next round on, and not what the parties hold each other to: encryption, clip norm, noise and budgets; nor, under a
privacy mechanism, who takes part. Every change stands in the records of the rounds."""
_KEPT = """\
It changes no setting: each party plays the protocol by itself, as
agreed on."""


def site_file(digest: str) -> str:
    """The settings of the notebook's node."""
    return _SITE.format(notebook=NOTEBOOK, digest=digest)


def guide_section(*, vertical: bool) -> str:
    """The section of the guide for those who run the machines."""
    return _GUIDE.format(file=SITE_FILE, hold=HOLD, changes=_KEPT if vertical else _CHANGES)


def check_drivable(names: tuple[str, ...], *, has_rounds: bool) -> None:
    """Refuse a run that no notebook can drive.

    Raises:
        SettingError.
    """
    if not has_rounds:
        raise SettingError(
            "Questions were to be exported with driven=True.",
            "They have no rounds between which a notebook could hold or change anything.",
            "Leave driven=True out; run.stop() ends the asking.",
        )
    if NOTEBOOK in names:
        raise SettingError(
            f"An owner is named {NOTEBOOK!r}, and the run is to be driven by a notebook.",
            "Its node has that name in the agreement, and one would be taken for the other.",
            "Give the owner another name, or leave driven=True out.",
        )
