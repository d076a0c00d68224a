"""What stands first: state, round and metric, the road of a round, and the chart's title with its key."""

from __future__ import annotations

from html import escape

from fedlab_nb.records import Hop, Snapshot
from fedlab_nb.units import listed, metric_name, number, seconds_text
from fedlab_nb.view.draw.curves import Curve, curve, traffic_total
from fedlab_nb.view.words import OWN_MODELS, chart_title, from_the_vault, line_words

CHIPS = {
    "preparing": ("…", "fl-soft"),
    "running": ("▶", "fl-run"),
    "paused": ("❚❚", "fl-maybe"),
    "finished": ("✓", "fl-good"),
    "stopped": ("■", "fl-soft"),
    "interrupted": ("■", "fl-maybe"),
    "failed": ("✕", "fl-bad"),
    "budget spent": ("◆", "fl-maybe"),
}
MOST_DOTS = 24
# Seen only where a front end drops style sheets, as for notebooks from elsewhere: words would run together there.
GAP = '<span class="fl-gap"> · </span>'


def header_panel(snapshot: Snapshot) -> str:
    """Title, state, round, metric, time and a progress bar; below, why a round failed, if one did."""
    line = curve(snapshot)
    last = snapshot.at
    share = 100 * min(last / max(snapshot.num_rounds, 1), 1.0)
    symbol, style = CHIPS[snapshot.state]
    about = "about " if line.rounds and line.noise[-1] else ""
    value = about + number(line.level[-1]) if line.rounds else "–"
    time = f"{seconds_text(snapshot.elapsed)} elapsed"
    if snapshot.state == "running" and snapshot.left is not None:
        time += f" · about {seconds_text(snapshot.left)} left"
    return (
        f'<section class="fl-card fl-head{" fl-failed" if snapshot.state == "failed" else ""}"><div class="fl-line">'
        f'<span class="fl-name" data-testid="header-title">{escape(snapshot.title)}</span> '
        f'<span class="fl-chip {style}" role="status"><span aria-hidden="true">{symbol}</span> '
        f'<span data-testid="header-state">{snapshot.state}</span></span> {GAP}'
        f'<span>round <b class="fl-big" data-testid="header-round">{last}</b> of {snapshot.num_rounds}</span> {GAP}'
        f'<span class="fl-soft" data-testid="header-time">{time}</span> {GAP}'
        f'<span class="fl-right">{escape(metric_name(snapshot.metric))} '
        f'<b class="fl-big" data-testid="header-metric">{value}</b>{_own(line)}</span></div>'
        f'<div class="fl-bar" role="progressbar" aria-label="rounds" aria-valuemin="0" aria-valuenow="{last}" '
        f'aria-valuemax="{snapshot.num_rounds}"><i class="{style}" style="width:{share:.1f}%"></i></div>'
        f"{_alarm(snapshot)}</section>"
    )


def _own(line: Curve) -> str:
    """The last score of the owners' own models, where there are such."""
    if not line.personal:
        return ""
    return f' {GAP}{OWN_MODELS} <b class="fl-big" data-testid="header-personal">{number(line.personal[-1][1])}</b>'


def _alarm(snapshot: Snapshot) -> str:
    """Why the run failed, in full; of failures that it got over their number."""
    failed = [r for r in snapshot.history if r.failed is not None]
    if failed and (failed[-1] is snapshot.history[-1] or snapshot.state == "failed"):
        told = f"✕ Round {failed[-1].number} failed · {failed[-1].failed}"
    elif snapshot.state == "failed":
        told = f"✕ The run failed · {snapshot.note}"
    elif failed:
        many = f"✕ {len(failed)} failed round{'s' if len(failed) > 1 else ''}, marked on the chart"
        return f'<div class="fl-bad" data-testid="header-failed">{many}</div>'
    else:
        return ""
    return f'<p class="fl-alarm" role="alert" data-testid="header-failed">{escape(told)}</p>'


