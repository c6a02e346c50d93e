"""What hvac's users do beside KV v2 (hvac_kv.py has that), against one region; then, after a switchover, against the other.

    hvac_story.py before ADDRESS CA TOKEN NOTES     does all of it, and notes the tokens that live on
    hvac_story.py after  ADDRESS CA TOKEN NOTES     what was left behind is there, and the same tokens go on
"""

import json
import sys
import time

import hvac
import hvac.exceptions as wrong

POLICY = """
path "py-kv/data/team/*" { capabilities = ["create", "read", "update", "patch"] }
path "py-kv/data/team/locked" { capabilities = ["deny"] }
path "py-kv/metadata/+/deep" { capabilities = ["list", "read"] }
path "py-kv/data/limited" {
  capabilities = ["create", "update"]
  allowed_parameters = { "data" = [], "options" = [] }
}
path "auth/token/create" { capabilities = ["update"] }
"""


def raises(kind, call, *positional, **named):
    try:
        call(*positional, **named)
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} expected of {call.__name__}")


def client_as(client, token):
    return hvac.Client(url=client.url, token=token, verify=client.adapter._kwargs["verify"], timeout=60)


def system(client):
    assert client.sys.is_initialized() and not client.sys.is_sealed()
    assert client.sys.read_seal_status()["t"] == 1
    health = client.sys.read_health_status(method="GET", standby_ok=True)
    # hvac hands back the object of a 200 and the response of anything else.
    assert isinstance(health, dict) and health["initialized"] and not health["sealed"], health
    assert client.sys.read_leader_status()["ha_enabled"]
    assert len(client.sys.read_raft_config()["data"]["config"]["servers"]) == 3
    assert "token/" in client.sys.list_auth_methods()["data"]


def mounts(client):
    client.sys.enable_secrets_engine("kv", path="py-kv", options={"version": "2"}, description="by hvac")
    client.sys.enable_secrets_engine("kv", path="py-old", options={"version": "1"})
    raises(wrong.InvalidRequest, client.sys.enable_secrets_engine, "kv", path="py-kv")
    listed = client.sys.list_mounted_secrets_engines()["data"]
    assert listed["py-kv/"]["options"] == {"version": "2"} and listed["py-kv/"]["description"] == "by hvac"
    client.sys.tune_mount_configuration("py-kv", default_lease_ttl="2h", max_lease_ttl=86400, description="tuned")
    tuned = client.sys.read_mount_configuration("py-kv")["data"]
    assert (tuned["default_lease_ttl"], tuned["max_lease_ttl"], tuned["description"]) == (7200, 86400, "tuned"), tuned
    client.sys.enable_secrets_engine("kv", path="py-moving", options={"version": "2"})
    client.secrets.kv.v2.create_or_update_secret("a", {"n": 1}, mount_point="py-moving")
    client.sys.move_backend("py-moving", "py-moved")
    assert client.secrets.kv.v2.read_secret("a", mount_point="py-moved", raise_on_deleted_version=True)["data"]["data"] == {"n": 1}
    client.sys.disable_secrets_engine("py-moved")
    raises((wrong.InvalidPath, wrong.Forbidden), client.secrets.kv.v2.read_secret, "a", mount_point="py-moved", raise_on_deleted_version=True)


def kv1(client):
    kv = client.secrets.kv.v1
    kv.create_or_update_secret("dir/one", {"big": 12345678901234567890, "text": "ünï"}, mount_point="py-old")
    kv.create_or_update_secret("dir/one", {"big": 1, "text": "changed"}, mount_point="py-old", method="PUT")
    assert kv.read_secret("dir/one", mount_point="py-old")["data"] == {"big": 1, "text": "changed"}
    kv.create_or_update_secret("two", {"x": []}, mount_point="py-old")
    assert kv.list_secrets("", mount_point="py-old")["data"]["keys"] == ["dir/", "two"]
    kv.delete_secret("two", mount_point="py-old")
    raises(wrong.InvalidPath, kv.read_secret, "two", mount_point="py-old")


