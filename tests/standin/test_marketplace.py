"""The Marketplace template, deployed as a customer of AWS Marketplace would: the release lies in a bucket of another region, and nothing is
given but what only the customer knows. Then a new release, one that fails, and the end."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from botocore.exceptions import ClientError

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "infra"))

from package import template as marketplace

from localaws import deployer, package, places, samples, short_forms
from localaws.clients import Clients
from localaws.launcher import LocalAws
from localaws.template import Template

STACK = "from-the-marketplace"
SELLERS_BUCKET, SELLERS_REGION, FOLDER = "sellers-releases", "us-east-1", "listing/5f1c/"
assert SELLERS_REGION != samples.REGION


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """One of its own, as the stack's names are fixed."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("AWS_ENDPOINT_URL_CONNECT", raising=False)
        # What is denied for good need not be waited for.
        environment.setenv("PERMISSION_GRACE_SECONDS", "2")
        with LocalAws(log=tmp_path_factory.mktemp("marketplace") / "emulator.log") as running:
            yield running


@pytest.fixture(scope="module")
def clients(aws: LocalAws) -> Clients:
    return Clients.of(aws.offer)


@pytest.fixture(scope="module")
def sellers(aws: LocalAws) -> Clients:
    """The same account in the seller's region."""
    offer = aws.offer
    elsewhere = Clients(offer.endpoint, offer.connectEndpoint, SELLERS_REGION, offer.accessKeyId, offer.secretAccessKey)
    elsewhere.make_bucket(SELLERS_BUCKET)
    return elsewhere


def code_of(version: str) -> dict[str, bytes]:
    """The zips of a release: the ordinary binaries, told apart by a comment."""
    made = {}
    for name in set(marketplace.functions(marketplace.source()).values()):
        buffer = io.BytesIO(package.zipped(places.binary(name)).read_bytes())
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.comment = version.encode()
        made[f"{name}.zip"] = buffer.getvalue()
    return made


def published(sellers: Clients, version: str, without: str = "", **digests: str) -> Template:
    """Publishes a release, and answers its template as AWS Marketplace hands it on: with defaults that say where it lies."""
    for name, body in code_of(version).items():
        if name != without:
            sellers.s3.put_object(Bucket=SELLERS_BUCKET, Key=f"{FOLDER}{version}/{name}", Body=body)
    release = marketplace.Release(version, digests=digests, published={
        "MPS3BucketName": SELLERS_BUCKET, "MPS3BucketRegion": SELLERS_REGION, "MPS3KeyPrefix": FOLDER})
    return Template(yaml.load(marketplace.generate(marketplace.source(), release), short_forms.Loader))


def deploy(clients: Clients, template: Template, **given: str) -> deployer.Result:
    return deployer.deploy(clients, template, STACK, given, lambda event: None)


def sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def running(clients: Clients, result: deployer.Result) -> dict[str, str]:
    """The code that each function runs, by the zip that it should be."""
    found = {}
    for logical_id, name in marketplace.functions(marketplace.source()).items():
        function = clients.lambda_.get_function_configuration(FunctionName=result.resources[logical_id]["physicalId"])
        found[f"{name}.zip"] = function["CodeSha256"]
    return found


def kept_keys(clients: Clients, bucket: str) -> set[str]:
    return {version["Key"] for version in clients.s3.list_object_versions(Bucket=bucket).get("Versions", [])}


def streaming(clients: Clients) -> dict[str, str]:
    """Where the instance streams, by type of record."""
    found = {}
    for kind in ("AGENT_EVENTS", "CONTACT_TRACE_RECORDS"):
        for config in clients.connect.list_instance_storage_configs(InstanceId=samples.INSTANCE_ID, ResourceType=kind)["StorageConfigs"]:
            found[kind] = (config.get("KinesisStreamConfig") or config.get("KinesisFirehoseConfig")).popitem()[1]
    return found


@pytest.fixture(scope="module")
def deployed(clients: Clients, sellers: Clients) -> deployer.Result:
    result = deploy(clients, published(sellers, "1.0.0"))
    assert result.status == "CREATE_COMPLETE", result.reasons
    return result


def test_a_release_in_another_region_is_deployed_with_nothing_but_the_users_input(deployed: deployer.Result, clients: Clients) -> None:
    code = code_of("1.0.0")
    assert running(clients, deployed) == {name: sha256(body) for name, body in code.items()}
    bucket = deployed.resources["CodeBucket"]["physicalId"]
    assert clients.s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == samples.REGION
    assert kept_keys(clients, bucket) == {f"release/1.0.0/{name}" for name in code}
    assert streaming(clients) == {
        "AGENT_EVENTS": deployed.outputs["AgentEventStreamArn"], "CONTACT_TRACE_RECORDS": deployed.outputs["DeliveryStreamArn"]}


def test_its_functions_run(deployed: deployer.Result, clients: Clients) -> None:
    answer = clients.lambda_.invoke(FunctionName=deployed.outputs["HealthCheckFunctionName"], Payload=b"{}")
    report = json.load(answer["Payload"])
    assert "FunctionError" not in answer, report
    assert {check["name"]: check["outcome"] for check in report["checks"]}["data-streaming"] == "Passed", report


def test_a_new_release_takes_the_place_of_the_old_one(deployed: deployer.Result, clients: Clients, sellers: Clients) -> None:
    code = code_of("1.1.0")
    result = deploy(clients, published(sellers, "1.1.0"))
    assert result.status == "UPDATE_COMPLETE", result.reasons
    assert running(clients, result) == {name: sha256(body) for name, body in code.items()}
    assert kept_keys(clients, result.resources["CodeBucket"]["physicalId"]) == {f"release/1.1.0/{name}" for name in code}


