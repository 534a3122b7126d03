#!/bin/bash
# Makes four calls a credential with curl and jq: stage, grant with the new secret, promote, delete. Stores nothing.
#
#   rotate.sh URL PAIRS JOBS
#
# PAIRS has a line `app consumer client_id client_secret` for each app, the administrator first. If JOBS is 1, this
# shell rotates one after another, otherwise xargs does.
set -euo pipefail

rotate() {
  local root="$URL/services/data/v65.0/apps/oauth/credentials/$1/$2/staged"
  local as_admin=(-H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json")
  local id key secret
  read -r id key secret < <(curl --silent --show-error --fail "${as_admin[@]}" --data '{}' "$root" |
    jq --raw-output '.stagedCredentials[0] | "\(.id) \(.key) \(.secret)"')
  # As usual in such scripts, the secret is in curl's arguments, where every user of the machine can read it.
  curl --silent --show-error --fail --data grant_type=client_credentials --data-urlencode "client_id=$key" \
    --data-urlencode "client_secret=$secret" "$URL/services/oauth2/token" | jq --exit-status .access_token >/dev/null
  id=$(curl --silent --show-error --fail --request PATCH "${as_admin[@]}" --data '{"command":"rotate"}' "$root/$id" |
    jq --raw-output .id)
  curl --silent --show-error --fail --request DELETE "${as_admin[@]}" "$root/$id"
}

if [[ "$1" == --one ]]; then
  rotate "$2" "$3"
  exit
fi

export URL=$1
read -r _ _ key secret <"$2"
TOKEN=$(curl --silent --show-error --fail --data grant_type=client_credentials --data-urlencode "client_id=$key" \
  --data-urlencode "client_secret=$secret" "$URL/services/oauth2/token" | jq --raw-output .access_token)
export TOKEN
if [[ "$3" == 1 ]]; then
  tail -n +2 "$2" | while read -r app consumer _ _; do rotate "$app" "$consumer" </dev/null; done
else
  tail -n +2 "$2" | cut -d ' ' -f 1,2 | xargs -P "$3" -L 1 "$0" --one
fi
