"""A strict stand-in for Amazon Connect's storage configs and approved origins; no emulator has them.

Shapes, limits and error codes are botocore's model of Connect (`model`); what the model does not say is in `operations`, and
faults, stale reads and the like are set over `/_standin/` (`control`)."""
