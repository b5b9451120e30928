#!/usr/bin/env bash
# timed.sh PART NAME COMMAND...: runs a command and appends its wall and CPU seconds to the file $MOPROC_TIMES.
part=$1 name=$2
shift 2
start=$EPOCHREALTIME
"$@"
code=$?
end=$EPOCHREALTIME
spent="$MOPROC_TIMES.$$"
times > "$spent"
# The second line is of the children: user and system time, as 1m2.345s.
{ read -r _; read -r user system; } < "$spent"
rm "$spent"
awk -v part="$part" -v name="$name" -v start="$start" -v end="$end" -v user="$user" -v system_="$system" '
  function seconds(t, at) { split(t, at, /[ms]/); return at[1] * 60 + at[2] }
  BEGIN {
    printf "{\"part\":\"%s\",\"name\":\"%s\",", part, name
    printf "\"wall\":%.2f,\"cpu\":%.2f}\n", end - start, seconds(user) + seconds(system_)
  }
' >> "$MOPROC_TIMES"
exit $code
