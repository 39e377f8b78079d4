"""Owns the errors of the stand-in: code, HTTP status, message."""

from __future__ import annotations

_STATUS = {
    "AccessDeniedException": 403,
    "DuplicateResourceException": 409,
    "InternalServiceException": 500,
    "InvalidParameterException": 400,
    "InvalidRequestException": 400,
    "ResourceConflictException": 409,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 402,
    "ThrottlingException": 429,
    "UnknownOperationException": 404,
}


class ApiError(Exception):
    """An error answer; codes outside the table are authentication failures."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = _STATUS.get(code, 403)
