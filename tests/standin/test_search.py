"""The search domains: who gets through the gate, what faults do, and that the stand-in says what real engines say."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from test_access import User, allow

from engines import NAMES, libraries
from engines.engine import Engine
from localaws.launcher import Offer

Client = Callable[..., Any]
INDEX = "emite-contacts-2026-11"


class Domain:
    """A search domain of the local AWS, as seen from outside and through the gate's control."""

    def __init__(self, offer: Offer, name: str, endpoint: str) -> None:
        self.name = name
        self.endpoint = f"https://{endpoint}"
        self._offer = offer
        self._trust = ssl.create_default_context(cafile=offer.searchAuthority)

    def control(self, method: str, what: str, **content: Any) -> Any:
        request = urllib.request.Request(
            f"{self._offer.searchControl}/domains/{self.name}/{what}", method=method, data=json.dumps(content).encode())
        with urllib.request.urlopen(request, timeout=70) as answer:
            return json.load(answer)

    def send(self, method: str, target: str, body: bytes = b"", keys: dict[str, str] | None = None,
             change: Callable[[dict[str, str]], Any] | None = None, service: str = "es", sent: bytes | None = None,
             kind: str = "application/json") -> tuple[int, Any]:
        """Signs and sends; `change` alters the headers, and `sent` the body, when it is signed already."""
        keys = keys or {"aws_access_key_id": self._offer.accessKeyId, "aws_secret_access_key": self._offer.secretAccessKey}
        request = AWSRequest(method, self.endpoint + target, data=body, headers={"content-type": kind})
        credentials = Credentials(keys["aws_access_key_id"], keys["aws_secret_access_key"], keys.get("aws_session_token"))
        SigV4Auth(credentials, service, self._offer.region).add_auth(request)
        headers = dict(request.headers.items())
        if change:
            change(headers)
        return self.send_plainly(method, target, body if sent is None else sent, headers)

    def send_plainly(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        connection = http.client.HTTPSConnection(urlsplit(self.endpoint).netloc, context=self._trust, timeout=30)
        try:
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if "json" in answer.headers["content-type"] else text.decode()
        finally:
            connection.close()

    def bulk(self, *documents: tuple[str, dict[str, Any]], typed: bool = False, index: str = INDEX, **named: Any) -> tuple[int, Any]:
        return self.send("POST", "/_bulk", bulk(*documents, typed=typed, index=index), kind="application/x-ndjson", **named)


def bulk(*documents: tuple[str, Any], typed: bool = False, index: str = INDEX) -> bytes:
    lines = []
    for key, document in documents:
        lines.append(json.dumps({"create": {"_index": index, "_id": key, **({"_type": "contacts"} if typed else {})}}))
        lines.append(document if isinstance(document, str) else json.dumps(document))
    return "".join(f"{line}\n" for line in lines).encode()


def outcomes(answer: tuple[int, Any]) -> list[tuple[int, str | None]]:
    """Status and error type of each document."""
    status, content = answer
    assert status == 200, content
    return [(item["create"]["status"], item["create"].get("error", {}).get("type")) for item in content["items"]]


@pytest.fixture
def domain(client: Client, offer: Offer) -> Iterator[Callable[..., Domain]]:
    opensearch = client("opensearch")
    made: list[str] = []

    def make(version: str = "OpenSearch_2.19", **settings: Any) -> Domain:
        name = f"gate-{len(made)}"
        status = opensearch.create_domain(DomainName=name, EngineVersion=version, **settings)["DomainStatus"]
        made.append(name)
        return Domain(offer, name, status["Endpoint"])

    yield make
    for name in made:
        opensearch.delete_domain(DomainName=name)


def arn(offer: Offer, path: str = "/*") -> str:
    return f"arn:aws:es:{offer.region}:{offer.accountId}:domain/gate-0{path}"


# ---- The gate


def test_a_signed_request_of_somebody_allowed_gets_through_and_is_written_down(domain: Callable[..., Domain], user: User, offer: Offer) -> None:
    gated = domain()
    keys = user(allow("es:ESHttpPost", resource=arn(offer, "/_bulk")))
    assert outcomes(gated.bulk(("a", {"n": 1}), keys=keys)) == [(201, None)]
    status, content = gated.send("GET", f"/{INDEX}/_count", keys=keys)
    assert status == 403
    assert "is not authorized to perform: es:ESHttpGet" in content["Message"]
    noted = [json.loads(line) for line in Path(offer.callLog).read_text(encoding="utf-8").splitlines()]
    decided = [(entry["action"], entry["resource"], entry["decision"]) for entry in noted if "domain/gate-0" in entry["resource"]]
    assert ("es:ESHttpPost", arn(offer, "/_bulk"), "Allow") in decided
    assert ("es:ESHttpGet", arn(offer, f"/{INDEX}/_count"), "ImplicitDeny") in decided
    assert [note["status"] for note in gated.control("GET", "requests")] == [200, 403]


@pytest.mark.parametrize("key", ["root's", "a user's"])
def test_a_request_that_is_not_as_it_was_signed_is_refused(domain: Callable[..., Domain], user: User, key: str) -> None:
    gated = domain()
    keys = user(allow("es:*")) if key == "a user's" else None
    body = bulk(("a", {"n": 1}))
    assert gated.send("POST", "/_bulk", body, keys)[0] == 200
    for refused in (
        gated.send("POST", "/_bulk", body, keys, sent=bulk(("b", {"n": 1}))),
        gated.send("POST", "/_bulk", body, keys, change=lambda headers: headers.update({"X-Amz-Content-SHA256": "0" * 64})),
        gated.send("POST", "/_bulk", body, keys, change=lambda headers: headers.update({"X-Amz-Date": "20200101T000000Z"})),
        gated.send("POST", "/_bulk", body, keys, change=lambda headers: headers.update({"X-Amz-Added": "later"})),
        gated.send("POST", "/_bulk", body, keys, service="opensearch"),
        gated.send("POST", "/_bulk", body, {"aws_access_key_id": (keys or {}).get("aws_access_key_id", "111122223333"),
                                            "aws_secret_access_key": "another"}),
        gated.send("POST", "/_bulk", body, {"aws_access_key_id": "AKIAUNKNOWN", "aws_secret_access_key": "any"}),
    ):
        assert refused[0] == 403, refused
        assert refused[1].get("message"), refused
    assert list(gated.control("GET", "documents")[INDEX]) == ["a"]


def test_a_body_whose_hash_is_stated_and_signed_still_has_to_be_that_body(domain: Callable[..., Domain]) -> None:
    gated = domain()
    body = bulk(("a", {"n": 1}))
    request = AWSRequest("POST", f"{gated.endpoint}/_bulk", data=body, headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    request.context["payload_signing_enabled"] = False
    SigV4Auth(Credentials("111122223333", "local"), "es", "ap-southeast-2").add_auth(request)
    assert gated.send_plainly("POST", "/_bulk", body, dict(request.headers.items()))[0] == 403


def test_whoever_signs_nothing_is_judged_by_the_domains_policy(domain: Callable[..., Domain], offer: Offer) -> None:
    def policy(cidr: str) -> str:
        return json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "es:ESHttp*", "Resource": "*",
            "Condition": {"IpAddress": {"aws:SourceIp": cidr}}}]})

    plain = {"content-type": "application/json"}
    closed, near, far = domain(), domain(AccessPolicies=policy("127.0.0.1/32")), domain(AccessPolicies=policy("203.0.113.10/32"))
    assert near.send_plainly("POST", "/_bulk", bulk(("a", {})), plain)[0] == 200
    for refused in (closed, far):
        status, content = refused.send_plainly("POST", "/_bulk", bulk(("a", {})), plain)
        assert (status, "User: anonymous is not authorized" in content["Message"]) == (403, True)


