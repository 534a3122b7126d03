"""Four calls a credential with requests: stage, grant with the new secret, promote, delete. Stores nothing.

    rotate_requests.py URL PAIRS JOBS

PAIRS has a line `app consumer client_id client_secret` for each app, the administrator first. With JOBS 1 one after the
other, else by that many threads with a session each.
"""

import concurrent.futures
import sys
import threading

import requests

url, pairs, jobs = sys.argv[1], sys.argv[2], int(sys.argv[3])
local = threading.local()


def session():
    if not hasattr(local, "session"):
        local.session = requests.Session()
        local.session.trust_env = False
    return local.session


def grant(key, secret):
    form = {"grant_type": "client_credentials", "client_id": key, "client_secret": secret}
    answer = session().post(f"{url}/services/oauth2/token", data=form)
    answer.raise_for_status()
    return answer.json()["access_token"]


def rotate(app, consumer, token):
    staged = f"{url}/services/data/v65.0/apps/oauth/credentials/{app}/{consumer}/staged"
    headers = {"Authorization": f"Bearer {token}"}
    answer = session().post(staged, json={}, headers=headers)
    answer.raise_for_status()
    new = answer.json()["stagedCredentials"][0]
    grant(new["key"], new["secret"])
    answer = session().patch(f"{staged}/{new['id']}", json={"command": "rotate"}, headers=headers)
    answer.raise_for_status()
    session().delete(f"{staged}/{answer.json()['id']}", headers=headers).raise_for_status()


with open(pairs) as file:
    admin, *apps = [line.split() for line in file]
token = grant(admin[2], admin[3])
if jobs == 1:
    for app, consumer, _, _ in apps:
        rotate(app, consumer, token)
else:
    with concurrent.futures.ThreadPoolExecutor(jobs) as threads:
        for done in [threads.submit(rotate, app, consumer, token) for app, consumer, _, _ in apps]:
            done.result()