def kv2(client):
    kv = client.secrets.kv.v2
    kv.configure(mount_point="py-kv", max_versions=3, cas_required=True, delete_version_after="10h")
    config = kv.read_configuration("py-kv")["data"]
    assert (config["max_versions"], config["cas_required"], config["delete_version_after"]) == (3, True, "10h0m0s"), config
    raises(wrong.InvalidRequest, kv.create_or_update_secret, "team/a", {"v": 0}, mount_point="py-kv")
    for version in range(5):
        kv.create_or_update_secret("team/a", {"v": version}, cas=version, mount_point="py-kv")
    metadata = kv.read_secret_metadata("team/a", mount_point="py-kv")["data"]
    assert sorted(metadata["versions"]) == ["3", "4", "5"] and metadata["oldest_version"] == 3, metadata
    assert metadata["versions"]["5"]["deletion_time"], "it ends after ten hours"
    kv.configure(mount_point="py-kv", max_versions=0, cas_required=False, delete_version_after="0s")
    kv.patch("team/a", {"w": {"deep": 1}}, mount_point="py-kv")
    kv.create_or_update_secret("limited", {"v": 1}, mount_point="py-kv")
    keys = client.read("py-kv/subkeys/team/a")["data"]["subkeys"]
    assert keys == {"v": None, "w": {"deep": None}}, keys


def policies_and_tokens(client, notes):
    client.sys.create_or_update_policy("py-team", POLICY)
    assert client.sys.read_policy("py-team")["rules"] == POLICY
    assert {"default", "root", "py-team"} <= set(client.sys.list_policies()["policies"])
    made = client.auth.token.create(policies=["py-team"], ttl="2h", explicit_max_ttl="4h", display_name="team", meta={"who": "py"})["auth"]
    assert made["policies"] == ["default", "py-team"] and made["renewable"] and made["lease_duration"] == 7200, made
    team = client_as(client, made["client_token"])
    kv = team.secrets.kv.v2
    kv.create_or_update_secret("team/b", {"by": "team"}, mount_point="py-kv")
    raises(wrong.Forbidden, kv.create_or_update_secret, "team/locked", {"no": 1}, mount_point="py-kv")
    raises(wrong.Forbidden, kv.read_secret, "limited", mount_point="py-kv", raise_on_deleted_version=True)
    raises(wrong.Forbidden, team.sys.list_mounted_secrets_engines)
    paths = ["py-kv/data/team/x", "py-kv/data/team/locked", "nowhere"]
    can = team.sys.get_capabilities(paths)
    assert can["py-kv/data/team/x"] == ["create", "patch", "read", "update"], can
    assert can["py-kv/data/team/locked"] == ["deny"] == can["nowhere"], can

    looked = team.auth.token.lookup_self()["data"]
    assert looked["display_name"] == "token-team" and looked["meta"] == {"who": "py"} and looked["explicit_max_ttl"] == 14400, looked
    assert 0 < team.auth.token.renew_self(increment="3h")["auth"]["lease_duration"] <= 10800
    by_accessor = client.auth.token.lookup_accessor(made["accessor"])["data"]
    assert by_accessor["accessor"] == made["accessor"] and by_accessor["id"] == "", by_accessor
    assert made["accessor"] in client.auth.token.list_accessors()["data"]["keys"]

    # A tree ends with its root; an orphan lives on.
    parent = client.auth.token.create(policies=["py-team"], ttl="1h")["auth"]
    child = client_as(client, parent["client_token"]).auth.token.create(ttl="30m")["auth"]["client_token"]
    orphan = client.auth.token.create_orphan(policies=["py-team"], ttl="1h")["auth"]
    assert orphan["orphan"] and not parent["orphan"]
    client.auth.token.revoke_accessor(parent["accessor"])
    for gone in (parent["client_token"], child):
        raises(wrong.Forbidden, client_as(client, gone).auth.token.lookup_self)
    client_as(client, orphan["client_token"]).auth.token.lookup_self()

    client.auth.token.create_or_update_role("py-role", allowed_policies="py-team", orphan=True, token_period=3600, path_suffix="blue")
    assert client.auth.token.read_role("py-role")["data"]["allowed_policies"] == ["py-team"]
    assert "py-role" in client.auth.token.list_roles()["data"]["keys"]
    periodic = client.auth.token.create(role_name="py-role", policies=["py-team"])["auth"]
    assert periodic["lease_duration"] == 3600 and periodic["orphan"], periodic
    raises(wrong.InvalidRequest, client.auth.token.create, role_name="py-role", policies=["root"])

    batch = client.auth.token.create(type="batch", policies=["py-team"], ttl="1h")["auth"]
    assert batch["token_type"] == "batch" and batch["client_token"].startswith(("b.", "hvb.")), batch
    client_as(client, batch["client_token"]).secrets.kv.v2.read_secret("team/a", mount_point="py-kv", raise_on_deleted_version=True)

    twice = client_as(client, client.auth.token.create(policies=["py-team"], num_uses=2)["auth"]["client_token"])
    for _ in range(2):
        twice.secrets.kv.v2.read_secret("team/a", mount_point="py-kv", raise_on_deleted_version=True)
    raises(wrong.Forbidden, twice.secrets.kv.v2.read_secret, "team/a", mount_point="py-kv", raise_on_deleted_version=True)

    # It runs on the region's clock: waited for, not slept for.
    short = client_as(client, client.auth.token.create(ttl="1s")["auth"]["client_token"])
    deadline = time.monotonic() + 30
    while short.is_authenticated():
        assert time.monotonic() < deadline, "a token of one second lives on"

    spent = client.auth.token.create(policies=["py-team"], num_uses=5, ttl="2h")["auth"]["client_token"]
    client_as(client, spent).auth.token.lookup_self()
    notes |= {
        "team": made["client_token"],
        "periodic": periodic["client_token"],
        "batch": batch["client_token"],
        "gone": child,
        "spent": spent,
    }


