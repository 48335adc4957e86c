"""ExternalDNS's flags, row by row: taken as they are, taken without effect, or refused in a sentence."""

import pytest

from syncer.config import load
from syncer.flags import ConfigError

SERVICE = "--source=service"

TAKEN = {
    "--source=ingress": lambda c: c.sources == {"service", "ingress"},
    "--source=node": lambda c: "node" in c.sources,
    "--source=crd": lambda c: c.crd == ("externaldns.k8s.io", "v1alpha1", "DNSEndpoint"),
    "--crd-source-apiversion=x.io/v1": lambda c: c.crd[:2] == ("x.io", "v1"),
    "--crd-source-kind=Names": lambda c: c.crd[2] == "Names",
    "--source=gateway-httproute": lambda c: "gateway-httproute" in c.sources,
    "--source=gateway-grpcroute": lambda c: "gateway-grpcroute" in c.sources,
    "--source=gateway-tlsroute": lambda c: "gateway-tlsroute" in c.sources,
    "--gateway-name=gw": lambda c: c.options.gateway_name == "gw",
    "--gateway-namespace=infra": lambda c: c.options.gateway_namespace == "infra",
    "--gateway-label-filter=a=b": lambda c: c.options.gateway_label_filter.fits({"a": "b"}),
    "--annotation-prefix=x.io/": lambda c: c.options.annotation_prefixes == ("x.io/",),
    "--namespace=web": lambda c: c.options.namespaces == {"web"},
    "--annotation-filter=a in (b, c)": lambda c: c.options.annotation_filter.fits({"a": "c"}),
    "--label-filter=!a": lambda c: not c.options.label_filter.fits({"a": ""}),
    "--ingress-class=nginx": lambda c: c.options.ingress_classes == {"nginx"},
    "--ignore-ingress-tls-spec": lambda c: c.options.ignore_ingress_tls_spec,
    "--ignore-ingress-rules-spec": lambda c: c.options.ignore_ingress_rules_spec,
    "--service-type-filter=NodePort": lambda c: c.options.service_types == {"NodePort"},
    "--publish-internal-services": lambda c: c.options.publish_internal_services,
    "--resolve-service-load-balancer-hostname": lambda c: c.options.resolve_service_load_balancer_hostname,
    "--publish-host-ip": lambda c: c.options.publish_host_ip,
    "--always-publish-not-ready-addresses": lambda c: c.options.always_publish_not_ready_addresses,
    "--no-exclude-unschedulable": lambda c: not c.options.exclude_unschedulable,
    "--expose-internal-ipv6": lambda c: c.options.expose_internal_ipv6,
    "--fqdn-template={{.Name}}.test": lambda c: c.names is not None and c.options.templates,
    "--combine-fqdn-annotation": lambda c: c.options.combine_fqdn_annotation,
    "--ignore-hostname-annotation": lambda c: c.options.ignore_hostname_annotation,
    "--domain-filter=k8s.local": lambda c: (
        c.domain_filter.holds("a.k8s.local") and not c.domain_filter.holds("a.b")
    ),
    "--exclude-domains=k8s.local": lambda c: not c.domain_filter.holds("a.k8s.local"),
    "--regex-domain-filter=^a": lambda c: c.domain_filter.holds("a.b") and not c.domain_filter.holds("b.a"),
    "--regex-domain-exclusion=^a": lambda c: not c.domain_filter.holds("a.b"),
    "--managed-record-types=A": lambda c: c.shape.managed_types == {"A"},
    "--exclude-record-types=A": lambda c: c.shape.managed_types == {"AAAA", "CNAME"},
    "--target-net-filter=10.0.0.0/8": lambda c: str(c.shape.target_net_filter[0]) == "10.0.0.0/8",
    "--exclude-target-net=10.0.0.0/8": lambda c: str(c.shape.exclude_target_net[0]) == "10.0.0.0/8",
    "--default-targets=192.0.2.1": lambda c: c.options.default_targets[0].text == "192.0.2.1",
    "--nat64-networks=64:ff9b::/96": lambda c: str(c.shape.nat64_networks[0]) == "64:ff9b::/96",
    "--min-ttl=90s": lambda c: c.shape.default_ttl == 90,
    "--policy=upsert-only": lambda c: c.policy == "upsert-only",
    "--policy=create-only": lambda c: c.policy == "create-only",
    "--registry=noop": lambda c: not c.convention.has_texts,
    "--registry=txt": lambda c: c.convention.has_texts,
    "--txt-owner-id=me": lambda c: c.owner_id == "me",
    "--txt-prefix=x-": lambda c: c.convention.naming.prefix == "x-",
    "--txt-suffix=-x": lambda c: c.convention.naming.suffix == "-x",
    "--txt-wildcard-replacement=any": lambda c: c.convention.naming.wildcard == "any",
    f"--txt-encrypt-aes-key={'k' * 32}": lambda c: c.convention.seal is not None,
    "--migrate-from-txt-owner=old": lambda c: c.convention.migrate_from == "old",
    "--coredns-prefix=/dns/": lambda c: c.prefix == b"/dns/",
    "--coredns-strictly-owned": lambda c: c.convention.is_strict,
    "--once": lambda c: c.once,
    "--dry-run": lambda c: c.dry_run,
    "--interval=15s": lambda c: c.interval == 15,
    "--events-emit=RecordReady": lambda c: c.events == {"RecordReady"},
    "--metrics-address=127.0.0.1:80": lambda c: (c.metrics_host, c.metrics_port) == ("127.0.0.1", 80),
    "--log-level=debug": lambda c: c.log_level == "debug",
    "--log-format=json": lambda c: c.log_format == "json",
    "--kubeconfig=/x": lambda c: c.kubeconfig == "/x",
    "--server=https://x": lambda c: c.server == "https://x",
    "--request-timeout=5s": lambda c: c.request_timeout == 5,
    "--kube-api-request-timeout=5s": lambda c: c.request_timeout == 5,
    "--provider=coredns": lambda c: True,
}