def road_panel(snapshot: Snapshot) -> str:
    """The road of one round, party by party: who took part, what travels sealed, who opens what."""
    names = snapshot.owners
    taking = set(snapshot.history[-1].cohort) if snapshot.history else set()
    absent = snapshot.history[-1].failed.party if snapshot.history and snapshot.history[-1].failed else None
    dots = "".join(
        f'<i class="{"fl-out" if name == absent else "fl-on" if name in taking else ""}" '
        f'title="{escape(name, quote=True)}"></i>'
        for name in names[:MOST_DOTS]
    )
    more = f" +{len(names) - MOST_DOTS}" if len(names) > MOST_DOTS else ""
    part = "keep their rows"
    if snapshot.history:
        who = f"{len(taking)} of {len(names)}" if taking else "nobody"
        part = f"{who} took part in round {snapshot.at}"
    sealed = traffic_total(snapshot).sealed_bytes > 0
    crowd = f'Owners<span class="fl-dots" aria-hidden="true">{dots}</span>{more}'
    owners = f'<div class="fl-stop"><b>{crowd}</b> <span>{part}</span></div>'
    if snapshot.between is not None:
        return _road(owners + _columns_road(snapshot, snapshot.between))
    if not snapshot.history:
        hop, server, after = _hop("", "updates"), "adds the updates", ""
    elif from_the_vault(snapshot):
        hop, server, after = _hop("", "nothing sent"), "has the answers from the vault: all of it was asked before", ""
    elif sealed and snapshot.hiding == "masks":
        hop, server, after = _hop("fl-seal", "◆ masked"), "adds masked numbers; in the sum the masks cancel", ""
    elif sealed:
        hop, server = _hop("fl-seal", "◆ sealed"), "adds ciphertexts, has no key"
        who, how = OPENERS.get(snapshot.hiding, OPENERS["authority"])
        after = _hop("fl-seal", "◆ sealed sum") + f'<div class="fl-stop"><b>{who}</b> <span>{how}</span></div>'
    else:
        hop, server, after = _hop("fl-maybe", "○ readable"), "reads what arrives, and adds it", ""
    return _road(f'{owners}{hop}<div class="fl-stop"><b>Server</b> <span>{server}</span></div>{after}')


def _road(stops: str) -> str:
    return f'<section class="fl-card"><div class="fl-road" data-testid="road">{stops}</div></section>'


def _columns_road(snapshot: Snapshot, between: tuple[Hop, ...]) -> str:
    """Where owners hold different columns: what goes from one to another, and who opens sums of what is sealed."""
    if not between:
        return _hop("", "numbers of rows") + _stop("Each other", "nothing has crossed yet")
    across = [hop for hop in between if hop.sender in snapshot.owners and hop.receiver in snapshot.owners]
    readable = list(dict.fromkeys(hop.kind for hop in across if not hop.sealed))
    sealed = any(hop.sealed for hop in across)
    words = " ".join((["◆ sealed"] if sealed else []) + (["○ readable"] if readable else []))
    opened = [hop.kind for hop in between if hop.sealed and hop.receiver not in snapshot.owners]
    told = f"read: {listed(readable)}" if readable else "read nothing"
    told += "; multiply what is sealed, without reading it" if sealed else ""
    told += "; an owner with a key of its own opens sums" if sealed and not opened else ""
    stops = _hop("fl-maybe" if readable else "fl-seal", words or "nothing") + _stop("Each other", told)
    if opened:
        padded = all(kind.startswith("padded") for kind in opened)
        how = "opens sums under pads of their owner: random numbers" if padded else "opens sums"
        stops += _hop("fl-seal", "◆ sealed sums") + _stop("Key holder", how)
    return stops


def _stop(who: str, what: str) -> str:
    return f'<div class="fl-stop"><b>{who}</b> <span>{escape(what)}</span></div>'


OPENERS = {
    "authority": ("Key holder", "opens the sum of a round"),
    "owners": ("An owner", "opens the sum; all owners have the key"),
    "threshold": ("All owners", "open the sum together; nobody has the key"),
}


def _hop(style: str, words: str) -> str:
    return f'<div class="fl-hop {style}"><b aria-hidden="true">→</b> {words}</div>'


def chart_head(snapshot: Snapshot) -> str:
    """The chart's title in words and its key; a key beside the picture fits narrow pages, plotly's own does not."""
    line = curve(snapshot)
    keys = [("k-line", "all owners together" if line_words(line) == "all owners" else line_words(line))]
    if line.personal:
        keys.append(("k-own", OWN_MODELS))
    if line.noisy:
        keys += [("k-dot", "release with privacy noise"), ("k-band", "±1 sd of the noise")]
    if line.banded:
        keys.append(("k-band", "single owners, lowest to highest"))
    spans = GAP.join(f'<span><i class="{style}"></i>{words}</span>' for style, words in keys)
    for branch in snapshot.branches[-3:]:
        spans += f'{GAP}<span><i class="k-branch"></i>{escape(branch.label)}</span>'
    if snapshot.changes:
        spans += f'{GAP}<span><i class="k-change"></i>settings changed</span>'
    if line.failed:
        spans += f'{GAP}<span><i class="k-fail">✕</i>failed round</span>'
    return f'<h4 data-testid="chart-title">{escape(chart_title(snapshot))}</h4><div class="fl-key">{spans}</div>'
