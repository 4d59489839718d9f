#!/usr/bin/env bash
# Runs every fuzz target of the repository and prints a table of executions.
# usage: scripts/fuzz.sh RUNS [SECONDS]
# Each target gets RUNS inputs, and again as many until it has had SECONDS, where they are given. A number of inputs, not
# a time: at the end of a time go test may fail with "context deadline exceeded" and no failing input (golang/go#75804).
# What a target finds is in its package's testdata/fuzz: mend it, and commit that file.
set -euo pipefail
runs=$1 seconds=${2:-0}
log=build/fuzz.log
mkdir -p build
printf '| %-24s | %-24s | %14s | %8s | %12s |\n' package target executions seconds 'new inputs'
echo '|--------------------------|--------------------------|---------------:|---------:|-------------:|'
total=0
for package in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz'); do
		execs=0 new=0 began=$SECONDS
		while :; do
			if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "${runs}x" -fuzzminimizetime 10x "$package" >"$log" 2>&1; then
				cat "$log"
				echo "$package $target fails" >&2
				exit 1
			fi
			execs=$((execs + $(grep -o 'execs: [0-9]*' "$log" | tail -1 | cut -d' ' -f2)))
			new=$((new + $(grep -o 'new interesting: [0-9]*' "$log" | tail -1 | cut -d' ' -f3)))
			[ $((SECONDS - began)) -lt "$seconds" ] || break
		done
		printf '| %-24s | %-24s | %14d | %8d | %12d |\n' "${package#*/}" "$target" "$execs" $((SECONDS - began)) "$new"
		total=$((total + execs))
	done
done
echo
echo "$total executions, no crash, no hang"
