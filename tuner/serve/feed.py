"""Updates for everybody who watches the same thing, from one task that works only while somebody does."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from tuner.serve.watched import Message

_STILL_HERE = b": still here\n\n"
_SECONDS_OF_SILENCE = 15.0
"""After which a proxy or a phone might take the connection for dead."""


class Watchable(Protocol):
    """What can be brought up to date."""

    @property
    def messages(self) -> Mapping[str, Message]:
        """What there is to be sent, by what it is of, in order; replaced as a whole."""

    def update(self) -> float:
        """Bring `messages` up to date, which may take a while; return after how many seconds to do it again."""


class Feed:
    """Sends everybody what he does not have yet; who is slow gets the newest and misses what was between."""

    def __init__(self, watched: Watchable) -> None:
        """Keep `watched` up to date while somebody listens."""
        self._watched = watched
        self._listeners = 0
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self._updating = threading.Lock()

    @property
    def is_idle(self) -> bool:
        """Whether nobody listens."""
        return self._listeners == 0

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield server-sent events: first all there is, then what changes."""
        sent: dict[str, str] = {}
        async with self._listening():
            yield b"retry: 2000\n\n"
            while True:
                messages = self._watched.messages
                for key, message in messages.items():
                    if sent.get(key) != message.digest:
                        sent[key] = message.digest
                        yield message.encode()
                sent = {key: digest for key, digest in sent.items() if key in messages}
                if not await self._wait_for_change(messages):
                    yield _STILL_HERE

    async def _wait_for_change(self, known: Mapping[str, Message]) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS_OF_SILENCE), self._changed:
                await self._changed.wait_for(lambda: self._watched.messages is not known)
                return True
        return False

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        self._listeners += 1
        if self._task is None:
            self._task = asyncio.create_task(self._keep_up())
        try:
            yield
        finally:
            self._listeners -= 1
            if self._listeners == 0 and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _keep_up(self) -> None:
        while True:
            known = self._watched.messages
            pause = await asyncio.to_thread(self._update)
            if self._watched.messages is not known:
                async with self._changed:
                    self._changed.notify_all()
            await asyncio.sleep(pause)

    def _update(self) -> float:
        with self._updating:  # a thread goes on when its task has been cancelled
            return self._watched.update()
