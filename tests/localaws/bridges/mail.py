"""Owns the bridges of SNS: email has to be confirmed first, subscriptions are listed as AWS lists them, and mail arrives in a
file, one JSON object a line, in place of a mailbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from .hooks import Hook, replace

_EMAIL = ("email", "email-json")


def deliver_mail(mailbox: Path) -> None:
    """SNS mails a confirmation link first, and notifications to whoever followed it; the emulator takes every address for
    confirmed and mails nothing. A line is {"to", "topicArn", "token"} or {"to", "topicArn", "subject", "body"}."""
    from ministack.core.responses import new_uuid
    from ministack.services import sns
    from ministack.services.cloudformation import provisioners

    def post(**mail: str) -> None:
        with mailbox.open("a", encoding="utf-8") as file:
            file.write(json.dumps(mail) + "\n")

    def ask_to_confirm(topic_arn: str) -> None:
        for subscription in (sns._topics.get(topic_arn) or {}).get("subscriptions", []):
            if subscription["protocol"] in _EMAIL and "asked" not in subscription:
                subscription.update(asked=True, confirmed=False, token=new_uuid())
                post(to=subscription["endpoint"], topicArn=topic_arn, token=subscription["token"])

    def wrap_subscribe(subscribe: Hook) -> Hook:
        def pending(params: dict) -> Any:
            status, headers, body = subscribe(params)
            topic_arn = sns._p(params, "TopicArn")
            ask_to_confirm(topic_arn)
            return status, headers, _as_listed(body, topic_arn, "pending confirmation")
        return pending

    def wrap_create(create: Hook) -> Hook:
        def pending(logical_id: str, props: dict, stack_name: str) -> Any:
            answer = create(logical_id, props, stack_name)
            ask_to_confirm(props.get("TopicArn", ""))
            return answer
        return pending

    def wrap_fanout(fan_out: Hook) -> Hook:
        def and_mail(topic_arn: str, msg_id: str, message: str, subject: str, message_structure: str = "",
                     message_attributes: dict | None = None, *rest: Any, **named: Any) -> Any:
            answer = fan_out(topic_arn, msg_id, message, subject, message_structure, message_attributes, *rest, **named)
            for subscription in (sns._topic_by_arn_any_scope(topic_arn) or {}).get("subscriptions", []):
                if subscription["protocol"] not in _EMAIL or not subscription.get("confirmed"):
                    continue
                body = sns._resolve_message_for_protocol(message, message_structure, subscription["protocol"])
                if sns._matches_filter_policy(subscription, message_attributes or {}, body):
                    post(to=subscription["endpoint"], topicArn=topic_arn, subject=subject, body=body)
            return answer
        return and_mail

    replace("services.sns", "_subscribe", wrap_subscribe)
    replace("services.sns", "_fanout", wrap_fanout)
    replace("services.cloudformation.provisioners", "_sns_sub_create", wrap_create)
    provisioners._RESOURCE_HANDLERS["AWS::SNS::Subscription"]["create"] = provisioners._sns_sub_create


def list_subscriptions_as_sns_does() -> None:
    """SNS lists a subscription that nobody confirmed as PendingConfirmation, and shows a filter only where one is; the emulator
    lists its ARN, and shows little of what a template made."""
    from ministack.services import sns

    def wrap_list(listed: Hook) -> Hook:
        def with_pending(params: dict) -> Any:
            status, headers, body = listed(params)
            for topic_arn in list(sns._topics):
                body = _as_listed(body, topic_arn, "PendingConfirmation")
            return status, headers, body
        return with_pending

    def wrap_attributes(attributes: Hook) -> Hook:
        def complete(params: dict) -> Any:
            arn = sns._p(params, "SubscriptionArn")
            found = sns._find_subscription(sns._sub_arn_to_topic.get(arn, ""), arn)
            if not found:
                return attributes(params)
            entries = "".join(f"<entry><key>{name}</key><value>{escape(value)}</value></entry>"
                              for name, value in _attributes(found).items())
            return sns._xml(200, "GetSubscriptionAttributesResponse",
                            f"<GetSubscriptionAttributesResult><Attributes>{entries}</Attributes></GetSubscriptionAttributesResult>")
        return complete

    replace("services.sns", "_list_subscriptions", wrap_list)
    replace("services.sns", "_list_subscriptions_by_topic", wrap_list)
    replace("services.sns", "_get_subscription_attributes", wrap_attributes)


def _as_listed(body: bytes, topic_arn: str, word: str) -> bytes:
    """The answer with that word in place of the ARNs of what is not confirmed."""
    from ministack.services import sns

    for subscription in (sns._topics.get(topic_arn) or {}).get("subscriptions", []):
        if not subscription.get("confirmed"):
            body = body.replace(subscription["arn"].encode(), word.encode())
    return body


def _attributes(subscription: dict[str, Any]) -> dict[str, str]:
    filtered = subscription["attributes"].get("FilterPolicy")
    kept = {name: value for name, value in subscription["attributes"].items()
            if value and name not in ("FilterPolicyScope", "PendingConfirmation")}
    return {
        **kept,
        "SubscriptionArn": subscription["arn"],
        "TopicArn": subscription["topic_arn"],
        "Protocol": subscription["protocol"],
        "Endpoint": subscription["endpoint"],
        "Owner": subscription["owner"],
        "PendingConfirmation": "false" if subscription.get("confirmed") else "true",
        **({"FilterPolicyScope": subscription["attributes"].get("FilterPolicyScope") or "MessageAttributes"} if filtered else {}),
    }
