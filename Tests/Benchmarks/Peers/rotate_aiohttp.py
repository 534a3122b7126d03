"""The calls of a rotation with aiohttp, many credentials at once. Stores nothing.

    rotate_aiohttp.py URL PAIRS JOBS STEPS

PAIRS has a line `app consumer client_id client_secret` for each app, the administrator first. STEPS are the calls of
one rotation in order: c consumers, l list of staged sets, s stage, g grant with the new pair, p promote, d delete.
"""

import asyncio
import sys

import aiohttp

url, pairs, jobs, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]


async def grant(session, key, secret):
    form = {"grant_type": "client_credentials", "client_id": key, "client_secret": secret}
    async with session.post(f"{url}/services/oauth2/token", data=form) as answer:
        return (await answer.json())["access_token"]


async def rotate(session, headers, app, consumer):
    consumers = f"{url}/services/data/v65.0/apps/oauth/credentials/{app}"
    staged = f"{consumers}/{consumer}/staged"
    new, set_id = None, None
    for step in steps:
        if step == "c":
            async with session.get(consumers, headers=headers) as answer:
                (await answer.json())["consumers"]
        elif step == "l":
            async with session.get(staged, headers=headers) as answer:
                (await answer.json())["stagedCredentials"]
        elif step == "s":
            async with session.post(staged, json={}, headers=headers) as answer:
                new = (await answer.json())["stagedCredentials"][0]
                set_id = new["id"]
        elif step == "g":
            await grant(session, new["key"], new["secret"])
        elif step == "p":
            async with session.patch(f"{staged}/{set_id}", json={"command": "rotate"}, headers=headers) as answer:
                set_id = (await answer.json())["id"]
        elif step == "d":
            async with session.delete(f"{staged}/{set_id}", headers=headers):
                pass


async def main():
    with open(pairs) as file:
        admin, *apps = [line.split() for line in file]
    waiting = iter(apps)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=jobs), raise_for_status=True
    ) as session:
        headers = {"Authorization": f"Bearer {await grant(session, admin[2], admin[3])}"}

        async def work():
            for app, consumer, _, _ in waiting:
                await rotate(session, headers, app, consumer)

        await asyncio.gather(*(work() for _ in range(jobs)))


asyncio.run(main())
