"""The socket that `serve` listens on."""

import asyncio
import socket

from app.commands.server import bind
from app.config import Settings


def test_an_answer_is_not_held_back_until_its_beginning_was_received(settings: Settings) -> None:
    assert asyncio.run(_connected(bind(settings.model_copy(update={"port": 0}))))


async def _connected(bound: socket.socket) -> int:
    """Connect and return whether the server's side sends at once what it is given."""
    taken: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def take(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        taken.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async with await asyncio.start_server(take, sock=bound), asyncio.timeout(60):
        _, writer = await asyncio.open_connection(*bound.getsockname()[:2])
        writer.close()
        return await taken
