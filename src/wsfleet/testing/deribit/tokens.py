"""
Logging in: credentials or a refresh token for an access token that expires.

See https://docs.deribit.com/articles/authentication
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .rpc import RpcError, invalid_params, unauthorized

if TYPE_CHECKING:
    from .rpc import Params

_SIGNATURE_SECONDS: Final = 60.0


@dataclass(eq=False, repr=False, slots=True)
class Token:
    """What a login gives."""

    access: str
    refresh: str
    scope: str
    expires: float
    owner: object | None  # the connection with which it ends; None for a named session

    @property
    def is_fresh(self) -> bool:
        """Whether it has not expired."""
        return time.monotonic() < self.expires


@dataclass(slots=True)
class Tokens:
    """Every token of the account, and who may get one."""

    client_id: str
    client_secret: str
    lifetime: float
    logins: int = 0
    refreshes: int = 0
    _by_access: dict[str, Token] = field(default_factory=dict)
    _by_refresh: dict[str, Token] = field(default_factory=dict)

    def log_in(self, params: Params, owner: object) -> Token:
        """
        Answer `public/auth`.

        Raises:
            RpcError: the credentials are wrong, or the refresh token was used or never given.
        """
        match params.text("grant_type"):
            case "client_credentials":
                self._check_secret(params)
            case "client_signature":
                self._check_signature(params)
            case "refresh_token":
                return self._refresh(params.text("refresh_token"), owner)
            case _:
                raise invalid_params("grant_type", "unknown grant type")
        self.logins += 1
        return self._issue(params.text("scope", ""), owner)

    def find(self, access: str) -> Token | None:
        """Return the token of this text."""
        return self._by_access.get(access)

    def forget(self, owner: object) -> None:
        """Make the tokens of a connection worthless: it is gone."""
        for tokens in (self._by_access, self._by_refresh):
            for text in [text for text, token in tokens.items() if token.owner is owner]:
                del tokens[text]

    def expire_all(self) -> None:
        """Make every access token worthless."""
        for token in self._by_access.values():
            token.expires = 0.0

    def _check_secret(self, params: Params) -> None:
        given = (params.text("client_id"), params.text("client_secret"))
        if given != (self.client_id, self.client_secret):
            raise _invalid_credentials()

    def _check_signature(self, params: Params) -> None:
        stamp = int(params.number("timestamp"))
        text = f"{stamp}\n{params.text('nonce', '')}\n{params.text('data', '')}"
        right = hmac.digest(self.client_secret.encode(), text.encode(), hashlib.sha256).hex()
        late = abs(time.time() - stamp / 1000) > _SIGNATURE_SECONDS
        signed = hmac.compare_digest(right, params.text("signature"))
        if late or not signed or params.text("client_id") != self.client_id:
            raise _invalid_credentials()

    def _refresh(self, refresh: str, owner: object) -> Token:
        used = self._by_refresh.pop(refresh, None)
        if used is None:
            raise unauthorized()
        self.refreshes += 1
        return self._issue(used.scope, owner)

    def _issue(self, scope: str, owner: object) -> Token:
        named = any(part.startswith("session:") for part in scope.split())
        texts = (secrets.token_urlsafe(24), secrets.token_urlsafe(24))
        expires = time.monotonic() + self.lifetime
        token = Token(*texts, _granted(scope), expires, None if named else owner)
        self._by_access[token.access] = self._by_refresh[token.refresh] = token
        return token

    def result(self, token: Token, params: Params) -> dict[str, Any]:
        """Return what the client is told."""
        lifetime = self.lifetime
        result: dict[str, Any] = {
            "access_token": token.access,
            "refresh_token": token.refresh,
            "expires_in": int(lifetime) if lifetime == int(lifetime) else lifetime,
            "scope": token.scope,
            "token_type": "bearer",
            "enabled_features": [],
        }
        return result | ({"state": params.text("state")} if "state" in params else {})


def _granted(scope: str) -> str:
    """Return the scope that the venue gives when this one is asked for."""
    asked = [part for part in scope.split() if part not in {"connection", "mainaccount"}]
    named = any(part.startswith("session:") for part in asked)
    return " ".join([*([] if named else ["connection"]), *asked, "mainaccount"])


def _invalid_credentials() -> RpcError:
    return RpcError(13004, "invalid_credentials")