def test_a_release_that_is_not_whole_changes_nothing_and_says_what_is_missing(
        deployed: deployer.Result, clients: Clients, sellers: Clients) -> None:
    result = deploy(clients, published(sellers, "1.2.0", without="redrive.zip"))
    assert result.status == "UPDATE_ROLLBACK_COMPLETE"
    (reason,) = [reason for reason in result.reasons if reason.startswith("CodeCopy:")]
    assert f"s3://{SELLERS_BUCKET}/{FOLDER}1.2.0/redrive.zip in {SELLERS_REGION} cannot be read" in reason
    assert "MPS3BucketName" in reason
    assert running(clients, result) == {name: sha256(body) for name, body in code_of("1.1.0").items()}
    assert kept_keys(clients, result.resources["CodeBucket"]["physicalId"]) == {f"release/1.1.0/{name}" for name in code_of("1.1.0")}


def test_an_update_that_fails_later_goes_back_although_the_old_release_is_published_no_more(
        deployed: deployer.Result, clients: Clients, sellers: Clients) -> None:
    template = published(sellers, "1.3.0")
    for name in code_of("1.1.0"):
        sellers.s3.delete_object(Bucket=SELLERS_BUCKET, Key=f"{FOLDER}1.1.0/{name}")
    # Preflight refuses it, after its function got the new code.
    result = deploy(clients, template, BackupBucketName="nobody-has-this-bucket")
    assert result.status == "UPDATE_ROLLBACK_COMPLETE"
    assert [reason for reason in result.reasons if reason.startswith("Preflight:")]
    assert running(clients, result) == {name: sha256(body) for name, body in code_of("1.1.0").items()}
    assert kept_keys(clients, result.resources["CodeBucket"]["physicalId"]) == {f"release/1.1.0/{name}" for name in code_of("1.1.0")}
    assert streaming(clients)["AGENT_EVENTS"] == deployed.outputs["AgentEventStreamArn"]


def test_a_zip_that_was_tampered_with_is_refused(deployed: deployer.Result, clients: Clients, sellers: Clients) -> None:
    digests = {name: hashlib.sha256(body).hexdigest() for name, body in code_of("1.4.0").items()}
    good, bad = published(sellers, "1.4.0", **digests), published(sellers, "1.4.0", **{**digests, "repair.zip": "0" * 64})
    refused = deploy(clients, bad)
    assert refused.status == "UPDATE_ROLLBACK_COMPLETE"
    assert f"{FOLDER}1.4.0/repair.zip is not the file of this release" in "".join(refused.reasons)
    result = deploy(clients, good)
    assert result.status == "UPDATE_COMPLETE", result.reasons
    assert running(clients, result) == {name: sha256(body) for name, body in code_of("1.4.0").items()}


def test_a_stack_can_move_to_sam_and_back(deployed: deployer.Result, clients: Clients, sellers: Clients) -> None:
    bucket, streams = deployed.resources["CodeBucket"]["physicalId"], streaming(clients)
    with_sam = deploy(clients, Template.read())
    assert with_sam.status == "UPDATE_COMPLETE", with_sam.reasons
    with pytest.raises(ClientError, match="404"):
        clients.s3.head_bucket(Bucket=bucket)
    back = deploy(clients, published(sellers, "1.5.0"))
    assert back.status == "UPDATE_COMPLETE", back.reasons
    for result in (with_sam, back):
        assert {name: result.resources[name]["physicalId"] for name in result.resources.keys() & with_sam.resources.keys()} == {
            name: resource["physicalId"] for name, resource in deployed.resources.items() if name in with_sam.resources}
    assert streaming(clients) == streams


def test_the_end_takes_the_code_bucket_away_and_leaves_what_is_kept(deployed: deployer.Result, clients: Clients) -> None:
    bucket = clients.cloudformation.describe_stack_resource(
        StackName=STACK, LogicalResourceId="CodeBucket")["StackResourceDetail"]["PhysicalResourceId"]
    # What nobody of ours put there does not keep the bucket either.
    clients.s3.put_object(Bucket=bucket, Key="left/behind", Body=b"x")
    result = deployer.delete(clients, STACK, lambda event: None)
    assert result.status == "DELETE_COMPLETE", result.reasons
    with pytest.raises(ClientError, match="404"):
        clients.s3.head_bucket(Bucket=bucket)
    assert streaming(clients) == {}
    clients.s3.head_bucket(Bucket=deployed.outputs["BackupBucket"])
    clients.dynamodb.describe_table(TableName=deployed.outputs["LedgerTable"])
    assert clients.opensearch.describe_domain(DomainName=deployed.outputs["SearchDomainArn"].rsplit("/", 1)[1])["DomainStatus"]


def test_the_copier_does_no_more_than_its_role_allows(aws: LocalAws, deployed: deployer.Result) -> None:
    calls = [json.loads(line) for line in Path(aws.offer.callLog).read_text(encoding="utf-8").splitlines()]
    role = deployed.resources["CodeCopyRole"]["physicalId"]
    ours = [call for call in calls if f"assumed-role/{role}/" in call["principal"]]
    denied = {(call["action"], call["resource"]) for call in ours if call["decision"] != "Allow"}
    # That is how a file that is not there shows to somebody who may not list the bucket.
    assert {action for action, _ in denied} <= {"s3:GetObject"}, denied
    assert all(resource.startswith(f"arn:aws:s3:::{SELLERS_BUCKET}/") for _, resource in denied), denied
    assert {call["action"] for call in ours} == {"s3:GetObject", "s3:PutObject", "s3:ListBucketVersions", "s3:DeleteObject", "s3:DeleteObjectVersion"}
