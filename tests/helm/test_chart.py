"""What the chart renders: valid for every Kubernetes it names, hardened, without secrets, and settings that really start."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from helm_python import Chart, HelmError, lint

from authsvc.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/authsvc"
VERSIONS = ("1.29", "1.33", "1.37")
#: All that has no default.
LEAST: dict[str, Any] = {
    "issuer": "https://login.ims.example",
    "trustedProxies": ["10.0.0.0/8", "fd00::/8"],
    "secret": {"name": "authsvc"},
    "email": {"from": "no-reply@ims.example"},
    "exportsUrl": "s3://ims-exports/authsvc",
}
EVERYTHING = {
    **LEAST,
    "image": {"repository": "registry.ims.example/authsvc", "digest": "sha256:" + "a" * 64, "pullSecrets": [{"name": "pull"}]},
    "secret": {"name": "authsvc", "keys": {"redisUrl": "redis-url"}},
    "keysUrl": "kms:us-east-1",
    "settings": {"AUTHSVC_AWS_ENDPOINT_URL": "https://aws.ims.example"},
    "policies": {path.name: path.read_text() for path in (ROOT / "policies").glob("*.yaml")},
    "web": {
        "autoscaling": {"enabled": False},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "auth", "operator": "Exists"}],
        "podAnnotations": {"example.com/a": "b"},
    },
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/authsvc"}},
    "ingress": {"className": "nginx", "annotations": {"cert-manager.io/issuer": "letsencrypt"}},
    "networkPolicy": {
        "ingressFrom": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}],
    },
    "metrics": {"serviceMonitor": {"enabled": True}, "rules": {"enabled": True}, "dashboard": {"enabled": True}},
}  # fmt: skip


@pytest.fixture(scope="module")
def chart() -> Iterator[Chart]:
    """The chart, loaded once."""
    with Chart.load(CHART) as loaded:
        yield loaded


def rendered(chart: Chart, values: dict[str, Any], *, is_install: bool = True) -> list[dict[str, Any]]:
    """Every object of a release."""
    texts = chart.render(values, name="login", namespace="auth", is_install=is_install, is_upgrade=not is_install)
    documents = [yaml.safe_load_all(text) for path, text in texts.items() if path.endswith(".yaml")]
    return [document for file in documents for document in file if document]


def pods(objects: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(name, pod, container) of everything that runs."""
    found = [
        (o["metadata"]["name"], o["spec"]["template"]["spec"]) for o in objects if o["kind"] in ("Deployment", "Job")
    ]
    return [(name, pod, container) for name, pod in found for container in pod["containers"]]


@pytest.mark.parametrize("values", [LEAST, EVERYTHING], ids=["least", "everything"])
def test_every_object_is_valid_in_every_version(chart: Chart, values: dict[str, Any]) -> None:
    """No finding of the linter, no unknown field, and every object in the release's namespace under its labels."""
    report = lint(CHART, values, strict=True)
    assert (report["errors"], [m for m in report["messages"] if m["severity"] > 1]) == ([], [])
    objects = rendered(chart, values)
    for one in objects:
        assert one["metadata"]["namespace"] == "auth"
        assert one["metadata"]["labels"]["app.kubernetes.io/instance"] == "login"
        if not one["apiVersion"].startswith("monitoring.coreos.com/"):
            for version in VERSIONS:
                kubernetes_validate.validate(one, version, strict=True)
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(names) == len(set(names))
    kinds = {kind for kind, _ in names}
    assert kinds >= {
        "Deployment",
        "Job",
        "Service",
        "Ingress",
        "PodDisruptionBudget",
        "NetworkPolicy",
        "ServiceAccount",
    }
    assert ("HorizontalPodAutoscaler" in kinds) == (values is LEAST)
    assert ("ConfigMap" in kinds, "ServiceMonitor" in kinds) == (values is EVERYTHING,) * 2


