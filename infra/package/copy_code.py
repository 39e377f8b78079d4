"""Owns the functions' code in the account: copies a release from where it is published into the bucket of the stack, as Lambda
takes code from a bucket of its own region only, and takes it away again.

Runs in Lambda as it stands here, inline in the template, behind two custom resources. Custom::CopyCode is one release: its physical
ID is the folder that it lies in, so an update copies the new one first, and the old one goes with the Delete that CloudFormation
sends last. Custom::CodeBucketContent is whatever is left in the bucket when the stack goes."""

import base64
import hashlib
import json
import os
import re
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# One call takes a minute at most, and the answer half of one.
RESERVE_SECONDS = 100
CALLS = Config(connect_timeout=5, read_timeout=15, retries={"mode": "standard", "total_max_attempts": 3})
DENIED = ("403", "AccessDenied", "InvalidAccessKeyId", "InvalidToken")
FOLDER = "release/"
LONGEST_ANSWER = 4096
PROPERTIES = {
    "SourceBucket": (r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "MPS3BucketName has to be the name of a bucket"),
    "SourceRegion": (r"[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}", "MPS3BucketRegion has to be a region such as us-east-1"),
    "SourcePrefix": (r"([0-9A-Za-z!_.'()-]+/)*", "MPS3KeyPrefix has to be empty or to end with /"),
    "Release": (r"[0-9A-Za-z.+-]{1,64}", "Release has to be a version"),
    "Bucket": (r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "Bucket has to be the name of a bucket"),
}


class Problem(Exception):
    """What is wrong, where, and what to do, for whoever deploys."""


class Clock:
    """How long there is: until the answer is due, and until a right that is new must have arrived everywhere."""

    def __init__(self, context):
        now = time.monotonic()
        self.ends = now + context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS
        self.patience = now + float(os.environ.get("PERMISSION_GRACE_SECONDS", "60"))

    def check(self):
        if time.monotonic() > self.ends:
            raise Problem("The code could not be copied or removed in time. Try the same again.")

    def waits(self, error):
        """Whether to try a denied call again, after a pause: a role that was just made or changed is not known everywhere at once."""
        if code_of(error) not in DENIED or time.monotonic() > min(self.patience, self.ends):
            return False
        time.sleep(1)
        return True

    def call(self, operation, **arguments):
        while True:
            self.check()
            try:
                return operation(**arguments)
            except ClientError as error:
                if not self.waits(error):
                    raise


def handler(event, context):
    url = event["ResponseURL"]
    # A loopback address is a local emulator's.
    if not re.match(r"https://|http://(127\.0\.0\.1|localhost)[:/]", url):
        raise ValueError("ResponseURL is not an https address")
    try:
        physical_id, problem = outcome(event, Clock(context))
    except Exception as error:
        # Whatever it is, CloudFormation hears of it, instead of waiting.
        physical_id, problem = event.get("PhysicalResourceId") or "nothing", f"{type(error).__name__}: {error}"
    print(json.dumps({"request": event.get("RequestType"), "resource": event["LogicalResourceId"], "id": physical_id, "problem": problem}))
    deliver(url, encode(event, physical_id, problem))


def outcome(event, clock):
    """The physical ID to answer, and what went wrong, if anything did."""
    request, properties, current = event.get("RequestType"), event.get("ResourceProperties") or {}, event.get("PhysicalResourceId")
    if request not in ("Create", "Update", "Delete"):
        return current or "nothing", f"RequestType is {request!r}"
    if event.get("StackId") != os.environ["STACK_ID"]:
        return current or "nothing", f"StackId is not {os.environ['STACK_ID']}, the one stack that this function serves."
    releases = event.get("ResourceType") != "Custom::CodeBucketContent"
    copies = releases and request != "Delete"
    if copies and (wrong := problems(properties)):
        return current or "nothing", " ".join(wrong)
    own = folder(properties) if copies else current or "content"
    try:
        if copies:
            copy(properties, own, clock)
        elif releases:
            remove_release(properties, own, clock)
        elif request == "Delete":
            remove(properties["Bucket"], "", clock)
        return own, None
    except (Problem, BotoCoreError, ClientError) as error:
        problem = str(error)
    if copies and current and own != current:
        # The old release stays in force, so no Delete follows for what was copied of this one.
        try:
            remove(properties["Bucket"], f"{own}/", clock)
        except (Problem, BotoCoreError, ClientError) as error:
            problem += f" (And what was copied by then is still there: {error})"
        own = current
    return own, problem


def problems(properties):
    found = [f"{meant}; it is {properties.get(name)!r}." for name, (pattern, meant) in PROPERTIES.items()
             if not re.fullmatch(pattern, str(properties.get(name)))]
    objects = properties.get("Objects")
    if not isinstance(objects, dict) or not objects or not all(
            re.fullmatch(r"[\w-]+\.zip=([0-9a-f]{64})?", f"{name}={digest}") for name, digest in objects.items()):
        found.append("Objects has to name the zips of the release with their SHA-256, which may be empty.")
    return found


