"""Owns that docs/guide.md covers the manual guide: a row for each of its steps, and each row true of the template.

The steps are listed here, in words of ours, with the value that the guide gives; `proofs` looks up what a row claims."""

from __future__ import annotations

import re

import documents
import proofs
import pytest

# Each step of the guide, in its order, with what it says to enter or choose, where it says so.
GUIDE = {
    "Overview": {
        "same region": "",
        "same account": "",
        "parts: policy and role": "",
        "parts: role on the server": "",
        "parts: role assumed": "STS",
        "parts: stream": "",
        "parts: Firehose": "",
        "parts: search domain": "",
    },
    "eMite server in your account": {
        "server: only if self-hosted": "",
        "server: image": "Windows Server 2016 Base",
        "server: size": "r5.large",
        "server: larger size": "",
        "server: subnet": "public",
        "server: no automatic address": "disable",
        "server: storage": "100 GB",
        "server: remote desktop, your office": "RDP",
        "server: remote desktop, eMite office 1": "60.241.25.74/32",
        "server: remote desktop, eMite office 2": "54.79.101.24/32",
        "server: remote desktop, eMite office 3": "13.238.169.116/32",
        "server: other remote access": "VPN",
        "server: web access": "0.0.0.0/0",
        "server: Elastic IP": "Elastic IP",
        "server: external IP": "eMite server external IP",
        "server: SQL Server": "SQL Server 2017",
        "server: IIS": "IIS",
        "server: administrator for eMite": "local administrator",
        "server: silent installation": "support@prophecyinternational.com",
    },
    "Search domain": {
        "domain: region": "",
        "domain: create": "Create New Domain",
        "domain: deployment type": "Custom",
        "domain: version": "6.3",
        "domain: name": "emite-kinesis-connect",
        "domain: own name": "",
        "domain: availability zones": "1-AZ",
        "domain: instance type": "m5.large",
        "domain: instances": "1",
        "domain: master instances": "disabled",
        "domain: storage type": "EBS",
        "domain: volume type": "SSD",
        "domain: storage size": "50 GB",
        "domain: other options": "",
        "domain: network": "Public access",
        "domain: access": "specific IPs",
        "domain: eMite's address": "external IP",
        "domain: where the address is from": "Marketplace",
        "domain: policy": "",
        "domain: launch": "",
    },
    "Agent event stream": {
        "stream: region": "",
        "stream: create": "",
        "stream: name": "connect-agentevents",
        "stream: shards": "1",
        "stream: there": "",
    },
    "Delivery stream for contact records": {
        "firehose: region": "",
        "firehose: name": "emite-ctrfirehose",
        "firehose: source": "Direct PUT",
        "firehose: transformation": "disabled",
        "firehose: format": "disabled",
        "firehose: destination": "Elasticsearch",
        "firehose: domain": "emite-kinesis-connect",
        "firehose: index": "emite-contacts",
        "firehose: rotation": "month",
        "firehose: type": "contacts",
        "firehose: backup mode": "failed records only",
        "firehose: bucket": "syd-cloudbackup",
        "firehose: buffer": "default",
        "firehose: compression and encryption": "default",
        "firehose: error log": "enabled",
        "firehose: tags": "optional",
        "firehose: role": "",
        "firehose: role name": "emite-ctrfirehose-role",
        "firehose: role rights": "Allow",
        "firehose: create": "",
    },
    "IAM policy": {
        "policy: GetShardIterator": "kinesis:GetShardIterator",
        "policy: GetRecords": "kinesis:GetRecords",
        "policy: DescribeStream": "kinesis:DescribeStream",
        "policy: ListTagsForStream": "kinesis:ListTagsForStream",
        "policy: the stream": "",
        "policy: DescribeLimits": "kinesis:DescribeLimits",
        "policy: connect:Get*": "connect:Get*",
        "policy: connect:Describe*": "connect:Describe*",
        "policy: connect:List*": "connect:List*",
        "policy: the instance": "/*",
        "policy: DescribeDirectories": "ds:DescribeDirectories",
        "policy: no federation tokens": "connect:GetFederationTokens",
        "policy: name": "emite-role-policy",
    },
    "IAM role": {
        "role: trusted service": "EC2",
        "role: policy": "emite-role-policy",
        "role: tags": "",
        "role: name": "emite-role",
        "role: description": "Role for eMite EC2 server",
        "role: session length": "12 hours",
        "role: on the server": "emite-role",
    },
    "Trust where eMite hosts the server": {
        "trust: principal": "arn:aws:iam::EmiteAccountID:root",
        "trust: action": "sts:AssumeRole",
        "trust: external ID": "sts:ExternalId",
        "trust: eMite's account": "EmiteAccountID",
        "trust: customer ID": "CustomerID",
    },
    "Data streaming of Amazon Connect": {
        "streaming: enable": "Enable data streaming",
        "streaming: contact records": "connect-ctrfirehose",
        "streaming: agent events": "connect-agentevents",
    },
    "Approved origin, for Amazon Connect chat": {
        "origin: optional": "",
        "origin: add": "Add origin",
        "origin: self-hosted": "https://emite.yourcompanydomain.com",
        "origin: eMite-hosted": "",
    },
    "What to send to the eMite team": {
        "send: server address": "external IP",
        "send: RDP credentials": "RDP credentials",
        "send: role ARN": "emite-role",
        "send: instance ARN": "",
        "send: stream ARN": "",
        "send: endpoint": "",
        "send: time zone": "IANA",
    },
}