def test_no_selector_ever_changes_with_a_version_and_each_finds_its_pods(chart: Chart) -> None:
    """A Deployment's selector cannot be changed; services, budgets and policies select what the deployments make."""
    objects = rendered(chart, EVERYTHING)
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in objects if one["kind"] == "Deployment"]
    for one in objects:
        if one["kind"] in ("Deployment", "PodDisruptionBudget"):
            selector = one["spec"]["selector"]["matchLabels"]
        elif one["kind"] == "Service":
            selector = one["spec"]["selector"]
        elif one["kind"] == "NetworkPolicy":
            selector = one["spec"]["podSelector"]["matchLabels"]
        else:
            continue
        assert set(selector) <= {f"app.kubernetes.io/{name}" for name in ("name", "instance", "component")}
        assert any(selector.items() <= pod.items() for pod in labels), one["metadata"]["name"]


@pytest.mark.parametrize("values", [LEAST, EVERYTHING], ids=["least", "everything"])
def test_every_container_is_locked_in(chart: Chart, values: dict[str, Any]) -> None:
    """As the restricted Pod Security Standard asks, on a read-only root file system and without a token of the cluster."""
    for _, pod, container in pods(rendered(chart, values)):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["resources"]["limits"].keys() == {"memory"}
        writable = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
        assert {m["mountPath"] for m in container["volumeMounts"] if m["name"] in writable} == {"/tmp"}
        assert all(m.get("readOnly") for m in container["volumeMounts"] if m["name"] not in writable)


@pytest.mark.parametrize("values", [LEAST, EVERYTHING], ids=["least", "everything"])
def test_the_rendered_settings_start(chart: Chart, values: dict[str, Any], tmp_path: Path) -> None:
    """Each variable is a setting there is, and production has nothing to say against them."""
    own = {f"AUTHSVC_{name.upper()}": name for name in Settings.model_fields}
    secret = tmp_path / "secret"
    secret.write_text("x" * 40)
    of_secrets = {
        "AUTHSVC_DATABASE_URL": "postgresql://authsvc:pw@db/authsvc",
        "AUTHSVC_EMAIL_URL": "smtp://user:pw@mail:587",
        "AUTHSVC_REDIS_URL": "rediss://cache",
    }
    for name, _, container in pods(rendered(chart, values)):
        env = {one["name"]: one.get("value") or of_secrets[one["name"]] for one in container["env"]}
        assert len(env) == len(container["env"]), "a name is there twice"
        assert env.keys() <= own.keys()
        given = {own[key]: value for key, value in env.items()}
        assert env["AUTHSVC_SECRET_FILE"] == "/run/authsvc/secret"
        settings = Settings(**{**given, "secret_file": secret})
        assert settings.problems({}) == [], name
        assert settings.is_production


def test_no_value_is_a_secret(chart: Chart) -> None:
    """What opens something is named and lies in a Secret of the operator's; the chart makes none."""
    objects = rendered(chart, EVERYTHING)
    assert "Secret" not in {one["kind"] for one in objects}
    for _, pod, container in pods(objects):
        by_reference = {one["name"] for one in container["env"] if "valueFrom" in one}
        assert by_reference == {"AUTHSVC_DATABASE_URL", "AUTHSVC_EMAIL_URL", "AUTHSVC_REDIS_URL"}
        assert "AUTHSVC_SECRET" not in {one["name"] for one in container["env"]}
        [volume] = [volume for volume in pod["volumes"] if volume["name"] == "secret"]
        assert volume["secret"]["items"] == [{"key": "secret", "path": "secret"}]


def test_a_pod_goes_without_dropping_anybody(chart: Chart) -> None:
    """P15: it serves on while proxies forget it, then has longer than gunicorn takes; probes tell living from able."""
    objects = rendered(chart, LEAST)
    [(_, pod, container)] = [found for found in pods(objects) if found[0].endswith("-web")]
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "10"]
    assert pod["terminationGracePeriodSeconds"] >= 10 + 35
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert {one["topologyKey"] for one in pod["topologySpreadConstraints"]} == {
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    }
    [web] = [one for one in objects if one["kind"] == "Deployment" and one["metadata"]["name"].endswith("-web")]
    assert web["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    hooks = {
        one["spec"]["template"]["spec"]["containers"][0]["args"][0]: one["metadata"]["annotations"]["helm.sh/hook"]
        for one in objects
        if one["kind"] == "Job"
    }
    assert hooks == {"migrate": "pre-install,pre-upgrade", "keys": "pre-install"}


