"""Owns every sample value of the local run: the account, the instance, the stack's required parameters. All synthetic."""

from __future__ import annotations

ACCOUNT_ID = "111122223333"
REGION = "ap-southeast-2"
STACK_NAME = "emite-connect"
INSTANCE_ID = "1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9"
INSTANCE_ALIAS = "acme-support"

# The other side of the trust: eMite's account, and the id that it sends to the customer.
EMITE_ACCOUNT_ID = "444455556666"
EXTERNAL_ID = "acme-support-7421"


def instance_arn(account_id: str, instance_id: str = INSTANCE_ID, region: str = REGION) -> str:
    return f"arn:aws:connect:{region}:{account_id}:instance/{instance_id}"


def parameters(instance: str) -> dict[str, str]:
    """Values for parameters that have no default, and the few whose default would make a local run slow."""
    return {
        "ConnectInstanceArn": instance,
        "EmiteAccountId": EMITE_ACCOUNT_ID,
        "CustomerId": EXTERNAL_ID,
        "EmiteServerCidrs": "203.0.113.10/32",
        "EmiteUrl": "https://emite.example.com",
        "TimeZone": "Australia/Sydney",
        "DrainSeconds": "0",
    }
