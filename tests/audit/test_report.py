import re

import pytest

import fedlab_nb as fl
from fedlab_nb.audit import Auditor
from fedlab_nb.audit.report.duties import DUTIES
from fedlab_nb.audit.report.risks import RISKS
from fedlab_nb.audit.words import DECISION, EVIDENCE
from fedlab_nb.privacy import Vault, epsilon
from tests.audit.common import BUDGET, OPEN, SECRETS, Words, event, federation, owners, release, tell_lists
from tests.audit.test_verify import edit
from tests.vertical.common import federation as vertical

# What a report must never claim.
CLAIMS = re.compile(r"\b(in)?(compliant|complies|comply|compliance|gdpr-proof|secured?|securely)\b", re.IGNORECASE)
SETTINGS = {
    "plain": {},
    "CKKS": {"encrypt": fl.CKKS()},
    "owners' key": {"encrypt": fl.CKKS(keys="owners")},
    "threshold": {"encrypt": fl.CKKS(keys="threshold")},
    "masks": {"encrypt": fl.SecAgg()},
    "private": {"budget": BUDGET},
    "private and sealed": {"budget": BUDGET, "encrypt": fl.BFV()},
    "sampled": {"protect": fl.RowLevelDP(noise_multiplier=8.0, row_rate=0.5), "encrypt": fl.SecAgg()},
    "rehearsal": {"budget": BUDGET, "noise_seed": 1},
    "apart": {"encrypt": fl.CKKS(), "server": "process"},
}


def played(**settings):
    fed = federation(**settings)
    tell_lists(fed)
    release(fed, noise=8.0 if fed.house.protect else 0.0)
    return fed


def report(**settings):
    return Auditor(played(**settings)).report()


def flat(text):
    return " ".join(str(text).split())


def cell(made, first):
    """What stands beside a row's first cell, in whichever section."""
    rows = (row for section in made.sections for row in section.rows)
    return next(str(row[1]) for row in rows if str(row[0]).startswith(first))


@pytest.mark.parametrize("name", SETTINGS)
def test_a_report_claims_nothing_shows_no_value_and_begins_and_ends_as_evidence(name):
    made = report(**SETTINGS[name])
    page = Words(made._repr_html_())
    shown = Words("".join(f"<p>{part}</p>" for part in page.words if "--fl-" not in part))
    for text in (str(made), made.markdown(), " ".join(shown.words), repr(made)):
        assert CLAIMS.findall(text) == []
        assert [secret for secret in SECRETS if secret in text] == []
    first, last = made.sections[0].words[0], made.sections[-1].words[-1]
    assert (first, last) == (EVIDENCE, DECISION)
    assert "evidence for people who decide" in first
    assert "for people to decide" in last
    assert "evidence" in last
    assert flat(made).endswith(flat(DECISION))
    assert page.open == []
    assert not set(page.tags) & {"script", "img", "a", "iframe"}
    assert max(len(line) for line in str(made).splitlines()) <= 100


@pytest.mark.parametrize("name", SETTINGS)
def test_every_article_and_every_risk_is_named_whatever_was_set(name):
    made = report(**SETTINGS[name])
    text = flat(made)
    for duty in DUTIES:
        assert f"Article {duty.article}" in text
    assert [d.article.split(",")[0] for d in DUTIES] == [
        "5(1)(b)",
        "5(1)(c)",
        "5(1)(f)",
        "5(2)",
        "25",
        "30",
        "32",
        "35",
    ]
    for risk in RISKS:
        assert len(cell(made, risk)) > 30


def test_roles_are_those_of_the_standard_and_of_fate():
    made = report(encrypt=fl.CKKS())
    roles = next(s for s in made.sections if s.title.startswith("Roles"))
    assert [row[0] for row in roles.rows] == [
        "Clinic A, Clinic B, Clinic C",
        "whoever runs this notebook",
        "server",
        "key holder",
        "auditor",
    ]
    words = {word for row in roles.rows for word in re.findall(r"\w+", f"{row[1]} {row[2]}")}
    assert {"owner", "user", "coordinator", "auditor", "host", "guest", "arbiter"} <= words
    masks = report(encrypt=fl.SecAgg())
    assert "key holder" not in [row[0] for s in masks.sections if s.title.startswith("Roles") for row in s.rows]
    assert "got 6 answers of single owners and could read 3" in flat(made)
    assert "got 6 answers of single owners and could read 6" in flat(report())


