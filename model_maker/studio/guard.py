"""Guard: who may ask the studio for anything, and what every answer carries.

The page is for one person in one browser on this machine. Other pages in that browser, other users of the machine and
names that resolve to it are refused: they know no token, or state another origin or host.
"""

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

HOSTS = ("127.0.0.1", "localhost")
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
# Isolation, which threads of the runtime need, and a policy that admits this page alone.
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}


class Guard:
    """Lets requests through that come from the page of this studio; their paths lose the token, their first part."""

    def __init__(self, application: Application, token: str):
        self._application, self._token = application, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # a websocket is closed so; there are none

        async def send_guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        if refusal := self._refusal(scope):
            status, reason = refusal
            # What is left of a body is read by nobody, so the connection ends.
            answer = JSONResponse({"error": reason}, status, {"Connection": "close"})
            await answer(scope, receive, send_guarded)
            return
        path = scope["path"].removeprefix(f"/{self._token}")
        await self._application({**scope, "path": path, "raw_path": path.encode()}, receive, send_guarded)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Returns a status and why a request is refused; None where it is not."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        # The port may be another one, as it is through a tunnel; origin and host then have the same.
        if host.split(":")[0] not in HOSTS:
            return 421, "This studio answers on 127.0.0.1 only."
        if origin is not None and origin != f"http://{host}":
            return 403, "Another page asks: refused."
        if origin is None and scope["method"] not in ("GET", "HEAD"):
            return 403, "A change needs to say where it comes from: refused."
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, "Another page asks: refused."
        first = scope["path"].split("/")[1] if scope["path"].startswith("/") else ""
        if not secrets.compare_digest(first.encode(), self._token.encode()) or scope["path"] == f"/{first}":
            return 403, "Open the whole address that `model_maker studio` printed; it holds a token."
        return None
