"""Routes: requests of the page to calls of the studio, and back."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import mimetypes
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path, PurePosixPath

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from model_maker.data import thumbnails
from model_maker.data.web import MAX_BYTES
from model_maker.errors import DataError, ModelMakerError
from model_maker.studio import shipping, uploads
from model_maker.studio.guard import Guard
from model_maker.studio.page_files import addresses
from model_maker.studio.studio import Studio
from model_maker.studio.workspace import shown

# Of a request that asks for something in JSON.
_MOST_REQUEST_BYTES = 4 << 20
# Uploads that are written at a time; more wait.
_UPLOADS = 8
_DRAIN_S = 3
_PULSE_S = 0.1
# Looks between two at the folders, which others may change, too.
_LOOKS = 5
_THUMBNAIL_PIXELS = 240
_MOST_THUMBNAILS = 2000
# Looks for a photo that is being moved.
_TRIES = 3
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}
Endpoint = Callable[[Request], Awaitable[Response]]


def application(studio: Studio, token: str) -> Guard:
    """Returns what answers the page of a studio, and nobody else."""
    return Guard(Starlette(routes=_Routes(studio).routes()), token)


def _explained(endpoint: Callable[..., Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
    """Answers with the message where something cannot be done."""

    @functools.wraps(endpoint)
    async def answer(self: _Routes, request: Request) -> Response:
        try:
            return await endpoint(self, request)
        except ModelMakerError as error:
            await _drain(request)
            return JSONResponse({"error": shown(error)}, 400, {"Connection": "close"})
        except ClientDisconnect:
            return Response(status_code=400)

    return answer


async def _drain(request: Request) -> None:
    """Reads what is left of a body, for browsers read an answer only then; it is not waited for one without an end."""
    size = 0
    with contextlib.suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(_DRAIN_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size > MAX_BYTES:
                    return


class _Routes:
    def __init__(self, studio: Studio):
        self._studio = studio
        self._uploads = asyncio.Semaphore(_UPLOADS)
        self._thumbnail = functools.lru_cache(_MOST_THUMBNAILS)(_thumbnail)

    def routes(self) -> list[Route]:
        return [
            Route("/api/state", self.state),
            Route("/api/events", self.events),
            Route("/api/upload", self.upload, methods=["PUT"]),
            Route("/api/do/{name}", self.act, methods=["POST"]),
            Route("/thumbnail/{photo}", self.thumbnail),
            Route("/photo/{photo}", self.photo),
            Route("/model/{name}", self.model),
            Route("/{path:path}", self.page),
        ]

    async def page(self, request: Request) -> Response:
        name = request.path_params["path"] or "index.html"
        if (found := addresses().get(name)) is None:
            return JSONResponse({"error": "There is no such page."}, 404)
        return Response(found.read_bytes(), media_type=_TYPES[PurePosixPath(name).suffix])

    @_explained
    async def state(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._studio.state))

    async def events(self, request: Request) -> Response:
        return StreamingResponse(self._pulses(), media_type="text/event-stream")

    async def _pulses(self) -> AsyncIterator[str]:
        last, looks = None, 0
        while True:
            if looks % _LOOKS == 0:
                stamp = await run_in_threadpool(self._studio.workspace.stamp)
            looks += 1
            pulse = json.dumps(self._studio.pulse() | {"stamp": stamp})
            if pulse != last:
                last = pulse
                yield f"data: {pulse}\n\n"
            elif looks % 150 == 0:
                yield ": still here\n\n"
            await asyncio.sleep(_PULSE_S)

    @_explained
    async def act(self, request: Request) -> Response:
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > _MOST_REQUEST_BYTES:
                raise DataError("This request is too large.")
        try:
            asked = json.loads(content or b"{}")
        except ValueError:
            raise DataError("This request is not JSON.") from None
        if not isinstance(asked, dict):
            raise DataError("This request is not a JSON object.")
        return JSONResponse(await run_in_threadpool(self._studio.act, request.path_params["name"], asked))

    @_explained
    async def upload(self, request: Request) -> Response:
        workspace, query = self._studio.workspace, request.query_params
        name, label = query.get("name", ""), query.get("class")
        home = None
        if "pile" in query:
            home = workspace.unlabelled
        elif label is not None or not uploads.is_archive(name):
            home = await run_in_threadpool(workspace.home_of, label)
        stated = request.headers.get("content-length", "")
        if not stated.isdecimal():
            raise DataError("An upload says how long it is.")
        uploads.check_size(workspace, name, int(stated))
        async with self._uploads:
            with uploads.aside(workspace, ".zip" if uploads.is_archive(name) else ".jpg") as received:
                await uploads.receive(request.stream(), received, uploads.limit(name))
                if uploads.is_archive(name):
                    taken, refused = await run_in_threadpool(uploads.take_archive, workspace, received, home)
                elif home:
                    await run_in_threadpool(uploads.take_photo, workspace, received, name, home)
                    taken, refused = 1, []
        self._studio.ahead.look()
        return JSONResponse({"taken": taken, "refused": refused})

    @_explained
    async def thumbnail(self, request: Request) -> Response:
        def drawn(path: Path) -> bytes:
            return self._thumbnail(str(path), path.stat().st_mtime_ns)

        try:
            _, content = await run_in_threadpool(self._use, request.path_params["photo"], drawn)
        except _Unreadable:
            return Response(status_code=404)
        return Response(content, media_type="image/jpeg")

    @_explained
    async def photo(self, request: Request) -> Response:
        path, content = await run_in_threadpool(self._use, request.path_params["photo"], Path.read_bytes)
        kind = mimetypes.guess_type(path.name)[0] or ""
        return Response(content, media_type=kind if kind.startswith("image/") else "application/octet-stream")

    def _use(self, photo: str, read: Callable[[Path], bytes]) -> tuple[Path, bytes]:
        """Reads a photo at once, for it may be moved while a browser loads it."""
        for _ in range(_TRIES):
            path = self._studio.workspace.path(photo)
            with contextlib.suppress(FileNotFoundError):
                return path, read(path)
        raise DataError("This photo is not here any more. Reload the page.")

    @_explained
    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        threshold = _share(request.query_params.get("threshold", "0"))
        found = await run_in_threadpool(shipping.content, self._studio.workspace, name, threshold)
        # Read at once, for a training may replace the file while a browser loads it.
        content = found if isinstance(found, bytes) else await run_in_threadpool(found.read_bytes)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type="application/octet-stream", headers=headers)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < 1:
        raise DataError(f"{text[:20]!r} is no threshold: give a score from 0 to below 1.")
    return value


class _Unreadable(Exception):
    """There is no thumbnail; as an exception it is not kept for later, for a file may be unreadable for a moment."""


def _thumbnail(path: str, _changed: int) -> bytes:
    if content := thumbnails.jpeg(Path(path), _THUMBNAIL_PIXELS):
        return content
    raise _Unreadable
