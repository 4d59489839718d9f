package capture

//go:generate go tool bpf2go -cc clang-14 -target bpfel -type frame_header -type label_counts -type total_counts capture ../../bpf/capture.c -- -O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
