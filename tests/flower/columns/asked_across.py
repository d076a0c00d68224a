"""Questions to owners of different columns, in a file of their own: they are exported from here."""

from fedlab_nb.errors import FedLabError

NUMBERS = ["income", "age", "visits", "spent"]


def across(frame):
    """All that two owners answer together."""
    frame.align()
    yield "rows", frame.count()
    yield "together", frame.corr(NUMBERS)
    yield "foretold", frame.vif(["income", "visits"])
    yield "cross", frame.crosstab("sector", "region")
    yield "evidence", frame.woe("default", "yes", bins=4)
    yield "values", frame.training.iv("default", "yes", bins=4, names=["visits", "income"])
    yield "chosen", frame.training.select("default", "yes", iv=0.0, vif=5.0, bins=4)
    yield "left", frame.select("default", "yes", iv=0.1, bins=3, names=["visits", "age"]).kept
    yield "trained on", frame.training.count()


def own(frame):
    """All that one owner answers alone."""
    shop = frame.of("shop")
    yield "all", frame.describe()
    yield "quantiles", frame.quantile(["income", "spent"], [0.1, 0.5])
    yield "missing", frame.missing()
    yield "mean", frame["spent"].mean()
    yield "total", frame["spent"][frame["visits"] > 3.0].sum()
    yield "median", frame["income"].median()
    yield "regions", frame.value_counts("region")
    yield "learned bins", frame.histogram("spent", bins=4)
    yield "bins", frame.histogram("visits", bins=[0, 5, 10, 40])
    yield "by sector", frame.groupby("sector")["income"].mean()
    yield "sizes", frame.training.groupby("region").size()
    yield "cross", frame.crosstab("sector", "default")
    yield "within", shop.corr(["visits", "spent"])
    yield "shared", frame.cov(["visits", "spent"])
    yield "inflated", frame.vif(["visits", "spent"])
    yield "frequent", shop.query("visits > 6 and region != 'south'").count()
    yield "share", (frame["region"] == "north").mean()
    yield "evidence", frame.of("bank").woe("default", "yes", bins=3)
    yield "test", frame.ttest("income", by="default")
    yield "survival", frame.kaplan_meier("age", "default", happened="yes", bins=4)
    yield "scale", frame.standardise(["visits", "spent"])


def few(frame):
    """Three, as trips take long."""
    yield "together", frame.corr(["income", "visits"])
    yield "mean", frame["spent"].mean()
    yield "cross", frame.crosstab("sector", "region")


def chosen(frame):
    """A selection in which correlations are asked of two columns."""
    yield "chosen", frame.select("default", "yes", iv=0.0, vif=5.0, bins=3, names=["visits", "income"])


def strict(frame):
    """A selection that leaves no column, so that no correlation is to be asked."""
    yield "chosen", frame.select("default", "yes", iv=9.0, vif=5.0, bins=3, names=["visits", "income"])


def three(frame):
    """Of three owners: one has no part in the second, two have none in the third."""
    yield "together", frame.corr(["income", "visits", "letters"])
    yield "evidence", frame.woe("default", "yes", bins=3, names=["visits"])
    yield "of itself", frame.woe("default", "yes", bins=3, names=["age"])
    yield "letters", frame["letters"].mean()
    yield "pair", frame.corr(["spent", "parcels"])
    yield "chosen", frame.select("default", "yes", iv=0.0, vif=5.0, bins=3, names=["visits", "letters", "age"])


def follows(frame):
    """What the second asks follows from the answer to the first."""
    mean = frame["spent"].mean()
    yield "mean", mean
    yield "above", frame.of("shop").query(f"spent > {float(mean)!r}").count()


def stubborn(frame):
    """It goes on after a question failed."""
    yield "rows", frame.count()
    try:
        yield "never", frame.woe("sector", "trade", names=["visits"])
    except FedLabError:
        yield "mean", frame["spent"].mean()


def plain(frame):
    """The same, and it lets a failure be."""
    yield "rows", frame.count()
    yield "never", frame.woe("sector", "trade", names=["visits"])


def silent(frame):
    """It asks nothing."""
    yield "ready", len(frame.columns)


def learned(frame):
    """What owners name of columns whose values nobody declared."""
    yield "cross", frame.crosstab("default", "region")
    yield "values", frame.value_counts("region")


def linked(frame):
    """Of owners who have no id in common."""
    yield "rows", frame.count()
    yield "together", frame.corr(["who", "number"])


def groups(frame):
    """What nobody answers across owners."""
    yield "never", frame.groupby("sector")["visits"].mean()


def evident(frame):
    """One, about a column that a training would predict."""
    yield "evidence", frame.woe("default", "yes", bins=3, names=["visits"])