def test_encryption_or_none_changes_what_is_said():
    plain, sealed = flat(report()), flat(report(encrypt=fl.CKKS()))
    assert "No encryption is in force: the server could read all 6 answers" in plain
    assert "Encryption is in force (CKKS, preset default): 3 of 6 answers of single owners crossed sealed" in sealed
    assert "readable one by one: 'category list'" in sealed
    assert "No encryption" not in sealed
    assert "crossed masked" in flat(report(encrypt=fl.SecAgg()))
    for settings, words in {
        "plain": "There are no keys",
        "CKKS": "One key holder has the secret key; it was sent 0 answers",
        "owners' key": "Every owner has the secret key",
        "threshold": "Nobody has the secret key",
        "masks": "masks cancel in the sum",
    }.items():
        assert words in cell(report(**SETTINGS[settings]), "The key"), settings


def test_exact_or_noisy_answers_change_what_is_said():
    exact = report()
    assert "6 releases without noise" in cell(exact, "Exact answers")
    assert "here no epsilon bounds that" in cell(exact, "Inference")
    assert "No privacy mechanism is in force" in flat(exact)
    fed = fl.Federation(owners(seed=5), budget=BUDGET)
    release(fed)
    noisy = Auditor(fed).report()
    assert cell(noisy, "Exact answers").startswith("0 releases without noise")
    assert "epsilon bounds how much: 'Clinic A', 'Clinic B', 'Clinic C': epsilon" in cell(noisy, "Inference")
    assert "hides a single row (clip norm 1, as much noise as the budget asks for)" in flat(noisy)
    assert "rehearsal" in cell(report(budget=BUDGET, noise_seed=3), "Rehearsals")
    assert "protects nobody" in flat(report(budget=BUDGET, noise_seed=3))


def test_what_was_spent_is_what_the_accounts_say():
    fed = federation(budget=BUDGET)
    assert "nothing of 8 agreed" in flat(Auditor(fed).report())
    release(fed, noise=4.0)
    part = flat(Auditor(fed).report())
    spent = fed.account("Clinic A").spent(1e-3)
    assert f"epsilon {spent:.2g} of 8 agreed, per row, at delta 0.001" in part or f"epsilon {spent:.2f} of 8" in part
    noise = (OPEN.noise_multiplier(1) ** -2 - 4.0**-2) ** -0.5
    release(fed, 2, noise=noise * (1 + 1e-9))
    whole = flat(Auditor(fed).report())
    assert "epsilon 8 of 8 agreed" in whole
    assert "3 of 3 owners agreed on a limit" in whole
    assert "0 of 3 owners agreed on a limit" in flat(report())


def test_the_file_or_memory_that_keeps_the_journal_is_told(tmp_path):
    assert "in memory" in cell(report(), "A replaced or forgotten vault")
    fed = federation(budget=BUDGET, vault=Vault(tmp_path / "b.vault"))
    release(fed)
    made = Auditor(fed).report()
    assert "older copy" in cell(made, "A replaced or forgotten vault")
    assert "kept in a file (The vault 'b.vault')" in flat(made)
    assert str(tmp_path) not in str(made)


def test_a_broken_chain_is_told_and_nothing_is_read_from_it(tmp_path):
    fed = federation(budget=BUDGET, vault=Vault(tmp_path / "b.vault"))
    release(fed)
    good = flat(Auditor(fed).report())
    assert "the chain of the journal of 6 lines is as it was written" in good
    edit(tmp_path / "b.vault", "UPDATE journal SET at = at + 1 WHERE number = 4")
    bad = Auditor(fed).report()
    text = flat(bad)
    assert "the chain of the journal was altered" in text
    assert "line 4" in text
    assert "Cannot be counted" in cell(bad, "Exact answers")
    assert "no agreement can be told" in text
    assert "as this kernel had counted" in text
    assert "as this kernel had counted" not in good
    rehearsal = fl.Federation(owners(seed=6), budget=BUDGET, noise_seed=1)
    assert "No agreement about these owners' data" in flat(Auditor(rehearsal).report())
    assert "✕ does not hold" in text
    assert "– not known" in text
    fed.ledger._messages.pop(0)
    text = flat(Auditor(fed).report())
    assert "The chain of 2 messages was altered" in text
    assert "who could read what cannot be told" in text
    assert "who could read what cannot be told" not in good


