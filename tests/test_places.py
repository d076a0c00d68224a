"""Objects of parties, here or away: protocols are written once for both."""

from fedlab_nb.places import Away, Here, settle


class Parcel(Away):
    """A value that is brought when it is asked for; it counts the trips."""

    trips = 0

    def __init__(self, value):
        self.value = value

    def bring_(self, all_of):
        Parcel.trips += 1
        return [parcel.value for parcel in all_of]


def test_here_everything_is_made_and_left_as_it_is():
    made = Here().put("A", dict, a=1)
    assert made == {"a": 1}
    assert settle(made) is made


def test_what_is_away_comes_in_one_trip_with_all_that_is_asked_for_together():
    Parcel.trips = 0
    assert settle({"A": Parcel(1), "B": 2, "C": Parcel(3)}) == {"A": 1, "B": 2, "C": 3}
    assert settle([Parcel(4), Parcel(5)]) == [4, 5]
    assert settle(Parcel("one")) == "one"
    assert Parcel.trips == 3


def test_nothing_that_is_here_makes_a_trip():
    Parcel.trips = 0
    assert settle([]) == []
    assert settle({}) == {}
    assert settle((1, 2)) == (1, 2)
    assert Parcel.trips == 0