def wrapping(client, notes):
    wrapped = client.adapter.get("/v1/py-kv/data/team/a", wrap_ttl="10m")["wrap_info"]
    assert wrapped["creation_path"] == "py-kv/data/team/a" and wrapped["ttl"] == 600, wrapped
    assert client.sys.unwrap(wrapped["token"])["data"]["data"]["v"] == 4
    raises(wrong.InvalidRequest, client.sys.unwrap, wrapped["token"])
    own = client.sys.wrap({"key": "kept"}, ttl=600)["wrap_info"]["token"]
    assert client.write("sys/wrapping/lookup", token=own)["data"]["creation_ttl"] == 600
    notes["wrapped"] = client.write("sys/wrapping/rewrap", token=own)["wrap_info"]["token"]
    client.write("cubbyhole/mine", value="only root's")
    assert client.read("cubbyhole/mine")["data"] == {"value": "only root's"}


def left_behind(client, notes):
    """After the switchover, in the other region."""
    team = client_as(client, notes["team"])
    kv = team.secrets.kv.v2
    assert kv.read_secret("team/b", mount_point="py-kv", raise_on_deleted_version=True)["data"]["data"] == {"by": "team"}
    assert kv.create_or_update_secret("team/b", {"by": "team", "region": 2}, cas=1, mount_point="py-kv")["data"]["version"] == 2
    raises(wrong.Forbidden, kv.create_or_update_secret, "team/locked", {"no": 1}, mount_point="py-kv")
    raises(wrong.Forbidden, client_as(client, notes["gone"]).auth.token.lookup_self)
    assert client_as(client, notes["spent"]).auth.token.lookup_self()["data"]["num_uses"] < 5
    assert client_as(client, notes["periodic"]).auth.token.renew_self()["auth"]["lease_duration"] == 3600
    client_as(client, notes["batch"]).secrets.kv.v2.read_secret("team/a", mount_point="py-kv", raise_on_deleted_version=True)
    assert client.secrets.kv.v1.read_secret("dir/one", mount_point="py-old")["data"] == {"big": 1, "text": "changed"}
    assert client.sys.unwrap(notes["wrapped"])["data"] == {"key": "kept"}
    assert client.read("cubbyhole/mine")["data"] == {"value": "only root's"}
    tuned = client.sys.read_mount_configuration("py-kv")["data"]
    assert tuned["description"] == "tuned", tuned
    # KV v1 becomes KV v2, and keeps what it had.
    client.write("sys/mounts/py-old/tune", options={"version": "2"})
    assert client.secrets.kv.v2.read_secret("dir/one", mount_point="py-old", raise_on_deleted_version=True)["data"]["data"]["text"] == "changed"
    client.auth.token.revoke(notes["team"])
    raises(wrong.Forbidden, team.auth.token.lookup_self)
    client.sys.delete_policy("py-team")


def main():
    step, address, ca, token, notes_file = sys.argv[1:]
    client = hvac.Client(url=address, token=token, verify=ca, timeout=60)
    assert client.is_authenticated()
    system(client)
    if step == "before":
        notes = {}
        mounts(client)
        kv1(client)
        kv2(client)
        policies_and_tokens(client, notes)
        wrapping(client, notes)
        with open(notes_file, "w") as file:
            json.dump(notes, file)
    else:
        with open(notes_file) as file:
            left_behind(client, json.load(file))
    print(f"hvac {step}: done")


main()