def test_heads_are_told_where_they_were_given():
    fed = played()
    head = Auditor(fed).verify().ledger_head
    assert "No head noted earlier was given" in flat(Auditor(fed).report())
    assert "1 head noted earlier, still part" in flat(Auditor(fed).report(heads=[head]))


def test_records_of_processing_name_purposes_times_columns_and_recipients_of_each_owner():
    fed = federation(encrypt=fl.CKKS(), budget=BUDGET)
    release(fed, 1)
    release(fed, 2, noise=9.0)
    made = Auditor(fed).report()
    records = next(s for s in made.sections if "article 30" in s.title)
    assert [(row[0], row[1], row[2]) for row in records.rows] == [(n, "a round's update", "2") for n in fed.names]
    assert all(re.match(r"\d{4}-\d\d-\d\dT", row[3]) for row in records.rows)
    assert "'age', 'town'; and the target 'ill'" in flat(made)
    assert "No purpose names a column" in flat(made)
    release(fed, 3, noise=9.0, purpose="the mean of age")
    assert "Purposes name 'age':" in flat(Auditor(fed).report())
    spent = epsilon([event(noise=8.0), event(noise=9.0)], 1e-3)
    assert {row[6].split(" at")[0] for row in records.rows} == {f"{spent:.2g}" if spent < 0.1 else f"{spent:.2f}"}
    recipients = next(s for s in made.sections if s.title.startswith("Recipients"))
    assert recipients.rows[0][1] == "server (2 answers, sealed); key holder (sums, opened)"
    agreed = next(s for s in made.sections if s.title == "Agreements")
    assert [(row[0], str(row[4])) for row in agreed.rows] == [(name, "✓ kept") for name in fed.names]


def test_releases_of_another_federation_with_the_same_data_are_told_too():
    held = owners()
    release(fl.Federation(held), noise=0.0, purpose="an earlier question")
    made = Auditor(fl.Federation(held, budget=BUDGET)).report()
    assert "'an earlier question' (3 times)" in flat(made)
    assert "no guarantee (something left exact, or protected less); of 8 agreed" in flat(made)


def test_a_kind_that_names_rows_is_counted():
    fed = played()
    assert "Messages whose kind names rows: 0 of 6" in flat(Auditor(fed).report())
    debits = {name: [event(2, 0.0, "curiosity")] for name in fed.names}
    fed.hear("favourite rows", lambda *_: "[]", number=2, debits=debits)
    assert "Messages whose kind names rows: 3 of 9" in flat(Auditor(fed).report())


def test_noise_sampling_and_processes_change_the_risks():
    exact = played(protect=fl.RowLevelDP(noise_multiplier=8.0, exact_noise=True))
    assert "whole steps of a grid" in cell(Auditor(exact).report(), "Floating-point")
    assert "no perfect Gaussian" in cell(report(budget=BUDGET), "Floating-point")
    assert "No noise is drawn" in cell(report(), "Floating-point")
    sampled = fl.Federation(owners(seed=9), **SETTINGS["sampled"])
    assert "took part at random, in secret" in cell(Auditor(sampled).report(), "Credit for sampling")
    assert "takes no credit" in cell(report(), "Credit for sampling")
    assert "but the adding server" in cell(report(**SETTINGS["apart"]), "One process")
    assert "but the adding server" not in cell(report(encrypt=fl.CKKS()), "One process")
    two = fl.Federation(owners(), encrypt=fl.SecAgg(), protect=fl.RowLevelDP(noise_multiplier=8.0, colluding=2))
    assert "enough against 2 owners" in cell(Auditor(two).report(), "Parties that collude")
    assert "it need not lie" in cell(report(), "A server that lies")


