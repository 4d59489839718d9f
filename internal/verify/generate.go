package verify

//go:generate go tool bpf2go -cc clang-14 -target bpfel -type rule -type addr -type expect_key -type expectation -type matched -type segment -type rejected -type histogram -type reason -type answer -type oddity -type automaton -type told -type tiding -type framing match ../../bpf/match.c -- -O2 -g -Wall -Werror -mcpu=v3 -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -cc clang-14 -target bpfel -type swept sweep ../../bpf/sweep.c -- -O2 -g -Wall -Werror -mcpu=v3 -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