def test_only_the_pages_are_let_in_from_outside(chart: Chart) -> None:
    """TLS for the issuer's host, metrics on a service that no ingress names, and no way to the cloud's metadata."""
    objects = {(one["kind"], one["metadata"]["name"]): one for one in rendered(chart, LEAST)}
    ingress = objects["Ingress", "login-authsvc"]["spec"]
    assert ingress["tls"] == [{"hosts": ["login.ims.example"], "secretName": "authsvc-tls"}]
    [rule] = ingress["rules"]
    assert rule["host"] == "login.ims.example"
    service = rule["http"]["paths"][0]["backend"]["service"]
    assert [port["name"] for port in objects["Service", service["name"]]["spec"]["ports"]] == ["http"]
    policy = objects["NetworkPolicy", "login-authsvc"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert {port["port"] for one in policy["ingress"] for port in one["ports"]} == {8000, 9464}
    blocks = [to["ipBlock"] for one in policy["egress"] for to in one.get("to", [])]
    assert blocks == [{"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}]


REFUSED = {
    "no issuer": {"issuer": ""},
    "http": {"issuer": "http://login.ims.example"},
    "a path": {"issuer": "https://login.ims.example/auth"},
    "no proxy": {"trustedProxies": []},
    "no network": {"trustedProxies": ["everybody"]},
    "no secret": {"secret": {"name": ""}},
    "a secret by value": {"secret": {"name": "authsvc", "value": "hunter2hunter2"}},
    "a secret among the settings": {"settings": {"AUTHSVC_SECRET": "x" * 40}},
    "a setting twice": {"settings": {"AUTHSVC_ISSUER": "https://other.example"}},
    "a setting of nobody": {"settings": {"DATABASE_URL": "x"}},
    "keys in a folder": {"keysUrl": "dir:/data/keys"},
    "exports nowhere": {"exportsUrl": ""},
    "exports in a folder of one pod": {"exportsUrl": "dir:/tmp/exports"},
    "texts in a folder": {"smsUrl": "dir:/tmp/outbox"},
    "no sender": {"email": {"from": ""}},
    "too few threads": {"web": {"threads": 2}},
    "a typo": {"web": {"thread": 8}},
    "half of the policies": {"policies": {"mfa.yaml": "schema: authsvc/mfa/1\n"}},
    "no time to end": {"terminationGracePeriodSeconds": 30},
    "longer drain than patience": {"drainSeconds": 60},
    "more than the most": {"web": {"autoscaling": {"min": 9}}},
    "metrics on the pages' port": {"metrics": {"port": 8000}},
    "a digest that is none": {"image": {"digest": "sha256:abc"}},
}


@pytest.mark.parametrize("name", [None, *REFUSED])
def test_values_that_would_fail_later_are_refused_now(chart: Chart, name: str | None) -> None:
    """By the schema or by the template, before anything reaches the cluster; the least values pass."""
    if name is None:
        assert rendered(chart, LEAST)
        return
    with pytest.raises(HelmError) as refused:
        rendered(chart, {**LEAST, **REFUSED[name]})
    [(section, given)] = REFUSED[name].items()
    words = [section, *given] if isinstance(given, dict) else [section]
    assert any(word in str(refused.value) for word in words)


def test_the_notes_say_what_comes_next(chart: Chart) -> None:
    """After an install: accounts, and backups; after an upgrade: what to watch."""
    [first] = [
        text
        for path, text in chart.render(LEAST, name="login", namespace="auth", is_install=True).items()
        if "NOTES" in path
    ]
    assert "authsvc apply" in first
    assert "authsvc keys backup" in first
    [later] = [
        text
        for path, text in chart.render(LEAST, name="login", namespace="auth", is_upgrade=True, is_install=False).items()
        if "NOTES" in path
    ]
    assert "rollout status" in later


def test_the_chart_and_the_package_are_one_version() -> None:
    """The image's tag is the chart's appVersion."""
    package = re.search(r"^version = (.+)$", (ROOT / "setup.cfg").read_text(), re.MULTILINE)
    assert package is not None
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == package[1]
