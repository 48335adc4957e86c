"""The metrics of several processes as those of one."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from dnsserver.workers.aggregate import Aggregate, packed


def counter(**values):
    family = CounterMetricFamily("dnsserver_things", "Things.", labels=["kind"])
    for kind, value in values.items():
        family.add_metric([kind], value)
    return family


def samples(aggregate):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in aggregate.metrics()
        for sample in family.samples
    }


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab"), st.integers(0, 9)), max_size=30), st.data()
)
def test_counters_are_the_sum_of_all_that_was_counted_and_seen_and_never_fall(steps, data):
    """Processes count, tell, end, and begin anew at nothing; the law holds of what they have told."""
    aggregate, counts, before = Aggregate(), {}, {}
    total = {"a": 0, "b": 0}
    for process, kind, more in steps:
        own = counts.setdefault(process, {"a": 0, "b": 0})
        own[kind] += more
        total[kind] += more
        aggregate.note(process, packed([counter(**own)]))
        match data.draw(st.sampled_from(["goes on", "ends", "begins anew"])):
            case "ends":
                aggregate.end(process)
                del counts[process]
            case "begins anew" if own["a"] and own["b"]:
                own["a"] = own["b"] = 0
                aggregate.note(process, packed([counter(**own)]))
        found = samples(aggregate)
        for name, value in total.items():
            assert found["dnsserver_things_total", name] == value
        assert all(found[key] >= value for key, value in before.items())
        before = found


def test_gauges_are_joined_by_what_they_say():
    aggregate = Aggregate()
    for process, value in enumerate((3, 5)):
        names = ("dnsserver_names", "dnsserver_etcd_revision", "process_open_fds")
        aggregate.note(process, packed([GaugeMetricFamily(name, "", value=value) for name in names]))
    found = samples(aggregate)
    assert found["dnsserver_names",] == 5
    assert found["dnsserver_etcd_revision",] == 3
    assert found["process_open_fds",] == 8
    aggregate.end(1)
    assert samples(aggregate)["dnsserver_names",] == 3


def test_a_gauge_that_is_told_no_more_is_gone():
    aggregate = Aggregate()
    aggregate.note(0, packed([GaugeMetricFamily("dnsserver_names", "", value=1), counter(a=1)]))
    aggregate.note(0, packed([counter(a=1)]))
    assert samples(aggregate) == {("dnsserver_things_total", "a"): 1}


def test_histograms_are_summed_bucket_by_bucket():
    aggregate = Aggregate()
    for process in range(2):
        family = HistogramMetricFamily("dnsserver_time", "", buckets=[("0.1", 1), ("+Inf", 3)], sum_value=2.5)
        aggregate.note(process, packed([family]))
    assert samples(aggregate) == {
        ("dnsserver_time_bucket", "0.1"): 2,
        ("dnsserver_time_bucket", "+Inf"): 6,
        ("dnsserver_time_count",): 6,
        ("dnsserver_time_sum",): 5,
    }
