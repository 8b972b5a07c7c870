"""Finding the way into a cluster: a pod's account, kubeconfigs, credential commands."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflows.argo.conftest import Clock
from workflows.argo.access import AccessError, FileToken
from workflows.argo.find import find_access, in_cluster
from workflows.argo.kubeconfig import from_kubeconfig


def kubeconfig(folder: Path, user: dict[str, Any], **cluster: Any) -> Path:
    path = folder / "config"
    config = {
        "current-context": "here",
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "jobs"}},
            {"name": "there", "context": {"cluster": "c"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "http://10.0.0.1:6443/", **cluster}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_kubeconfig_says_all(tmp_path: Path) -> None:
    access = from_kubeconfig(kubeconfig(tmp_path, {"token": "abc"}))
    assert (access.url, access.namespace, access.token()) == ("http://10.0.0.1:6443", "jobs", "abc")
    assert from_kubeconfig(tmp_path / "config", namespace="other").namespace == "other"
    assert from_kubeconfig(tmp_path / "config", context="there").namespace == "default"
    assert "abc" not in repr(access)


def test_a_token_file_is_read_anew_after_a_minute(tmp_path: Path, ticking: Clock) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    token = FileToken(path, clock=ticking)
    assert token() == "first"
    path.write_text("second\n")
    assert token() == "first"
    ticking.now += 61
    assert token() == "second"
    path.write_text("third\n")
    token.forget()
    assert token() == "third"
    path.unlink()
    token.forget()
    with pytest.raises(AccessError, match="cannot be read"):
        token()


def test_a_credential_command_is_run_until_its_token_expires(tmp_path: Path) -> None:
    script = tmp_path / "login.py"
    count = tmp_path / "count"
    script.write_text(
        "import json, os, pathlib, sys\n"
        "assert json.loads(os.environ['KUBERNETES_EXEC_INFO'])['kind'] == 'ExecCredential'\n"
        f"count = pathlib.Path({str(count)!r})\n"
        "n = int(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text(str(n))\n"
        "until = '2000-01-01T00:00:00Z' if n == 1 else '2999-01-01T00:00:00Z'\n"
        "print(json.dumps({'status': {'token': f'{sys.argv[1]}-{n}-{os.environ[\"MORE\"]}',"
        " 'expirationTimestamp': until}}))\n"
    )
    entry = {"command": sys.executable, "args": [str(script), "t"], "env": [{"name": "MORE", "value": "m"}]}
    access = from_kubeconfig(kubeconfig(tmp_path, {"exec": entry}))
    assert [access.token(), access.token(), access.token()] == ["t-1-m", "t-2-m", "t-2-m"]
    access.renew()
    assert access.token() == "t-3-m"


@pytest.mark.parametrize(
    ("code", "says"),
    [("import sys; sys.exit('session expired: log in')", "session expired: log in"), ("print('no json')", "gave no")],
)
def test_a_credential_command_that_fails_is_named(tmp_path: Path, code: str, says: str) -> None:
    access = from_kubeconfig(kubeconfig(tmp_path, {"exec": {"command": sys.executable, "args": ["-c", code]}}))
    with pytest.raises(AccessError, match=says):
        access.token()


def test_a_credential_command_that_is_not_installed_is_named(tmp_path: Path) -> None:
    access = from_kubeconfig(kubeconfig(tmp_path, {"exec": {"command": "no-such-login"}}))
    with pytest.raises(AccessError, match="no-such-login, which the kubeconfig names, cannot be run"):
        access.token()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.pop("current-context"), "no current-context"),
        (lambda c: c.update(clusters=[]), "has no cluster 'c'; it has: none"),
        (lambda c: c["clusters"][0]["cluster"].pop("server"), "names no server"),
        (lambda c: c.update(users=[{"name": "someone"}]), "has no user 'u'; it has: someone"),
    ],
)
def test_a_kubeconfig_that_lacks_something_is_told_so(tmp_path: Path, change: Any, says: str) -> None:
    path = kubeconfig(tmp_path, {})
    config = yaml.safe_load(path.read_text())
    change(config)
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(AccessError, match=says):
        from_kubeconfig(path)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="cannot be read"):
        from_kubeconfig(tmp_path / "absent")
    (tmp_path / "broken").write_text("a: [")
    with pytest.raises(AccessError, match="is not YAML"):
        from_kubeconfig(tmp_path / "broken")
    path = kubeconfig(tmp_path, {"client-certificate": "absent.pem"}, server="https://10.0.0.1")
    with pytest.raises(AccessError, match=r"client-certificate absent\.pem"):
        from_kubeconfig(path)


def test_certificates_beside_the_kubeconfig_are_used(tmp_path: Path) -> None:
    subject = ["-subj", "/CN=me", "-keyout", str(tmp_path / "me.key"), "-out", str(tmp_path / "me.pem")]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    try:
        subprocess.run(made, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed: it makes the certificate")
    user = {"client-certificate": "me.pem", "client-key": "me.key"}
    path = kubeconfig(tmp_path, user, server="https://10.0.0.1", **{"certificate-authority": "me.pem"})
    tls = from_kubeconfig(path).tls
    assert not isinstance(tls, bool)
    assert [dict(pair[0] for pair in ca["subject"]) for ca in tls.get_ca_certs()] == [{"commonName": "me"}]


def test_without_any_cluster_the_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="TIPHYS_KUBECONFIG"):
        find_access(env={"KUBECONFIG": str(tmp_path / "absent"), "HOME": str(tmp_path)})


def test_of_several_kubeconfigs_the_first_that_is_there_counts(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, {"token": "abc"})
    access = find_access(env={"KUBECONFIG": f"{tmp_path / 'absent'}:{path}"})
    assert access.token() == "abc"


def test_a_pods_account_is_read_from_its_folder(tmp_path: Path) -> None:
    authority = Path(ssl.get_default_verify_paths().cafile or "")
    if not authority.is_file():
        pytest.skip("this machine keeps no certificate authorities in one file")
    (tmp_path / "token").write_text("pods")
    (tmp_path / "namespace").write_text("jobs\n")
    (tmp_path / "ca.crt").write_bytes(authority.read_bytes())
    env = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    access = in_cluster(env, account=tmp_path)
    assert (access.url, access.namespace, access.token()) == ("https://[fd00::1]:6443", "jobs", "pods")


def test_a_kubeconfig_may_be_json(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, {"token": "abc"})
    path.write_text(json.dumps(yaml.safe_load(path.read_text())))
    assert from_kubeconfig(path).token() == "abc"


@pytest.mark.parametrize("odd", [{"as": "admin"}, {"auth-provider": {"name": "gcp"}}, {"username": "me"}])
def test_a_way_in_that_is_not_understood_is_not_passed_over(tmp_path: Path, odd: dict[str, Any]) -> None:
    with pytest.raises(AccessError, match=f"lets its user u in by {next(iter(odd))}, which is not understood"):
        from_kubeconfig(kubeconfig(tmp_path, {"token": "abc", **odd}))


@pytest.mark.parametrize(
    ("data", "says"), [("%%%", "certificate-authority-data .* is not base64"), ("YWJj", "is no PEM certificate")]
)
def test_a_broken_certificate_is_named(tmp_path: Path, data: str, says: str) -> None:
    path = kubeconfig(tmp_path, {}, server="https://10.0.0.1", **{"certificate-authority-data": data})
    with pytest.raises(AccessError, match=says):
        from_kubeconfig(path)