def test_a_domains_policy_admits_and_denies_beside_the_callers(domain: Callable[..., Domain], user: User, offer: Offer) -> None:
    everybody = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "es:ESHttpPost", "Resource": "*"},
        {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "es:ESHttpGet", "Resource": "*"}]}
    gated = domain(AccessPolicies=json.dumps(everybody))
    assert gated.bulk(("a", {}), keys=user())[0] == 200
    assert gated.send("GET", f"/{INDEX}/_count", keys=user(allow("es:*")))[0] == 403


def test_a_session_of_a_role_gets_through_with_its_token_only(domain: Callable[..., Domain], client: Client, user: User, offer: Offer) -> None:
    gated = domain()
    iam = client("iam")
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{offer.accountId}:root"}, "Action": "sts:AssumeRole"}]}
    role = iam.create_role(RoleName="redriver", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="redriver", PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [allow("es:ESHttpPost", resource=arn(offer, "/_bulk"))]}))
    made = client("sts", **user(allow("sts:AssumeRole"))).assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    assert gated.bulk(("a", {}), keys=keys)[0] == 403
    assert gated.bulk(("a", {}), keys={**keys, "aws_session_token": made["SessionToken"]})[0] == 200
    iam.delete_role_policy(RoleName="redriver", PolicyName="p")
    iam.delete_role(RoleName="redriver")