WITHOUT_EFFECT = [
    *("--events", "--listen-endpoint-events", "--min-event-sync-interval=5s", "--txt-cache-interval=1m"),
    *(
        "--provider-cache-time=1m",
        "--kube-api-qps=5",
        "--kube-api-burst=10",
        "--kube-api-cache-sync-timeout=60s",
    ),
]

REFUSED = [
    *("--compatibility=mate", "--connector-source-server=x:1", "--prefer-alias", "--target-template=x"),
    *("--unstructured-resource=x", "--gateway-listener-sets", "--pod-source-domain=x"),
    *("--ignore-non-host-network-pods", "--openshift-router-name=x", "--traefik-enable-legacy"),
    "--traefik-disable-new",
    *(f"--source={name}" for name in ("pod", "istio-gateway", "istio-virtualservice", "contour-httpproxy")),
    *(
        f"--source={name}"
        for name in ("traefik-proxy", "openshift-route", "gateway-tcproute", "gateway-udproute")
    ),
    *(
        f"--source={name}"
        for name in ("gloo-proxy", "kong-tcpingress", "skipper-routegroup", "ambassador-host")
    ),
    *(f"--source={name}" for name in ("f5-virtualserver", "connector", "fake", "empty", "unstructured")),
    *("--registry=crd", "--registry=dynamodb", "--registry=aws-sd", "--provider=aws", "--policy=all"),
]


@pytest.mark.parametrize("flag", TAKEN)
def test_a_flag_has_external_dnss_meaning_also_as_a_variable(flag):
    is_so = TAKEN[flag]
    assert is_so(load([SERVICE, flag], {}))
    name, _, value = flag.removeprefix("--").partition("=")
    if name.startswith("no-"):
        name, value = name.removeprefix("no-"), "false"
    variable = f"EXTERNAL_DNS_{name.replace('-', '_').upper()}"
    value = f"service\n{value}" if name == "source" else value or "true"
    environment = {"EXTERNAL_DNS_SOURCE": "service", variable: value}
    assert is_so(load([], environment))
    assert load([], environment).warnings == ()


@pytest.mark.parametrize("flag", WITHOUT_EFFECT)
def test_a_flag_without_effect_is_taken_and_says_so_once(flag):
    [warning] = load([SERVICE, flag], {}).warnings
    assert warning.startswith(f"{flag.partition('=')[0]} has no effect: ")


@pytest.mark.parametrize("flag", REFUSED)
def test_what_there_is_none_of_is_refused_in_one_sentence_that_names_it(flag):
    with pytest.raises(ConfigError) as error:
        load([SERVICE, flag], {})
    said = str(error.value)
    name, _, value = flag.partition("=")
    assert name in said
    assert (value if name in ("--source", "--registry", "--provider", "--policy") else "") in said
    assert "\n" not in said
    assert len(said) < 250