EVIL = '<img src=x onerror="alert(1)"> | **bold** `code` [a](b)\n# head'


def test_no_name_becomes_markup_anywhere():
    fed = fl.Federation(owners((EVIL, "b|c", "__d__")))
    debits = {name: [event(1, 0.0, EVIL)] for name in fed.names}
    fed.hear(EVIL, lambda *_: "[]", number=1, debits=debits)
    made = Auditor(fed).report()
    page = made._repr_html_()
    assert "<img" not in page
    assert "&lt;img" in page
    assert Words(page).open == []
    text = made.markdown()
    assert "<img" not in text
    assert "**bold**" not in text
    assert "\n# head" not in text
    assert r"b\|c" in text
    for section in made.sections:
        lines = [
            line for line in text.split(f"## {section.title}")[-1].split("\n## ")[0].splitlines() if line[:1] == "|"
        ]
        for line in lines if section.rows and "(" not in section.title else []:
            assert len(re.findall(r"(?<!\\)\|", line)) == len(section.columns) + 1
    assert repr(made).count("\n") == 0


def test_a_long_table_is_folded_and_the_card_of_an_auditor_is_small():
    fed = fl.Federation(owners([f"Phone {i}" for i in range(40)]))
    release(fed, noise=0.0)
    auditor = Auditor(fed)
    assert "All 40 lines" in auditor.report()._repr_html_()
    assert repr(auditor) == "Auditor(40 messages in the ledger, 40 lines in the journal)"
    assert "no row, no key" in auditor._repr_html_()
    assert auditor.report().markdown().startswith("## Audit report")


def of_columns(strategy=None, **settings):
    fed = vertical(**settings)
    next(fl.rounds(fed, strategy or fl.vertical.LogisticRegression("bank"), num_rounds=1))
    return fed, Auditor(fed).report()


def role(made, party):
    return next(row[1:] for s in made.sections if s.title.startswith("Roles") for row in s.rows if row[0] == party)


def test_of_different_columns_the_owner_of_the_labels_is_the_guest_and_the_server_adds_nothing():
    fed, made = of_columns()
    assert role(made, "bank")[1] == "guest: it has the labels"
    assert role(made, "shop")[1] == "host"
    assert "finds the rows in common" in role(made, "server")[0]
    padded = sum(m.kind == "padded gradient" for m in fed.ledger.messages)
    got = f"got 0 sealed sums, and {padded} sealed gradients under pads: random numbers to it"
    assert role(made, "key holder") == ("coordinator: holds the key", "arbiter", got)
    assert got in cell(made, "The key")
    assert "sealed update" not in flat(made)
    assert "sends the model" not in flat(made)
    assert "key holder with the server" not in flat(made)
    assert "the key holder with an owner that multiplies" in cell(made, "Parties that collude")
    assert "sums, opened" not in flat(made)
    assert "finds the rows in common" in cell(made, "A server that lies")


def test_of_different_columns_keys_are_those_that_were_handed_out():
    _, own = of_columns(fl.vertical.LogisticRegression("bank", key_holder=False))
    assert role(own, "key holder")[0] == "coordinator: has handed out no key"
    assert "a secret key of its own each" in cell(own, "The key")
    assert "The key holder has a secret key" not in flat(own)
    _, plain = of_columns(fl.vertical.SplitNN("bank", cut=2), encrypt=None)
    assert "No key was handed out" in cell(plain, "The key")
    assert "the server could read all" not in flat(plain)
    assert "The server reads every answer" not in flat(plain)
    assert "readable one by one, for whoever they were sent to: 'activation gradients', 'activations'" in flat(plain)


def test_parts_of_a_model_that_were_given_by_consent_are_told():
    fed = vertical()
    strategy = fl.vertical.LogisticRegression("bank")
    record = next(fl.rounds(fed, strategy, num_rounds=1))

    def told():
        return role(Auditor(fed).report(), "whoever runs this notebook")[2]

    assert told().endswith("its own part of a model")
    strategy.model_of(record.state).merge(fed, consent=fed.names)
    assert told().endswith("by consent 'bank' got the other parts")
