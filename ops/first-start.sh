#!/bin/sh
# Makes the tokens of docker-compose.yml at its first start, and later changes nothing: first-start.sh FOLDER METRICS
# FOLDER gets tokens.toml for the scheduler and the files admin, client and node with a secret each; METRICS gets `token`,
# which Prometheus reads as another user.
set -eu
umask 077
folder=$1
metrics=$2
if [ -e "$folder/tokens.toml" ]; then
    exit 0
fi
rm -f "$folder/new.toml" "$metrics/token" # of a start that was broken off
for name in admin client node; do
    voxpool token "$name" --role "$name" --access-file "$folder/new.toml" >"$folder/$name"
done
voxpool token prometheus --role metrics --access-file "$folder/new.toml" >"$metrics/token"
chmod 444 "$metrics/token"
mv "$folder/new.toml" "$folder/tokens.toml" # last: with it the others are complete
