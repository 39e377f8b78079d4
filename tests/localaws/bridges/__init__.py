"""What AWS does and the emulator does not: one small function per gap, installed before the emulator serves.

Each says what AWS does and what the emulator does instead, and has a test in `tests/standin`, which fails without it."""

from pathlib import Path

from ..calllog import CallLog
from ..search.gate import Gate
from . import (
    access,
    addresses,
    cloudformation,
    delivery,
    functions,
    images,
    machines,
    mail,
    maps,
    metrics,
    networks,
    profiles,
    search,
    servers,
)


def install(log: CallLog, mailbox: Path, gate: Gate) -> None:
    access.log_decisions(log)
    access.authorize_cbor_calls()
    access.offer_what_is_published()
    access.come_over_tls()
    access.name_the_search_domain()
    access.name_the_stream_of_an_iterator()
    access.name_the_topic_of_a_subscription()
    access.name_roles_with_their_paths()
    access.offer_leading_keys()
    access.offer_the_boundary()
    access.limit_session_duration()
    cloudformation.refuse_taken_names()
    cloudformation.compare_in_conditions_as_cloudformation_does()
    cloudformation.keep_permissions_boundaries()
    cloudformation.encrypt_streams_of_templates()
    cloudformation.delete_after_failed_create()
    cloudformation.show_custom_resources_in_progress()
    cloudformation.check_custom_resource_answers()
    search.give_domains_their_endpoints(gate)
    search.ask_the_policies_of_domains()
    search.list_instance_types()
    search.follow_upgrade_paths()
    search.change_one_thing_at_a_time(gate)
    search.describe_domains_as_the_service_does()
    metrics.take_metrics_from_logs()
    metrics.read_newest_first()
    metrics.watch_one_metric_per_alarm()
    functions.invoke_targets_as_lambda_does()
    functions.carry_failures_as_lambda_does()
    delivery.describe_search_destinations()
    delivery.keep_to_the_source()
    machines.call_with_the_rights_of_the_role()
    machines.fail_on_missing_paths()
    machines.limit_payloads()
    maps.run_as_step_functions_does()
    mail.deliver_mail(mailbox)
    mail.list_subscriptions_as_sns_does()
    servers.launch_as_ec2_does()
    servers.describe_instances_as_ec2_does()
    servers.change_states_as_ec2_does()
    servers.provision_instances()
    addresses.count_addresses_as_ec2_does()
    addresses.associate_addresses_as_ec2_does()
    addresses.provision_addresses()
    profiles.name_profiles_of_templates()
    profiles.associate_profiles_as_ec2_does()
    profiles.authorize_ec2_calls()
    networks.route_the_default_vpc()
    networks.list_offerings()
    networks.keep_groups_in_use()
    networks.refuse_unknown_filters()
    images.publish_windows_images()
