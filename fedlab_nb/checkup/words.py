"""What a checkup found, line by line: the same lines make its text and its card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import fill

from fedlab_nb.cards import Html, marked, pairs_html, panel, shown
from fedlab_nb.checkup.machine import ENOUGH_MEMORY, Machine, cores_words, memory_words
from fedlab_nb.checkup.plan import Cost, Outlook, Planned
from fedlab_nb.checkup.versions import BUTTONS_SINCE, Version, buttons_while_waiting
from fedlab_nb.units import bytes_text, delta_text, epsilon_text, seconds_text
from fedlab_nb.view.frontend import FrontEnd

WIDTH = 110
MARKS = {True: ("✓", "fine", "fl-good"), False: ("✕", "to do", "fl-bad")}


@dataclass(frozen=True)
class Line:
    """One thing that was looked at: whether it is ``fine`` (None: simply to know), and what to ``do`` if it is not."""

    what: str
    words: str
    fine: bool | None = None
    do: str = ""


def text(title: str, lines: Iterable[Line], note: str = "") -> str:
    """The lines for a terminal: symbol, word, what, words."""
    parts = []
    for line in lines:
        mark = "" if line.fine is None else "{} {}".format(*MARKS[line.fine])
        parts.append(f"  {mark:<9}{line.what}: {line.words}{' ' + line.do if line.do else ''}")
    told = [fill(part, WIDTH, subsequent_indent=" " * 11) for part in parts]
    return "\n".join(
        [title, *told, *([fill(note, WIDTH, initial_indent="  ", subsequent_indent="  ")] if note else [])]
    )


def html(title: str, lines: Iterable[Line], note: str = "", name: str = "", more: str = "") -> str:
    """The lines as a card without a frame, ``more`` HTML below them."""
    rows = [(line.what, _cell(line)) for line in lines]
    return panel(title, pairs_html(rows) + more, note=note, name=name)


def _cell(line: Line) -> Html:
    mark = "" if line.fine is None else f"{marked(*MARKS[line.fine])} · "
    return Html(f"{mark}{shown(line.words)}" + (f"<br><b>{shown(line.do)}</b>" if line.do else ""))


def place_lines(front: FrontEnd, versions: Sequence[Version], machine: Machine) -> list[Line]:
    """What this front end can do, whether the packages fit, and what the machine has."""
    lines = [Line("Front end", f"{_sentence(front.name)}. {front.note}", True if front.live else None)]
    if front.buttons:
        lines.append(_buttons(versions))
    lines += [_missing(version, front) for version in versions if not version.fits]
    good = [version for version in versions if version.fits]
    if len(good) == len(versions):
        lines.append(Line("Versions", f"Python {good[0].found} and every package lie in the declared ranges.", True))
    enough = machine.available + machine.resident >= ENOUGH_MEMORY
    advice = f"Close other notebooks: a run with everything loaded takes about {bytes_text(ENOUGH_MEMORY)}."
    lines.append(Line("Memory", f"{memory_words(machine)}.", enough, "" if enough else advice))
    lines.append(Line("Cores", f"{cores_words(machine)}."))
    return lines


def version_words(versions: Iterable[Version]) -> str:
    """Every package with its version, in one line."""
    return ", ".join(f"{v.name} {v.found or 'missing'}" for v in versions)


def _buttons(versions: Sequence[Version]) -> Line:
    found = next((v.found for v in versions if v.name == "ipykernel"), None) or "missing"
    if buttons_while_waiting(versions):
        words = f"They work while no cell runs, and while a cell waits with await run (ipykernel {found})."
        return Line("Buttons", words, True)
    return Line(
        "Buttons",
        f"They work while no cell runs, but not while a cell waits with await run (ipykernel {found}).",
        False,
        f'For that, install ipykernel {BUTTONS_SINCE} or newer: %pip install "ipykernel>={BUTTONS_SINCE}".',
    )


def _missing(version: Version, front: FrontEnd) -> Line:
    if not version.wanted:
        words = "It is imported from a folder and not installed, so its packages could not be compared."
        return Line(version.name, words, False, "Install it, for example with pip install -e in its folder.")
    if version.name == "Python":
        words = f"This is {version.found}, and fedlab_nb needs {version.wanted}."
        return Line("Python", words, False, f"Make an environment with Python {version.wanted} and install it there.")
    held = f"Version {version.found} is installed" if version.found else "It is not installed"
    command = f'install "{version.name}{version.wanted}"'
    cure = f"Run %pip {command} and restart the kernel." if front.html else f"Run python -m pip {command}."
    return Line(version.name, f"{held}, and fedlab_nb needs {version.wanted}.", False, cure)


def planned_lines(plan: Planned, machine: Machine) -> list[Line]:
    """What the planned run will cost, or why it would not work."""
    if plan.refused is not None:
        return [Line("It would be refused", f"{plan.refused.what} {plan.refused.why}", False, plan.refused.do)]
    if plan.broken or plan.cost is None:
        advice = "The real run is likely to fail alike, unless the invented rows are to blame."
        return [Line("The twin failed", plan.broken, False, advice)]
    lines = [_time(plan.cost), _bytes(plan.cost, plan), _memory(plan.cost, machine)]
    lines += [Line("Processes", plan.pooling)] if plan.pooling else []
    return [*lines, *(_privacy(plan.outlook, plan) if plan.outlook is not None else ())]


def planned_note(plan: Planned) -> str:
    """How the numbers were found, and where they are a guess."""
    if plan.cost is None:
        return ""
    note = (
        f"Measured: a twin of this federation with {plan.rows} invented rows an owner played some of the rounds. Real "
        "rows were asked nothing, and their number is private: pass rows=... for another size. The twin's rows have no "
        "gaps; each real column with gaps adds an input to the model."
    )
    if plan.guessed:
        names = ", ".join(repr(name) for name in plan.guessed)
        note += (
            f" A guess in one respect: nobody declared the categories of {names}; the twin has two or three invented "
            "ones in each, and their number decides the size of the model."
        )
    return note


def _time(cost: Cost) -> Line:
    words = f"About {_seconds(cost.whole.seconds)}"
    if cost.num_rounds > 2:
        beginning = max(cost.first.seconds - cost.middle.seconds, 0.0)
        words += f": {_seconds(beginning)} to begin, then {_seconds(cost.middle.seconds)} a round"
    return Line("Time", f"{words}.")


def _seconds(seconds: float) -> str:
    return seconds_text(seconds) if seconds >= 10 else f"{seconds:.2g} s"


def _bytes(cost: Cost, plan: Planned) -> Line:
    about = "about " * plan.sampled
    words = _sentence(f"{about}{bytes_text(cost.whole.sent)} will be sent")
    if cost.num_rounds > 2:
        words += f", {about}{bytes_text(cost.middle.sent)} a round"
    if plan.encrypted:
        words += f"; all in the clear it would be {bytes_text(cost.whole.plain)}"
    else:
        words += ", all of it in the clear"
    return Line("Traffic", f"{words}.")


def _memory(cost: Cost, machine: Machine) -> Line:
    fits = cost.memory < machine.available
    words = f"About {bytes_text(cost.memory)} more than now; {bytes_text(machine.available)} are available."
    return Line("Memory", words, fits, "" if fits else "Plan fewer rounds or a smaller model, or use a larger machine.")


def _privacy(outlook: Outlook, plan: Planned) -> list[Line]:
    if outlook.epsilon is None:
        return [Line("Privacy", outlook.claim)]
    terms = f"(delta {delta_text(outlook.delta)}, per {outlook.unit})"
    end = f"{'at most ' * plan.sampled}epsilon {epsilon_text(outlook.epsilon)}"
    if outlook.agreed is None or outlook.left is None:
        return [Line("Privacy", f"{_sentence(end)} will be spent at the end {terms}; no limit is agreed.")]
    agreed = epsilon_text(outlook.agreed)
    now = f"{epsilon_text(outlook.left)} of {agreed} is left now{outlook.where}"
    planned = plan.cost.num_rounds if plan.cost is not None else 0
    if outlook.rounds is None or outlook.rounds >= planned:
        words = f"{_sentence(end)} of the agreed {agreed} will be spent at the end {terms}; {now}."
        return [Line("Privacy", words, True)]
    least = "At least" if plan.sampled else "Only"
    advice = (
        f"{least} {outlook.rounds} of {planned} rounds fit, and the run would end there: plan fewer, choose more "
        "noise, or agree on a larger epsilon."
    )
    return [Line("Privacy", f"All rounds would take {end} {terms}, and {now}.", False, advice)]


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