def test_each_domain_has_its_own_endpoint_and_a_new_one_is_empty(domain: Callable[..., Domain], client: Client) -> None:
    one, other = domain(), domain()
    assert one.endpoint != other.endpoint
    one.bulk(("a", {}))
    assert other.control("GET", "documents") == {}
    client("opensearch").delete_domain(DomainName=one.name)
    client("opensearch").create_domain(DomainName=one.name)
    assert one.control("GET", "documents") == {}


def test_the_endpoint_of_a_template_is_the_gates(stack: Callable[..., dict[str, Any]], client: Client, offer: Offer) -> None:
    stack("searching", Domain={"Type": "AWS::OpenSearchService::Domain", "Properties": {"DomainName": "of-template"}},
          Spec={"Type": "AWS::SSM::Parameter", "Properties": {
              "Name": "/searching", "Type": "String", "Value": {"Fn::Sub": "https://${Domain.DomainEndpoint}"}}})
    endpoint = client("ssm").get_parameter(Name="/searching")["Parameter"]["Value"]
    found = Domain(offer, "of-template", endpoint.removeprefix("https://"))
    assert found.control("GET", "")["endpoint"] == endpoint
    assert found.bulk(("a", {}))[0] == 200


def test_a_domain_that_is_being_changed_says_so_and_refuses_another_change(domain: Callable[..., Domain], client: Client) -> None:
    opensearch, gated = client("opensearch"), domain()
    gated.control("POST", "changing", changing=True)
    shown = opensearch.describe_domain(DomainName=gated.name)["DomainStatus"]
    assert (shown["Processing"], shown["DomainProcessingStatus"]) == (True, "Modifying")
    with pytest.raises(ClientError, match="A change/update is in progress") as refused:
        opensearch.update_domain_config(DomainName=gated.name, AccessPolicies="")
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    gated.control("POST", "changing", changing=False)
    opensearch.update_domain_config(DomainName=gated.name, AccessPolicies="")
    assert opensearch.describe_domain(DomainName=gated.name)["DomainStatus"]["Processing"] is False


def test_a_body_that_is_too_large_is_refused(domain: Callable[..., Domain]) -> None:
    gated = domain()
    gated.control("POST", "options", mostBytes=1000)
    assert gated.bulk(("a", {"text": "x" * 500}))[0] == 200
    assert gated.bulk(("b", {"text": "x" * 1000}))[0] == 413


# ---- Faults


