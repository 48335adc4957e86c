import pytest

from syncer.config import load
from syncer.flags import ConfigError, new_parser
from syncer.registry.ownership import Convention, Naming

SERVICE = "--source=service"


def test_what_external_dns_is_started_with_is_accepted():
    config = load(
        [
            *("--source=service", "--source=ingress", "--provider=coredns", "--registry=txt"),
            *("--log-level=debug", "--interval=15s", "--events", "--policy=upsert-only"),
            *("--domain-filter=k8s.local", "--domain-filter=test", "--namespace=web", "--txt-owner-id=c1"),
            *("--metrics-address=[::1]:7980", "--annotation-prefix=x.io/", "--kube-api-request-timeout=5s"),
        ],
        {"ETCD_URLS": "http://a:2379, http://b:2379", "ETCD_USERNAME": "u", "ETCD_PASSWORD": "p"},
    )
    assert config.sources == {"service", "ingress"}
    assert (config.interval, config.policy, config.owner_id) == (15.0, "upsert-only", "c1")
    assert config.domain_filter.include == ("k8s.local", "test")
    assert (config.metrics_host, config.metrics_port) == ("::1", 7980)
    assert config.options.annotation_prefixes == ("x.io/",)
    assert config.options.namespaces == {"web"}
    assert config.etcd.endpoints == ("http://a:2379", "http://b:2379")
    assert (config.etcd.username, config.etcd.password) == ("u", "p")
    assert config.request_timeout == 5.0


def test_defaults_are_external_dnss():
    config = load([SERVICE], {})
    assert (config.interval, config.policy, config.owner_id) == (60.0, "sync", "default")
    assert (config.metrics_host, config.metrics_port) == ("", 7979)
    assert config.etcd.endpoints == ("http://localhost:2379",)
    assert config.prefix == b"/skydns/"
    assert len(config.options.annotation_prefixes) == 2
    assert (config.once, config.dry_run, config.log_level) == (False, False, "info")


def test_safety_and_election_are_on_unless_they_are_turned_off():
    config = load([SERVICE], {})
    assert (config.deletion_grace, config.max_delete_share, config.leader_elect) == (300.0, 0.3, True)
    config = load([SERVICE, "--deletion-grace=0", "--max-delete-share=1", "--leader-elect=false"], {})
    assert (config.deletion_grace, config.max_delete_share, config.leader_elect) == (0.0, 1.0, False)
    assert not load([SERVICE, "--dry-run"], {}).leader_elect


def test_the_registry_takes_external_dnss_flags():
    assert load([SERVICE], {}).convention == Convention()
    config = load(
        [
            *(SERVICE, "--txt-prefix=%{record_type}-Own.", "--txt-wildcard-replacement=any"),
            *("--coredns-strictly-owned", "--migrate-from-txt-owner=old"),
        ],
        {},
    )
    assert config.convention == Convention(
        naming=Naming(prefix="%{record_type}-own.", wildcard="any"), is_strict=True, migrate_from="old"
    )
    assert load([SERVICE, "--txt-suffix=-x"], {}).convention.naming == Naming(suffix="-x")
    assert not load([SERVICE, "--registry=noop"], {}).convention.has_texts


def test_flags_without_effect_are_taken_and_named():
    argv = ["--events", "--txt-cache-interval=1m", "--kube-api-qps=5", "--listen-endpoint-events"]
    warnings = load([SERVICE, *argv], {"EXTERNAL_DNS_PROVIDER_CACHE_TIME": "1m"}).warnings
    assert [warning.partition(" ")[0] for warning in warnings] == [
        "--events",
        "--listen-endpoint-events",
        "--txt-cache-interval",
        "--provider-cache-time",
        "--kube-api-qps",
    ]
    assert load([SERVICE], {}).warnings == ()


def test_a_flag_stands_above_its_variable_and_that_above_the_default():
    environment = {
        "EXTERNAL_DNS_SOURCE": "service\ningress\n",
        "EXTERNAL_DNS_INTERVAL": "30s",
        "EXTERNAL_DNS_ONCE": "true",
        "EXTERNAL_DNS_POLICY": "create-only",
    }
    config = load(["--interval=10s", "--no-once"], environment)
    assert config.sources == {"service", "ingress"}
    assert (config.interval, config.once, config.policy) == (10.0, False, "create-only")
    assert load([], environment).once


def test_repeated_flags_replace_the_variable():
    config = load(["--source=ingress"], {"EXTERNAL_DNS_SOURCE": "service"})
    assert config.sources == {"ingress"}


@pytest.mark.parametrize("flag", ["--once", "--once=true", "--once=1"])
def test_a_switch_takes_a_value(flag):
    assert load([SERVICE, flag], {}).once
    assert not load([SERVICE, "--once=false"], {}).once


