"""What AWS does and the emulator does not: one small function per gap, installed before the emulator serves.

Each says what AWS does and what the emulator does instead, and has a test in `tests/standin/test_bridges.py`."""

from ..calllog import CallLog
from . import access, cloudformation, search


def install(log: CallLog) -> None:
    access.log_decisions(log)
    access.authorize_cbor_calls()
    access.name_the_search_domain()
    access.name_the_stream_of_an_iterator()
    access.offer_leading_keys()
    access.limit_session_duration()
    cloudformation.refuse_taken_names()
    cloudformation.keep_permissions_boundaries()
    cloudformation.encrypt_streams_of_templates()
    cloudformation.delete_after_failed_create()
    cloudformation.check_custom_resource_answers()
    search.list_instance_types()
    search.follow_upgrade_paths()
