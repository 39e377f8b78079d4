"""Owns that docs/costs.md adds up: each amount follows from the examples and the prices that stand in it, and agrees with the README and docs/watching.md."""

from __future__ import annotations

import math
import re

import cfn
import documents
import pytest

TEXT = documents.text("docs/costs.md")
SIZES = ("small", "medium", "large")


def _section(heading):
    return documents.rows(documents.text("docs/costs.md", f"## {heading}"), marks="*`")


def _number(cell):
    return float(cell.replace(",", ""))


PRICES = {row[0]: _number(row[1]) for row in _section("Prices used")}
EXAMPLES = {row[0]: dict(zip(SIZES, row[1:], strict=True)) for row in _section("Three examples") if row[0] not in ("", "service, USD a month")}


def _cents(amount):
    return math.ceil(round(amount * 100, 6)) / 100


@pytest.mark.parametrize("size", SIZES)
def test_each_amount_follows_from_the_example_and_the_prices(size, template):
    given = {name: cells[size] for name, cells in EXAMPLES.items()}
    instances, shards, minutes = (_number(given[name]) for name in ("DomainInstanceCount", "AgentEventShards", "HealthCheckMinutes"))
    events = _number(given["agent events a month (60 an hour, 176 hours)"])
    assert events == _number(given["agents"]) * 60 * 176
    records = _number(given["contact records a month, of up to 5 KB"])
    alarms = sum(resource["Type"] == "AWS::CloudWatch::Alarm" for resource in template["Resources"].values())
    metrics = int(re.search(r"\| (\d+) metrics × 8,640 checks", documents.text("docs/watching.md", "## What watching costs"))[1]) + (instances > 1)
    a_check = (metrics * PRICES["CloudWatch metrics read, thousand"] / 1000 + 2 * PRICES["S3 listings, thousand"] / 1000
               + 1.2 * 0.25 * PRICES["Lambda x86_64, GB and second"] + 2 * PRICES["Lambda calls, million"] / 1e6
               + 6e-6 * PRICES["CloudWatch Logs, GB"] + PRICES["EventBridge events, million"] / 1e6 + 0.40e-6 + 0.50e-6 + 0.25e-6)
    wanted = {
        "OpenSearch Service: instances": 730 * PRICES[f"{given['DomainInstanceType']}, hour"] * instances,
        "OpenSearch Service: storage": instances * _number(given["DomainVolumeGiB"]) * PRICES["gp3 of OpenSearch Service, GB and month"],
        "Kinesis: shards": 730 * shards * PRICES["Kinesis shard, hour"],
        "Kinesis: events kept beyond 24 hours": (
            730 * shards * PRICES["Kinesis retention of 25 to 168 hours, shard and hour"] if given["AgentEventRetentionHours"] != "24" else 0),
        "Kinesis: events written": events / 1e6 * PRICES["Kinesis events, million units of up to 25 KB"],
        "Firehose": records * 5 / 1024**2 * PRICES["Firehose, GB in steps of 5 KB"],
        "watching: CloudWatch, Lambda, EventBridge, S3, SQS, SNS, DynamoDB": (
            43_200 / minutes * a_check + 2 * PRICES["CloudWatch metric written, month"] + alarms * PRICES["CloudWatch alarm, month"]),
    }
    assert {name: given[name] for name in wanted} == {name: f"{_cents(amount):.2f}" for name, amount in wanted.items()}
    lines = [_number(given[name]) for name in [*wanted, "DynamoDB, S3, SNS, Systems Manager, Step Functions, logs: hardly used"]]
    assert given["together"] == f"{sum(lines):.2f}"


def test_each_example_can_be_deployed(template):
    for size in SIZES:
        given = {name: cells[size] for name, cells in EXAMPLES.items() if name in template["Parameters"]}
        assert len(given) == 6
        assert cfn.broken_rules(template, cfn.parameters(template, given)) == []


def test_the_small_example_is_what_the_defaults_cost_as_in_the_readme(template):
    small = {name: cells["small"] for name, cells in EXAMPLES.items() if name in template["Parameters"]}
    assert small == {name: str(template["Parameters"][name]["Default"]) for name in small}
    assert f"**about {round(_number(EXAMPLES['together']['small']))}**" in documents.text("README.md", "## What it costs")


def test_what_comes_on_top_follows_from_the_prices():
    rows = {row[0]: row[1] for row in _section("What changes them")}
    assert rows["eMite's server in your own account: r5.large with Windows"] == f"{730 * PRICES['r5.large with Windows, hour']:.2f}"
    assert rows["its volume of 100 GiB gp3"] == f"{100 * PRICES['gp3 of EC2, GB and month']:.2f}"
    # AWS charges the instance price again for Elasticsearch 6.3.
    assert rows["Elasticsearch 6.3 instead of 6.8, for each m5.large.search: AWS's extended support"] == f"{730 * PRICES['m5.large.search, hour']:.2f}"
    assert rows["its public IPv4 address"] == f"{730 * PRICES['public IPv4 address, hour']:.2f}"


def test_it_says_of_when_and_where_it_is_and_that_it_has_to_be_checked():
    head = TEXT.split("\n## ")[0]
    for words in ("US East (N. Virginia)", "2026", "second-hand", "check them", "calculator.aws"):
        assert words in head
