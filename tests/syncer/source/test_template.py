import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.source.template import NameTemplate, TemplateError, execute, parse
from syncer.source.template.functions import FUNCTIONS
from syncer.source.template.names import data_of

SERVICE = {
    "metadata": {
        "name": "web-1",
        "namespace": "shop",
        "labels": {"app": "web", "App.kubernetes.io/x": "y"},
        "annotations": {"a/b": "q.test"},
    },
    "spec": {"type": "NodePort", "ports": [{"name": "http", "port": 80}, {"name": "dns", "port": 53}]},
}


def made(text, raw=SERVICE):
    return execute(parse(text, FUNCTIONS), data_of(raw, "Service"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{.Name}}.{{.Namespace}}.test", "web-1.shop.test"),
        ("{{ .ObjectMeta.Name }}{{.Kind}}", "web-1Service"),
        ("{{.Spec.Type}} {{.spec.type}}", "NodePort NodePort"),
        ("{{.Labels.app}}{{.Labels.APP}}{{.Spec.Nothing.At.All}}", "web"),
        ('{{index .Annotations "a/b"}}{{index .Labels "none"}}', "q.test"),
        ("{{(index .Spec.Ports 1).Name}}", "dns"),
        ('{{if eq .Labels.app "db" "web"}}yes{{else}}no{{end}}', "yes"),
        ("{{if .Labels.none}}a{{else if .Name}}b{{else}}c{{end}}", "b"),
        ("{{with .Labels.none}}a{{else}}b{{end}}", "b"),
        ("{{range .Spec.Ports}}{{.Name}}-{{$.Name}},{{end}}", "http-web-1,dns-web-1,"),
        ("{{range $i, $p := .Spec.Ports}}{{if $i}}{{break}}{{end}}{{$p.Port}}{{end}}", "80"),
        ("{{range .Spec.None}}a{{else}}b{{end}}", "b"),
        ("{{$x := 1}}{{range .Spec.Ports}}{{$x = .Port}}{{end}}{{$x}}", "53"),
        ("a {{- /* note */ -}} b", "ab"),
        ("a {{- .Name -}} b", "aweb-1b"),
        ('{{.Name | replace "-" "."}}', "web.1"),
        ('{{printf "%s-%03d-%q" .Name 7 "x"}}', 'web-1-007-"x"'),
        ('{{trimSuffix .Name "-1"}}{{trimPrefix .Name "web"}}{{" A " | trim | toLower}}', "web-1a"),
        ('{{and true "x"}}{{or "" "y"}}{{not 0}}{{len .Spec.Ports}}', "xytrue2"),
        ('{{isIPv4 "192.0.2.1"}} {{isIPv6 "192.0.2.1"}} {{hasKey .Labels "app"}}', "true false true"),
        ('{{(fromJson `{"a": [1, 2]}`).a}} {{contains .Name "eb"}}', "[1 2] true"),
        ("{{lt 1 2}}{{ge 2 2}}{{ne 1 2}}", "truetruetrue"),
        ("{{or .Name (index .Spec.Ports 9)}}", "web-1"),
        ('{{"a\\"b"}}{{`\\`}}', 'a"b\\'),
    ],
)
def test_a_template_makes_what_go_makes(text, expected):
    assert made(text) == expected


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{{.Name", "1:1: an action without its }}"),
        ("a\n  {{foo .Name}}", "2:5: no function foo"),
        ("{{if .Name}}x", "1:3: if without its end"),
        ("{{end}}", "1:3: unexpected end"),
        ('{{define "x"}}{{end}}', "1:3: define is not supported"),
        ("{{.Name.}}", "1:3: arguments for what is no function"),
        ("{{$x}}", "1:3: no variable $x"),
        ("{{break}}", "1:3: break outside of range"),
        ("{{.Name | .Kind}}", "1:11: expected a function"),
        ("{{.Name 1}}", "1:3: arguments for what is no function"),
        ("{{(.Name}}", "1:9: expected )"),
        ("{{}}{{'x'}}", "1:7: unexpected"),
        ("{{" + "(" * 50 + ".Name" + ")" * 50 + "}}", "nested over"),
        ("x" * 20_000, "characters"),
    ],
)
def test_what_cannot_be_parsed_is_told_with_its_place(text, place):
    with pytest.raises(TemplateError) as error:
        parse(text, FUNCTIONS)
    assert place in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{index .Spec.Ports 2}}",
        "{{.Name.Foo}}",
        "{{len 5}}",
        '{{lt "a" 1}}',
        '{{printf "%d" .Name}}',
        '{{printf "%s"}}',
        "{{range 99999999}}x{{end}}",
        "{{range 200}}{{range 200}}{{end}}{{end}}",
        '{{$x := "aaaaaaaa"}}{{range 40}}{{$x = print $x $x}}{{end}}',
        "{{fromJson .Name}}",
        "{{trim}}",
    ],
)
def test_what_cannot_be_carried_out_is_one_error(text):
    nodes = parse(text, FUNCTIONS)
    with pytest.raises(TemplateError):
        execute(nodes, data_of(SERVICE, "Service"))


pieces = st.sampled_from(
    [
        *(
            "{{",
            "}}",
            "{{-",
            "-}}",
            "if ",
            "else",
            "end",
            "range ",
            "with ",
            "break",
            "(",
            ")",
            "|",
            ",",
            ":=",
        ),
        *(".Name", ".Spec.Ports", ".", "$", "$x", "=", " ", "1", "-2", "0.5", '"a"', "`b`", "nil", "true"),
        *(f"{name} " for name in FUNCTIONS),
        *("{{range .Spec.Ports}}", "{{if .Name}}", "{{end}}", "{{$x := .}}", '"%s%d"', "/*", "*/", "\n", "é"),
    ]
)
calls = st.builds(
    lambda name, arguments: f"{{{{{name} {' '.join(arguments)}}}}}",
    st.sampled_from(sorted(FUNCTIONS)),
    st.lists(
        st.sampled_from([".Name", ".", "1", "-1", '"%5.1v"', ".Spec.Ports", "nil", "true", "0.5"]), max_size=4
    ),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(pieces | calls, max_size=12).map("".join) | st.text(),
    st.dictionaries(st.text(max_size=4), values),
)
def test_whatever_stands_in_a_template_only_its_own_error_is_raised(text, raw):
    for data in (SERVICE, raw):
        with contextlib.suppress(TemplateError):
            assert isinstance(made(text, data), str)


def test_names_are_cut_sorted_and_unique():
    template = NameTemplate(["b.test, {{.Name}}.test. ,,b.test", "a.test"])
    assert template(SERVICE, "Service") == ("a.test", "b.test", "web-1.test")
    with pytest.raises(ValueError, match="no host name"):
        NameTemplate(["{{.Name}}..test"])(SERVICE, "Service")


def test_an_odd_object_is_read_as_far_as_it_goes():
    raw = json.loads('{"metadata": {"name": "a", "labels": {"x": 1, "y": "z"}, "annotations": []}}')
    assert NameTemplate(["{{.Name}}{{.Labels.x}}{{.Labels.y}}.test"])(raw, "Node") == ("az.test",)