def folder(properties):
    """Where a release lies in the bucket. Its digests are part of the name: other code under the same version is another release."""
    objects = properties["Objects"]
    known = "-" + hashlib.sha256(json.dumps(objects, sort_keys=True).encode()).hexdigest()[:12] if all(objects.values()) else ""
    return f"{FOLDER}{properties['Release']}{known}"


def copy(properties, own, clock):
    published = boto3.client("s3", region_name=properties["SourceRegion"], config=CALLS)
    here = boto3.client("s3", region_name=os.environ["AWS_REGION"], config=CALLS)
    for name, digest in properties["Objects"].items():
        place = {"Bucket": properties["Bucket"], "Key": f"{own}/{name}"}
        copied = checksum_of_copy(here, place, clock)
        if digest and copied == checksum(bytes.fromhex(digest)):
            continue
        key = f"{properties['SourcePrefix']}{properties['Release']}/{name}"
        # With a known digest, a copy of other content is no fallback, whoever put it there.
        body = fetch(published, properties, key, copied is not None and not digest, clock)
        if body is None:
            continue
        found = hashlib.sha256(body).digest()
        if digest and found.hex() != digest:
            raise Problem(f"s3://{properties['SourceBucket']}/{key} is not the file of this release: its SHA-256 is {found.hex()} instead of "
                          f"{digest}. Use the template and the zips of one release, unchanged.")
        clock.call(here.put_object, **place, Body=body, ChecksumSHA256=checksum(found))


def checksum(digest):
    """A SHA-256 as S3 writes it."""
    return base64.b64encode(digest).decode()


def checksum_of_copy(here, place, clock):
    """The SHA-256 that S3 computed of our own copy: empty where S3 has none, nothing if there is no copy. An object's metadata would
    say whatever its writer claims."""
    try:
        return clock.call(here.head_object, **place, ChecksumMode="ENABLED").get("ChecksumSHA256", "")
    except ClientError as error:
        if code_of(error) in ("404", "NoSuchKey", "NotFound"):
            return None
        raise


def fetch(published, properties, key, have_it, clock):
    """The published file. Nothing if it is not to be had but a copy of ours is, as when an update is rolled back long after."""
    bucket, region = properties["SourceBucket"], properties["SourceRegion"]
    while True:
        clock.check()
        try:
            answer, body = published.get_object(Bucket=bucket, Key=key), bytearray()
            for part in answer["Body"].iter_chunks(1024 * 1024):
                clock.check()
                body += part
            return bytes(body)
        except (BotoCoreError, ClientError) as error:
            if have_it:
                return None
            if not clock.waits(error):
                raise Problem(f"s3://{bucket}/{key} in {region} cannot be read ({code_of(error)}). MPS3BucketName, MPS3BucketRegion and "
                              "MPS3KeyPrefix have to say where this release is published, and it has to be readable from this account.") from error


def remove_release(properties, physical_id, clock):
    if not str(physical_id).startswith(FOLDER):
        # The ID of a Create that was refused, or that never answered: that one may have copied something.
        if problems(properties):
            return
        physical_id = folder(properties)
    remove(properties["Bucket"], f"{physical_id}/", clock)


def remove(bucket, prefix, clock):
    """Removes all versions of what lies below. A bucket that is gone has nothing."""
    here = boto3.client("s3", region_name=os.environ["AWS_REGION"], config=CALLS)
    while True:
        try:
            page = clock.call(here.list_object_versions, Bucket=bucket, Prefix=prefix)
        except ClientError as error:
            if code_of(error) == "NoSuchBucket":
                return
            raise
        found = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in page.get("Versions", []) + page.get("DeleteMarkers", [])]
        if not found:
            return
        failed = clock.call(here.delete_objects, Bucket=bucket, Delete={"Objects": found, "Quiet": True}).get("Errors")
        if failed:
            raise Problem(f"s3://{bucket}/{failed[0]['Key']} cannot be deleted ({failed[0].get('Code')}). Empty the bucket, then try again.")


def code_of(error):
    """AWS's code; where AWS gave no answer, the kind of trouble."""
    return error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else type(error).__name__


def encode(event, physical_id, problem):
    """The answer in at most 4,096 bytes, the reason cut if need be."""
    answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"PhysicalResourceId": physical_id, "Status": "FAILED" if problem else "SUCCESS", "Reason": problem or ""}
    while len(body := json.dumps(answer).encode()) > LONGEST_ANSWER and answer["Reason"]:
        answer["Reason"] = answer["Reason"][:-50]
    return body


def deliver(url, body):
    """Puts the answer where CloudFormation reads it. What is raised holds nothing of the address, which is a secret."""
    trouble = None
    for pause in (0, 1, 2, 4):
        time.sleep(pause)
        # Without a content type, as none is in the signature of the address.
        request = urllib.request.Request(url, data=body, method="PUT", headers={"Content-Type": ""})
        try:
            with urllib.request.urlopen(request, timeout=5):
                return
        except urllib.error.HTTPError as error:
            trouble = f"HTTP {error.code}"
            if error.code < 500:
                break
        except OSError as error:
            trouble = type(error).__name__
    raise RuntimeError(f"CloudFormation could not be answered: {trouble}")
