#!/usr/bin/env bash
# Holds alertmanager.yml to examples of who is told of what, and of what is kept from whom meanwhile. Takes the command
# that runs amtool beside the Alertmanager of docker-compose.yml; the examples fire there for a minute:
#
#   dashboards/alertmanager/check.sh docker exec "$(docker-compose ps -q alertmanager)" amtool
set -euo pipefail

[ "$#" -gt 0 ] || {
  echo "usage: check.sh COMMAND…, the command that runs amtool beside Alertmanager"
  exit 2
}
command=("$@")
config=/etc/alertmanager/alertmanager.yml
# Some commands take what the shell reads, which are the examples.
amtool() { "${command[@]}" --alertmanager.url=http://127.0.0.1:9093 "$@" </dev/null; }

amtool check-config "$config"

# goes_to RECEIVER LABEL…: whether an alert with these labels goes to this receiver alone.
goes_to() {
  local receiver=$1
  shift
  amtool config routes test --config.file="$config" --verify.receivers="$receiver" "$@" >/dev/null 2>&1
}

n_wrong=0
wrong() {
  echo "wrong: $*"
  n_wrong=$((n_wrong + 1))
}

while read -r receiver labels; do
  # Several words are meant.
  # shellcheck disable=SC2086
  goes_to "$receiver" $labels || wrong "an alert with $labels does not go to $receiver alone"
done <<'EXAMPLES'
page severity=page objective=booking-availability
page severity=page alertname=Oversold
ticket severity=ticket objective=booking-availability
ticket severity=ticket alertname=DeadLetters
ticket severity=info
ticket alertname=NobodyGaveItASeverity
EXAMPLES
# Whatever else is true, these are not: a check that always says yes would say so here too.
! goes_to ticket severity=page || wrong "a page is taken for a ticket"
! goes_to page severity=ticket || wrong "a ticket is taken for a page"

# Two alerts of one objective, one of another, and two of none.
until=$(date -u -d '+1 minute' +%FT%TZ)
fire() { amtool alert add --end="$until" "$@"; }
fire alertname=ExampleFast severity=page objective=example
fire alertname=ExampleSlow severity=ticket objective=example
fire alertname=ExampleOther severity=ticket objective=another-example
fire alertname=ExamplePageOfNone severity=page
fire alertname=ExampleTicketOfNone severity=ticket

# shown STATE: the names of the examples that are in this state, in one line.
shown() {
  amtool alert query "--$1" --output=simple 'alertname=~"Example.+"' | awk 'NR > 1 { print $1 }' | sort | tr '\n' ' '
}
others="ExampleFast ExampleOther ExamplePageOfNone ExampleTicketOfNone "
deadline=$((SECONDS + 20))
until [ "$(shown inhibited)" = "ExampleSlow " ] && [ "$(shown active)" = "$others" ]; do
  if [ "$SECONDS" -ge "$deadline" ]; then
    wrong "kept back are: $(shown inhibited); told are: $(shown active)"
    break
  fi
  sleep 0.2
done

[ "$n_wrong" -eq 0 ]
echo "routes and inhibition are as the examples say"