# Where the stack does something else than the guide says. Each has to give its reason.
DIFFERS = {
    "server: image",
    "server: storage",
    "server: remote desktop, your office",
    "server: administrator for eMite",
    "domain: version",
    "domain: volume type",
    "domain: other options",
    "domain: access",
    "domain: policy",
    "firehose: bucket",
    "firehose: compression and encryption",
    "firehose: role rights",
    "policy: DescribeStream",
    "policy: connect:Get*",
    "policy: connect:Describe*",
    "policy: connect:List*",
    "policy: the instance",
    "policy: DescribeDirectories",
    "policy: no federation tokens",
    "policy: name",
    "role: trusted service",
    "role: policy",
    "role: description",
    "streaming: contact records",
    "send: RDP credentials",
}

# Beside the health checks.
WATCHERS = {"Preflight", "CloudFormation", "a person"}


def _sections():
    """{heading: its rows}, of the headings that have rows."""
    parts = re.split(r"^##+ (.+)$", documents.text("docs/guide.md"), flags=re.MULTILINE)[1:]
    found = {heading: documents.rows(body) for heading, body in zip(parts[::2], parts[1::2], strict=True)}
    return {heading: section for heading, section in found.items() if section}


def _rows():
    return {row[0]: row for section in _sections().values() for row in section}


def test_each_step_of_the_guide_has_a_row_and_no_row_is_of_another():
    assert {heading: [row[0] for row in section] for heading, section in _sections().items()} == {
        heading: list(steps) for heading, steps in GUIDE.items()
    }


def test_each_row_says_what_the_guide_says():
    found = _rows()
    wrong = [step for steps in GUIDE.values() for step, value in steps.items() if value.lower() not in found[step][1].lower()]
    assert wrong == []


def test_a_row_that_differs_says_so_and_why():
    assert {step for step, row in _rows().items() if "*Differs*:" in row[2]} == DIFFERS
    assert [step for step in DIFFERS if len(_rows()[step][2].split("*Differs*:")[1]) < 40] == []


def test_each_row_names_who_watches_it():
    checks = set(documents.checks())
    for step, row in _rows().items():
        watchers = {watcher.strip("` ") for watcher in row[3].split(",")}
        assert watchers <= checks | WATCHERS, f"{step}: {watchers}"


def test_each_row_has_a_proof():
    assert [param.id for param in proofs.of(list(_rows().values())) if not proofs.FORM.fullmatch(param.values[0])] == []


@pytest.mark.parametrize("proof", proofs.of(list(_rows().values())))
def test_a_row_is_true_of_the_template(template, proof):
    proofs.check(template, proof)
