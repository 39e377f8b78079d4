"""The local AWS: an emulator with IAM enforced, a strict stand-in for Amazon Connect, and the commands that deploy the real
template into them. Nothing here reaches a real AWS account."""