@pytest.mark.parametrize(("kind", "status"), [
    ("throttle", 429), ("internal", 500), ("unavailable", 503), ("timeout", 504), ("too-large", 413), ("denied", 403)])
def test_an_answer_of_the_service_is_ordered_for_some_requests(domain: Callable[..., Domain], kind: str, status: int) -> None:
    gated = domain()
    gated.control("POST", "faults", kind=kind, skip=1, times=2)
    assert [gated.bulk((key, {}))[0] for key in "abcd"] == [200, status, status, 200]
    assert list(gated.control("GET", "documents")[INDEX]) == ["a", "d"]


@pytest.mark.parametrize(("kind", "done"), [("reset", []), ("lost", ["a"])])
def test_a_connection_is_cut_before_or_after_the_engine_heard(domain: Callable[..., Domain], kind: str, done: list[str]) -> None:
    gated = domain()
    gated.control("POST", "faults", kind=kind)
    with pytest.raises((ConnectionError, http.client.HTTPException, ssl.SSLError)):
        gated.bulk(("a", {}))
    assert list(gated.control("GET", "documents").get(INDEX, {})) == done
    assert gated.bulk(("b", {}))[0] == 200


@pytest.mark.parametrize(("kind", "done"), [("hold", []), ("stuck", ["a"])])
def test_a_request_is_held_until_its_client_is_gone(domain: Callable[..., Domain], kind: str, done: list[str]) -> None:
    gated = domain()
    gated.control("POST", "faults", kind=kind)

    def wait() -> None:
        with contextlib.suppress(OSError):
            gated.bulk(("a", {}))

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    gated.control("GET", "held")
    assert list(gated.control("GET", "documents").get(INDEX, {})) == done
    assert waiting.is_alive()
    assert gated.bulk(("b", {}))[0] == 200


def test_a_busy_engine_takes_some_documents_and_not_the_others(domain: Callable[..., Domain]) -> None:
    gated = domain()
    gated.control("POST", "faults", kind="busy")
    busy = (429, "es_rejected_execution_exception")
    assert outcomes(gated.bulk(*((key, {}) for key in "abcde"))) == [(201, None), busy, (201, None), busy, (201, None)]
    assert list(gated.control("GET", "documents")[INDEX]) == ["a", "c", "e"]


def test_a_control_that_makes_no_sense_says_so(domain: Callable[..., Domain]) -> None:
    gated = domain()
    for method, what, content in [("POST", "faults", {"kind": "no"}), ("POST", "engine", {}), ("GET", "nothing", {})]:
        with pytest.raises(urllib.error.HTTPError, match="400"):
            gated.control(method, what, **content)


# ---- Engines, and the stand-in beside them


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Engine]]:
    started: dict[str, Engine] = {}

    def start(name: str) -> Engine:
        if name not in started:
            reason = libraries.available()
            if reason:
                assert os.environ.get("CI") != "true", f"on CI these have to run, and {reason}"
                pytest.skip(f"real engines do not run here: {reason}")
            started[name] = Engine(name, tmp_path_factory.mktemp(name))
            started[name].start()
        return started[name]

    yield start
    for engine in started.values():
        engine.kill()


@pytest.fixture(params=["stand-in", *NAMES])
def served(request: pytest.FixtureRequest, domain: Callable[..., Domain], engines: Callable[[str], Engine]) -> Iterator[tuple[Domain, bool]]:
    """A domain with that engine behind it, and whether it knows types."""
    typed = request.param == "elasticsearch-6"
    gated = domain("Elasticsearch_6.8" if typed else "OpenSearch_2.19")
    if request.param != "stand-in":
        engine = engines(request.param)
        gated.control("POST", "engine", url=engine.url)
        yield gated, typed
        engine.call("DELETE", "/_all")
    else:
        yield gated, typed


