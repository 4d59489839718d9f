#!/usr/bin/env bash
# Runs every fuzz target of the repository and prints a table of executions.
# usage: scripts/fuzz.sh RUNS [SECONDS]
# Each target gets RUNS inputs, and again more until it has had SECONDS, where they are given. A number of inputs, not
# a time: at the end of a time go test may fail with "context deadline exceeded" and no failing input (golang/go#75804).
# What a target finds is in its package's testdata/fuzz: mend it, and commit that file.
#
# Our own packages and the parsers that they lean on are instrumented, not all as by go test -fuzz: that one clears and
# reads the counters of the whole program for each input, net/http and all, which is nine tenths of the time.
set -euo pipefail
runs=$1 seconds=${2:-0}
dir=$PWD/build/fuzz log=$PWD/build/fuzz.log cache=$(go env GOCACHE)/fuzz/instrumented
mkdir -p "$dir"
mapfile -t packages < <(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u)
instrument=()
for pattern in pacgan-appliance/... github.com/BurntSushi/toml/... encoding/json net/textproto net/url golang.org/x/net/dns/...; do
	instrument+=("-gcflags=$pattern=-d=libfuzzer")
done
go test -c "${instrument[@]}" -o "$dir/" "${packages[@]}"
printf '| %-24s | %-24s | %14s | %8s | %12s |\n' package target executions seconds 'new inputs'
echo '|--------------------------|--------------------------|---------------:|---------:|-------------:|'
total=0
for package in "${packages[@]#./}"; do
	test=$dir/${package##*/}.test
	for target in $(cd "$package" && "$test" -test.list '^Fuzz'); do
		execs=0 new=0 n=$runs began=$SECONDS
		while :; do
			round=$SECONDS
			if ! (cd "$package" && "$test" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "${n}x" \
				-test.fuzzminimizetime 10x -test.fuzzcachedir "$cache/$package") >"$log" 2>&1; then
				cat "$log"
				echo "$package $target fails" >&2
				exit 1
			fi
			if grep -q 'without coverage' "$log"; then
				echo "$package $target: nothing is instrumented: see -gcflags in scripts/fuzz.sh" >&2
				exit 1
			fi
			execs=$((execs + $(grep -o 'execs: [0-9]*' "$log" | tail -1 | cut -d' ' -f2)))
			new=$((new + $(grep -o 'new interesting: [0-9]*' "$log" | tail -1 | cut -d' ' -f3)))
			[ $((SECONDS - began)) -lt "$seconds" ] || break
			[ $((SECONDS - round)) -gt 10 ] || n=$((n * 2))
		done
		printf '| %-24s | %-24s | %14d | %8d | %12d |\n' "$package" "$target" "$execs" $((SECONDS - began)) "$new"
		total=$((total + execs))
	done
done
echo
echo "$total executions, no crash, no hang, no input that had too much memory allocated"
