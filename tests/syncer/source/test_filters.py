import pytest

from syncer.source.filters import DomainFilter


@pytest.mark.parametrize(
    ("include", "exclude", "name", "held"),
    [
        ([], [], "a.test", True),
        ([""], [], "a.test", True),
        (["K8s.Local. "], [], "k8s.local", True),
        (["k8s.local"], [], "a.b.k8s.local", True),
        (["k8s.local"], [], "xk8s.local", False),
        ([".k8s.local"], [], "k8s.local", False),
        ([".k8s.local"], [], "a.k8s.local", True),
        (["k8s.local"], ["b.k8s.local"], "a.b.k8s.local", False),
        (["k8s.local"], [".b.k8s.local"], "b.k8s.local", True),
        (["a.test", "b.test"], [], "x.b.test", True),
    ],
)
def test_domain_filter(include, exclude, name, held):
    assert DomainFilter.of(include, exclude).holds(name) is held
