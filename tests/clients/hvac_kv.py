"""What hvac's users do with KV v2, against a primary; then, after a failover, against the former standby.

    hvac_kv.py write ADDRESS TOKEN COUNT     writes COUNT secrets, several versions each, and checks the KV calls
    hvac_kv.py verify ADDRESS TOKEN COUNT    reads every version of every one back, byte for byte

The secrets follow from their number alone, so that the second run knows what the first wrote. Sizes from 10 B to
512 KiB, unicode in paths, keys and values.
"""

import concurrent.futures
import hashlib
import sys

import hvac
import hvac.exceptions

WORDS = ["straße", "データ", "ключ", "naïve", "a b", "percent%25", "emoji-\N{KEY}", "plain", "dots.and-dashes", "ünïcode"]
SIZES = [10, 40, 100, 300, 300, 1000, 1000, 4000, 20_000]


def path(n):
    return f"app/{WORDS[n % len(WORDS)]}/{n // 100}/secret-{n}"


def versions(n):
    return 1 + n % 4


def size(n):
    return 512 * 1024 if n % 500 == 499 else SIZES[n % len(SIZES)]


def secret(n, version):
    digest = hashlib.sha256(f"{n}:{version}".encode()).hexdigest()
    text = (digest * (size(n) // len(digest) + 1))[: size(n)]
    return {"value": text, "größe": len(text), "nested": {"list": [1, 2.5, None, True, "\u0000\u2028\U0001f512"]}}


def write(client, n):
    kv = client.secrets.kv.v2
    for version in range(1, versions(n) + 1):
        answer = kv.create_or_update_secret(path=path(n), secret=secret(n, version), cas=version - 1)
        assert answer["data"]["version"] == version, answer


def verify(client, n):
    kv = client.secrets.kv.v2
    for version in range(1, versions(n) + 1):
        answer = kv.read_secret_version(path=path(n), version=version, raise_on_deleted_version=True)
        assert answer["data"]["data"] == secret(n, version), f"{path(n)} version {version} differs"
        assert answer["data"]["metadata"]["version"] == version


def raises(kind, call, **arguments):
    try:
        call(**arguments)
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} expected")


def calls(client):
    """Every KV v2 call once, and its errors."""
    kv = client.secrets.kv.v2
    for version in range(3):
        kv.create_or_update_secret(path="calls/one", secret={"v": version})
    raises(hvac.exceptions.InvalidRequest, kv.create_or_update_secret, path="calls/one", secret={"v": 9}, cas=1)
    assert kv.list_secrets(path="calls")["data"]["keys"] == ["one"]
    kv.patch(path="calls/one", secret={"w": 1})
    assert kv.read_secret(path="calls/one", raise_on_deleted_version=True)["data"]["data"] == {"v": 2, "w": 1}
    kv.delete_latest_version_of_secret(path="calls/one")
    raises(hvac.exceptions.InvalidPath, kv.read_secret_version, path="calls/one", raise_on_deleted_version=True)
    deleted = kv.read_secret_version(path="calls/one", raise_on_deleted_version=False)
    assert deleted["data"]["data"] is None and deleted["data"]["metadata"]["deletion_time"]
    kv.undelete_secret_versions(path="calls/one", versions=[4])
    kv.delete_secret_versions(path="calls/one", versions=[1, 2])
    kv.destroy_secret_versions(path="calls/one", versions=[2])
    metadata = kv.read_secret_metadata(path="calls/one")["data"]
    assert metadata["current_version"] == 4 and metadata["versions"]["2"]["destroyed"]
    assert metadata["versions"]["1"]["deletion_time"] and not metadata["versions"]["1"]["destroyed"]
    kv.update_metadata(path="calls/one", max_versions=2, custom_metadata={"owner": "tests"})
    assert kv.read_secret_metadata(path="calls/one")["data"]["custom_metadata"] == {"owner": "tests"}
    kv.delete_metadata_and_all_versions(path="calls/one")
    raises(hvac.exceptions.InvalidPath, kv.read_secret_metadata, path="calls/one")
    raises(hvac.exceptions.InvalidPath, kv.list_secrets, path="calls")


def main():
    step, address, token, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    client = hvac.Client(url=address, token=token, timeout=60)
    assert client.is_authenticated()
    assert not client.sys.is_sealed()
    stranger = hvac.Client(url=address, token="s.nobody")
    raises(hvac.exceptions.Forbidden, stranger.secrets.kv.v2.read_secret_version, path=path(0), raise_on_deleted_version=True)
    if step == "write":
        calls(client)
    do = {"write": write, "verify": verify}[step]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(do, client, n) for n in range(count)]:
            done.result()
    print(f"{step}: {count} secrets, {sum(versions(n) for n in range(count))} versions")


main()