@pytest.mark.parametrize(
    ("argv", "environment", "text"),
    [
        ([], {}, "no --source"),
        (["--source=pod"], {}, "pod"),
        ([SERVICE, "--fqdn=x"], {}, "syncer has no flag --fqdn"),
        ([SERVICE, "--fqdn-template={{.Name"], {}, "--fqdn-template: 1:1: an action without its }}"),
        ([SERVICE, "--label-filter=a in x"], {}, "--label-filter"),
        ([SERVICE, "--annotation-filter=="], {}, "--annotation-filter"),
        ([SERVICE, "--regex-domain-filter=("], {}, "--regex-domain-filter"),
        ([SERVICE, "--target-net-filter=x"], {}, "--target-net-filter"),
        ([SERVICE, "--nat64-networks=64:ff9b::/64"], {}, "96 bits"),
        ([SERVICE, "--nat64-networks=10.0.0.0/8"], {}, "96 bits"),
        ([SERVICE, "--default-targets=a..b"], {}, "--default-targets"),
        ([SERVICE, "--force-default-targets"], {}, "needs --default-targets"),
        ([SERVICE, "--create-ptr"], {}, "needs PTR"),
        ([SERVICE, "--managed-record-types=NS"], {}, "NS"),
        ([SERVICE, "--crd-source-apiversion=v1"], {}, "GROUP/VERSION"),
        ([SERVICE, "--compatibility=mate"], {}, "annotations of other controllers are not read"),
        ([SERVICE, "--prefer-alias"], {}, "SkyDNS has no alias records"),
        ([SERVICE, "--domain-filtre=x"], {}, "did you mean --domain-filter"),
        ([SERVICE, "--dom=x"], {}, "no flag --dom"),
        ([SERVICE, "word"], {}, "unexpected argument 'word'"),
        ([SERVICE, "--provider=aws"], {}, "coredns"),
        ([SERVICE, "--registry=dynamodb"], {}, "txt"),
        ([SERVICE, "--txt-encrypt-enabled"], {}, "needs --txt-encrypt-aes-key"),
        ([SERVICE, "--txt-encrypt-aes-key=x"], {}, "32 characters"),
        ([SERVICE, "--txt-prefix=a.", "--txt-suffix=b"], {}, "one of them"),
        ([SERVICE, "--txt-prefix=a/b"], {}, "--txt-prefix"),
        ([SERVICE, "--txt-wildcard-replacement=a.b"], {}, "a label"),
        ([SERVICE, "--migrate-from-txt-owner=a,b"], {}, "--migrate-from-txt-owner"),
        ([SERVICE, "--migrate-from-txt-owner=default"], {}, "--txt-owner-id itself"),
        ([SERVICE, "--registry=noop", "--coredns-strictly-owned"], {}, "noop"),
        ([SERVICE, "--coredns-prefix=/syncer/x"], {}, "/syncer/"),
        ([SERVICE, "--namespace-domains=team-a"], {}, "NAMESPACE=DOMAIN"),
        ([SERVICE, "--namespace-domains=team-a=a.test,"], {}, "NAMESPACE=DOMAIN"),
        ([SERVICE, "--events-emit=Created"], {}, "RecordReady"),
        (["--source=manifests", "--manifests=.", "--events-emit=RecordReady"], {}, "from the Kubernetes API"),
        ([SERVICE, "--deletion-grace=-5m"], {}, "--deletion-grace"),
        ([SERVICE, "--max-delete-share=30"], {}, "--max-delete-share"),
        ([SERVICE, "--policy=all"], {}, "policy"),
        ([SERVICE, "--interval=60"], {}, "no duration"),
        ([SERVICE, "--interval=0s"], {}, "no positive duration"),
        ([SERVICE, "--metrics-address=7979"], {}, "HOST:PORT"),
        ([SERVICE, "--metrics-address=:99999"], {}, "HOST:PORT"),
        ([SERVICE, "--server=localhost:8001"], {}, "--server"),
        ([SERVICE, "--annotation-prefix=x.io"], {}, "must end in /"),
        ([SERVICE, "--annotation-prefix="], {}, "must end in /"),
        ([SERVICE, "--service-type-filter=Foo"], {}, "Foo"),
        ([SERVICE, "--txt-owner-id=a,b"], {}, "txt-owner-id"),
        ([SERVICE, "--coredns-prefix=/"], {}, "coredns-prefix"),
        ([SERVICE, "--manifests=/tmp"], {}, "needs --source=manifests"),
        (["--source=manifests"], {}, "needs --manifests"),
        (["--source=manifests", "--manifests=/nowhere"], {}, "no such directory"),
        ([SERVICE], {"ETCD_URLS": "localhost:2379"}, "ETCD_URLS"),
        ([SERVICE], {"ETCD_URLS": "http://a:1,https://b:1"}, "http and https"),
        ([SERVICE], {"ETCD_CERT_FILE": "x"}, "both or none"),
        ([SERVICE], {"ETCD_TLS_INSECURE": "true"}, "ETCD_TLS_INSECURE"),
        ([SERVICE], {"EXTERNAL_DNS_INTERVAL": "soon"}, "EXTERNAL_DNS_INTERVAL"),
        ([SERVICE], {"EXTERNAL_DNS_POLICY": "all"}, "EXTERNAL_DNS_POLICY"),
        ([], {"EXTERNAL_DNS_SOURCE": "pod"}, "EXTERNAL_DNS_SOURCE"),
        ([SERVICE, "--once=maybe"], {}, "true or false"),
    ],
)
def test_what_cannot_be_used_is_one_line(argv, environment, text):
    with pytest.raises(ConfigError) as error:
        load(argv, environment)
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_a_variable_of_no_flag_is_a_warning_unless_kubernetes_sets_it():
    environment = {
        "EXTERNAL_DNS_NO_SUCH_FLAG": "x",
        "EXTERNAL_DNS_SERVICE_HOST": "10.0.0.1",
        "EXTERNAL_DNS_PORT_7979_TCP": "tcp://10.0.0.1:7979",
    }
    assert load([SERVICE], environment).warnings == (
        "EXTERNAL_DNS_NO_SUCH_FLAG is set, and syncer has no such flag",
    )


def test_help_groups_all_flags():
    text = new_parser().format_help()
    for group in ("where names come from", "which objects and names count", "Kubernetes", "etcd", "running"):
        assert f"{group}:" in text
    assert max(map(len, text.splitlines())) <= 110
