"""Owns LAUNCH.md of the bundle, and the link in it that opens the CloudFormation console with everything filled in."""

from __future__ import annotations

from pathlib import Path
from string import Template
from urllib.parse import quote

from . import template

_TEXT = Path(__file__).with_name("LAUNCH.md")
# In the place of what is not known when the bundle is made.
_UNKNOWN = {"MPS3BucketName": "YOUR-BUCKET", "MPS3BucketRegion": "REGION-OF-THE-BUCKET", "MPS3KeyPrefix": "emite-connect/"}
STACK_REGION = "REGION-OF-THE-INSTANCE"


def text(release: template.Release) -> str:
    place = {**_UNKNOWN, **release.published}
    bucket, region, prefix = (place[name] for name in template.PARAMETERS)
    defaults = ("The defaults of the `MPS3` parameters in `marketplace.yaml` say so." if release.published else
                "The `MPS3` parameters in `marketplace.yaml` have no defaults. For a listing on AWS Marketplace, which asks for them, make the "
                "bundle with `make package BUCKET=… BUCKET_REGION=… KEY_PREFIX=…/`.")
    return Template(_TEXT.read_text(encoding="utf-8")).substitute(
        version=release.version, architecture=release.architecture, other="arm64" if release.architecture == "x86_64" else "x86_64",
        place=f"s3://{bucket}/{prefix}{release.version}", bucket=bucket, region=region, prefix=prefix, defaults=defaults,
        stack_region=STACK_REGION, url=url(place, release.version), link=link(place, release.version))


def url(place: dict[str, str], version: str) -> str:
    bucket, region, prefix = (place[name] for name in template.PARAMETERS)
    return f"https://{bucket}.s3.{region}.amazonaws.com/{prefix}{version}/marketplace.yaml"


def link(place: dict[str, str], version: str) -> str:
    """CloudFormation user guide, "Create quick-create links for stacks"."""
    parameters = "".join(f"&param_{name}={quote(place[name], safe='')}" for name in template.PARAMETERS)
    return (f"https://{STACK_REGION}.console.aws.amazon.com/cloudformation/home?region={STACK_REGION}#/stacks/create/review"
            f"?templateURL={quote(url(place, version), safe='')}&stackName=emite-connect{parameters}")
