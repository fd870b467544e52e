#!/usr/bin/env bash
# Holds the pages of dashboards/grafana to the schema that Grafana publishes for the version that docker-compose.yml runs.
# Takes no arguments; needs node of at least version 18 and npm, and fetches what package-lock.json names.
set -euo pipefail
cd "$(dirname "$0")"

for command in node npm; do
  command -v "$command" >/dev/null || {
    echo "there is no $command to check the dashboards with: install nodejs and npm"
    exit 2
  }
done

run=$(sed -n 's|.*grafana/grafana:\([0-9.]*\).*|\1|p' ../../docker-compose.yml)
published=$(sed -n 's|.*"@grafana/schema": "\([0-9.]*\)".*|\1|p' package.json)
[ "$run" = "$published" ] || {
  echo "docker-compose.yml runs Grafana $run and package.json has the schema of $published: make them the same"
  exit 1
}

# Nothing is left beside the sources.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp package.json package-lock.json page.ts tsconfig.json "$scratch"
npm ci --prefix "$scratch" --ignore-scripts --no-audit --no-fund --loglevel=error >"$scratch/npm.log" 2>&1 || {
  cat "$scratch/npm.log"
  echo "npm cannot install what package-lock.json names: mend what it says above"
  exit 1
}

n_wrong=0
node pages.mjs "$scratch" ../grafana/*.json || n_wrong=$((n_wrong + 1))
# It is written last. What is not JSON would keep the compiler from looking at the rest.
[ -e "$scratch/wrong" ] || exit 1

# The compiler ends with 2 since the examples are wrong. What it found is looked at; had it found nothing, they would say so.
(cd "$scratch" && node_modules/.bin/tsc --pretty false >found) || true
# What is indented belongs to the line above it. What it found in examples is not shown.
awk '/^[^ ]/ { shown = !/^wrong-/ } shown' "$scratch/found" >"$scratch/shown"
if [ -s "$scratch/shown" ]; then
  sed -E 's|^([^ (]+)\.ts\(([0-9]+),([0-9]+)\): error TS[0-9]+|dashboards/grafana/\1.json:\2:\3|' "$scratch/shown"
  echo "these places are not as Grafana's schema wants them: mend what writes the pages"
  n_wrong=$((n_wrong + 1))
fi
n_examples=0
while IFS= read -r example; do
  n_examples=$((n_examples + 1))
  # Whatever could not be written was told of above.
  [ -e "$scratch/wrong-$n_examples.ts" ] || continue
  grep -q "^wrong-$n_examples\.ts(" "$scratch/found" || {
    echo "nothing is found wrong with a page after this, mend page.ts: $example"
    n_wrong=$((n_wrong + 1))
  }
done <"$scratch/wrong"

[ "$n_wrong" -eq 0 ]
pages=(../grafana/*.json)
echo "${#pages[@]} pages are as Grafana's schema wants them, and $n_examples wrong ones are found out"
