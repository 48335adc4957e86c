import pytest

from dnsserver.status.plot import legend, plot
from dnsserver.status.rates import KEPT, Rates
from dnsserver.wire import const
from tests.dnsserver.status.test_markup import Reader


def test_a_rate_is_the_difference_of_two_samples_by_their_distance():
    rates = Rates()
    rates.take(10.0, {0: 100})
    assert rates.samples == ()
    rates.take(12.0, {0: 150, 3: 4})
    assert rates.samples == ((12.0, {0: 25.0, 3: 2.0}),)
    rates.take(13.0, {0: 150, 3: 4})
    assert rates.now() == {0: 12.5, 3: 1.0}


def test_a_counter_that_went_back_is_no_negative_rate():
    rates = Rates()
    rates.take(1.0, {0: 100})
    rates.take(2.0, {0: 5})
    assert rates.now() == {0: 0.0}


def test_only_the_last_samples_are_kept():
    rates = Rates()
    for second in range(KEPT + 10):
        rates.take(float(second), {0: second})
    assert len(rates.samples) == KEPT
    assert rates.samples[-1].at == KEPT + 9


@pytest.mark.parametrize("count", [0, 1, 2, KEPT])
def test_any_number_of_samples_is_drawn_within_the_picture(count):
    rates = Rates()
    for second in range(count + 1):
        rates.take(float(second), {const.NOERROR: second * 3, const.NXDOMAIN: second, const.BADVERS: second})
    read = Reader(plot(rates.samples))
    assert read.tags.count("polygon") == (3 if count > 1 else 0)
    for points in (value for name, value in read.attributes if name == "points"):
        for point in points.split():
            x, y = map(float, point.split(","))
            assert 48 <= x <= 1000
            assert 8 <= y <= 198


def test_rcodes_without_a_colour_of_their_own_are_added_up():
    assert "other 5.0/s" in Reader(legend({const.BADVERS: 2.0, const.NOTIMP: 3.0})).text
