package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

var began = time.Now()

// wallTime is the time since the program began.
func wallTime() (time.Duration, error) { return time.Since(began), nil }

// helpers are the processes that do a side's work; they wait while the other side's is done.
var helpers []int

// cpuTime is the processor time that this process and its helpers have taken. It is not the time that passes: other programs may
// have the processors meanwhile.
func cpuTime() (time.Duration, error) {
	var total time.Duration
	for _, pid := range append([]int{0}, helpers...) { // 0: this process
		clock := int32(^pid<<3 | 2) // as clock_getcpuclockid(3) makes it
		var t unix.Timespec
		if err := unix.ClockGettime(clock, &t); err != nil {
			return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
		}
		total += time.Duration(t.Nano())
	}
	return total, nil
}
