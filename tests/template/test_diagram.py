"""Owns that the architecture diagram is drawn from its text, in AWS Marketplace's size, and shows each service that the stack uses."""

from __future__ import annotations

import itertools
import re
import sys
import xml.etree.ElementTree as xml

import cfn
import pytest

sys.path.insert(0, str(cfn.TEMPLATE.parent))

from package import diagram
from package import template as marketplace

SOURCE = diagram.SOURCE.read_text(encoding="utf-8")
SVG = "{http://www.w3.org/2000/svg}"
# What a resource type's service is called in the diagram.
SERVICES = {
    "CloudFormation": "AWS CloudFormation", "CloudWatch": "CloudWatch", "DynamoDB": "Amazon DynamoDB", "EC2": "Amazon EC2",
    "Events": "EventBridge", "IAM": "AWS IAM", "Kinesis": "Kinesis Data Streams", "KinesisFirehose": "Amazon Data Firehose", "Lambda": "AWS Lambda", "Logs": "CloudWatch",
    "OpenSearchService": "OpenSearch Service", "S3": "Amazon S3", "SNS": "Amazon SNS", "SQS": "Amazon SQS", "SSM": "Systems Manager",
    "StepFunctions": "AWS Step Functions",
}


def boxes(source=SOURCE):
    """Name, place and texts of what is drawn as a box."""
    found = {}
    for line in source.splitlines():
        if line.startswith("box "):
            words, *texts = line.split("|")
            name, *numbers = words.split()[1:]
            found[name] = (*map(int, numbers), [text.strip() for text in texts])
    return found


def test_the_diagram_in_the_repository_is_drawn_from_its_text():
    assert diagram.TARGET.read_text(encoding="utf-8") == diagram.draw(SOURCE), "run PYTHONPATH=infra:tests python -m package generate"


def test_it_has_the_size_that_aws_marketplace_asks_for():
    root = xml.fromstring(diagram.TARGET.read_text(encoding="utf-8"))
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("1100", "700", "0 0 1100 700")


def test_each_service_that_the_stack_uses_is_in_it():
    converted = marketplace.convert(marketplace.source(), marketplace.Release("1.0.0"))
    used = {resource["Type"].split("::")[1] for resource in converted["Resources"].values() if resource["Type"].startswith("AWS::")}
    drawn = {texts[0] for *_, texts in boxes().values()}
    assert {name: SERVICES.get(name) for name in used if SERVICES.get(name) not in drawn} == {}
    assert {"Amazon Connect", "AWS CloudFormation"} <= drawn


def test_each_box_of_an_aws_service_names_its_icon():
    assert {name for name, (*_, texts) in boxes().items() if len(texts) < 3} == {"hosted", "admins", "mail"}


def test_no_two_boxes_lie_on_each_other():
    for (one, (x, y, width, height, _)), (other, (x2, y2, width2, height2, _)) in itertools.combinations(boxes().items(), 2):
        assert x + width <= x2 or x2 + width2 <= x or y + height <= y2 or y2 + height2 <= y, f"{one} and {other}"


def test_words_fit_into_their_boxes():
    # Six pixels a letter is wide for this size.
    for name, (_, _, width, height, texts) in boxes().items():
        lines = [texts[0], *(texts[1].split("/") if len(texts) > 1 else [])]
        assert max(map(len, lines)) * 6 <= width - 8, name
        assert len(lines) * 15 <= height, name


@pytest.mark.parametrize(("line", "problem"), [
    ("box a 0 0 1101 10 | x", "line 1: outside 1100 by 700"),
    ("box a 0 0 10 | x", "line 1: "),
    ("box a 0 0 10 10 | x\nbox a 20 20 10 10 | x", "line 2: a is drawn twice"),
    ("arrow a b", "arrows to nothing: a, b"),
    ("circle a 1 1", "line 1: circle is not known"),
])
def test_what_cannot_be_drawn_is_told_with_its_line(line, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        diagram.draw(line)


def test_words_are_not_taken_for_markup():
    assert xml.fromstring(diagram.draw("box a 0 0 90 30 | a < b & c")).findall(f".//{SVG}text")[0].text == "a < b & c"


def test_with_the_icons_of_aws_each_service_has_its_own(tmp_path):
    names = {texts[2] for *_, texts in boxes().values() if len(texts) > 2}
    for name in names:
        folder = tmp_path / "Arch_Some-Category" / "48"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"Arch_{name}_48.svg").write_text("<svg/>", encoding="utf-8")
    drawn = xml.fromstring(diagram.draw(SOURCE, tmp_path))
    assert len(drawn.findall(f".//{SVG}image")) == sum(len(texts) > 2 for *_, texts in boxes().values())
    (tmp_path / "Arch_Some-Category" / "48" / "Arch_AWS-Lambda_48.svg").unlink()
    with pytest.raises(ValueError, match="has no Arch_AWS-Lambda_48"):
        diagram.draw(SOURCE, tmp_path)
