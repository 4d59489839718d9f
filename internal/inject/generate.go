package inject

//go:generate go tool bpf2go -cc clang-14 -target bpfel -type addr -type prefix -type passage -type drop -type told -type tiding guard ../../bpf/guard.c -- -O2 -g -Wall -Werror -mcpu=v3 -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -cc clang-14 -target bpfel -type slot -type cursor live ../../bpf/live.c -- -O2 -g -Wall -Werror -mcpu=v3 -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