def test_documents_are_created_once_and_counted(served: tuple[Domain, bool]) -> None:
    gated, typed = served
    assert outcomes(gated.bulk(("a", {"n": 1}), ("b", {"n": 2}), typed=typed)) == [(201, None), (201, None)]
    assert outcomes(gated.bulk(("b", {"n": 3}), ("c", {"n": 3}), typed=typed)) == [(409, "version_conflict_engine_exception"), (201, None)]
    assert gated.send("POST", f"/{INDEX}/_refresh")[0] == 200
    assert gated.send("GET", f"/{INDEX}/_count")[1]["count"] == 3
    hits = gated.send("POST", f"/{INDEX}/_search", b'{"query":{"match_all":{}}}')[1]["hits"]["hits"]
    assert {hit["_id"]: hit["_source"]["n"] for hit in hits} == {"a": 1, "b": 2, "c": 3}


MISFITS = [
    ({"n": "not a number"}, "mapper_parsing_exception"),
    ({"at": "no date"}, "mapper_parsing_exception"),
    ({"flag": "perhaps"}, "mapper_parsing_exception"),
    ({"inner": "no object"}, "mapper_parsing_exception"),
    ({"text": {"an": "object"}}, "mapper_parsing_exception"),
    ("not JSON", "mapper_parsing_exception"),
    ("[1]", "mapper_parsing_exception"),
    ({f"field-{number}": number for number in range(1001)}, "illegal_argument_exception"),
]


@pytest.mark.parametrize(("document", "kind"), MISFITS, ids=range(len(MISFITS)))
def test_a_document_that_does_not_fit_is_refused_alone(served: tuple[Domain, bool], document: Any, kind: str) -> None:
    gated, typed = served
    first = {"n": 1, "at": "2026-11-24T01:02:03Z", "flag": True, "inner": {"x": 1}, "text": "words", "list": [1, 2], "none": None}
    # By itself: the shards of a new index learn its fields at the same time, and may then disagree.
    assert outcomes(gated.bulk(("a", first), typed=typed)) == [(201, None)]
    answer = gated.bulk(("b", document), ("c", {"n": "7", "text": 5, "list": 3, "none": "now"}), typed=typed)
    assert outcomes(answer) == [(400, kind), (201, None)]


def test_a_bad_index_name_is_refused_with_its_document(served: tuple[Domain, bool]) -> None:
    gated, typed = served
    assert outcomes(gated.bulk(("a", {}), index="Upper", typed=typed)) == [(400, "invalid_index_name_exception")]


def test_a_request_that_is_no_bulk_request_is_refused_as_a_whole(served: tuple[Domain, bool]) -> None:
    gated, typed = served
    wrong = bulk(("a", {}), typed=not typed)
    for body in (wrong, bulk(("a", {}), typed=typed)[:-1], b"{}\n{}\n", b"\n"):
        assert gated.send("POST", "/_bulk", body)[0] == 400, body
    assert gated.send("POST", "/_bulk", bulk(("a", {}), typed=typed), kind="text/plain")[0] == 406


def test_an_engine_that_is_down_is_an_unavailable_domain_and_comes_back_with_its_documents(
        domain: Callable[..., Domain], tmp_path: Path, engines: Callable[[str], Engine]) -> None:
    engines(NAMES[0])
    gated = domain("Elasticsearch_6.8")
    with Engine(NAMES[0], tmp_path) as engine:
        gated.control("POST", "engine", url=engine.url)
        assert outcomes(gated.bulk(("a", {}), typed=True)) == [(201, None)]
        engine.kill()
        assert gated.bulk(("b", {}), typed=True)[0] == 503
        gated.control("POST", "engine", url=engine.start())
        assert outcomes(gated.bulk(("a", {}), ("b", {}), typed=True)) == [(409, "version_conflict_engine_exception"), (201, None)]
        stopped = engine.pid
        engine.stop()
        gated.control("POST", "engine", url=engine.start())
        assert outcomes(gated.bulk(("b", {}), typed=True)) == [(409, "version_conflict_engine_exception")]
        killed = engine.pid
    for pid in (stopped, killed):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
