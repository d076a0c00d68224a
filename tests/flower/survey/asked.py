"""Questions of all kinds, in a file of their own: they are exported from here, and asked in the notebook as well."""

AREA, TEXTURE = "mean_area", "mean_texture"


def questions(frame):
    """One of each kind."""
    yield "rows", frame.count(epsilon=None)
    yield "mean area", frame[AREA].mean()
    yield "texture", frame[TEXTURE].quantile([0.25, 0.5])
    yield "all", frame.describe()
    yield "large", frame[frame[AREA] > 700.0].count()
    yield "bins", frame.histogram(AREA, bins=4)
    yield "by diagnosis", frame.groupby("diagnosis")[AREA].mean()
    yield "sizes", frame.groupby("diagnosis").size()
    yield "values", frame.value_counts("diagnosis")
    yield "cross", frame.crosstab("diagnosis", "size")
    yield "together", frame.corr([AREA, TEXTURE])
    yield "missing", frame.missing()
    yield "drift", frame.drift([AREA])
    yield "evidence", frame.woe("diagnosis", "malignant", names=[AREA, "size"], bins=3)
    yield "test", frame.ttest(AREA, by="diagnosis")
    yield "survival", frame.kaplan_meier(AREA, "size", happened="large", by="diagnosis")
    yield "scale", frame.standardise([AREA, TEXTURE])


def private(frame):
    """A few that cost epsilon; what the second asks follows from the first."""
    mean = frame[AREA].mean(epsilon=0.5)
    yield "mean area", mean
    yield "above", frame[frame[AREA] > float(mean)].count(epsilon=0.2)
    yield "by diagnosis", frame.groupby("diagnosis").size(epsilon=0.2)
    yield "drift", frame.drift([AREA], epsilon=0.3)
    yield "ratio", {"twice": 2 * float(mean), "of": ["area", None, True]}


def too_dear(frame):
    """The second takes more than there is."""
    yield "mean area", frame[AREA].mean(epsilon=0.5)
    yield "by diagnosis", frame.groupby("diagnosis").size(epsilon=30.0)
    yield "never", frame.count(epsilon=0.1)


def clumsy(frame):
    """It fails by itself after an answer."""
    yield "rows", frame.count()
    frame.count()
    yield "half", 1 / 0


def rows_please(frame):
    """It wants what no frame gives."""
    yield "rows", frame.count()
    yield "head", frame[AREA].head()


def a_frame(frame):
    """It yields what is no answer."""
    yield "mask", frame[AREA] > 1.0


def nameless(frame):
    """It yields an answer without a name."""
    yield frame.count()


def twice(frame):
    """It yields two of one name."""
    yield "rows", frame.count()
    yield "rows", frame.count()


def silent(frame):
    """It asks, and yields nothing."""
    if frame.count() < 0:
        yield "never", frame.count()


def at_once(frame):
    """It gives all answers at once."""
    return {"rows": frame.count()}


def of_two(frame, other):
    """It wants two frames."""
    yield "rows", frame.count()


def short(frame):
    """Two, as trips take long."""
    mean = frame[AREA].mean(epsilon=0.5)
    yield "mean area", mean
    yield "above", frame[frame[AREA] > float(mean)].groupby("diagnosis").size(epsilon=0.2)


def again(frame):
    """The same twice, of all together and of each owner."""
    for number in range(2):
        yield f"mean area {number}", frame[AREA].mean(epsilon=0.5)
        yield f"missing {number}", frame.missing(epsilon=0.3)


def own(frame):
    """What each owner answers by itself."""
    yield "missing", frame.missing()


def values(frame):
    """What has to be learned of a column first."""
    yield "values", frame.value_counts("diagnosis")


def rare(frame):
    """What would have to be learned of a column, of which no value has enough rows."""
    yield "rows", frame.count()
    yield "values", frame[frame[AREA] > 1e6].value_counts("diagnosis")
