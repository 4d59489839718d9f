package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// idleName is the measurement of a whole daemon at 50 packets a second.
const idleName = "idle"

// figure is a value that has nothing beside it but what was promised.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Limit float64 `json:"limit"` // at most this is promised
	Unit  string  `json:"unit"`
	Load  float64 `json:"load"` // the machine's load average before it was measured: other work costs this one time
	Date  string  `json:"date"` // of its measurement
}

// measured are the figures that the test of an idle daemon writes down, by its
// attributes.
var measured = map[string]figure{
	"idle_core":   {Name: "idle-cpu", Unit: "% of a core", Limit: 1},
	"idle_memory": {Name: "idle-memory", Unit: "MiB", Limit: 80},
}

// idle measures a real daemon, on a lab, in the test that holds its memory to
// the limit.
func idle() ([]figure, error) {
	load, err := loadAverage()
	if err != nil {
		return nil, err
	}
	test := exec.Command("go", "test", "-json", "-count=1", "-run", "^TestIdleMemory$", "./internal/appliance")
	test.Env = append(os.Environ(), "CGO_ENABLED=0", "PACGAN_REQUIRE_ROOT=1")
	out, err := test.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(test.Args, " "), err, out)
	}
	return figuresOf(out, load, time.Now().UTC().Format(time.DateOnly))
}

// figuresOf reads the attributes out of what go test -json says (go doc test2json).
func figuresOf(out []byte, load float64, date string) ([]figure, error) {
	var all []figure
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var event struct{ Action, Key, Value string }
		if err := decoder.Decode(&event); err != nil {
			return nil, err
		}
		f, ok := measured[event.Key]
		if event.Action != "attr" || !ok {
			continue
		}
		var err error
		if f.Value, err = strconv.ParseFloat(event.Value, 64); err != nil {
			return nil, fmt.Errorf("%s: %w", event.Key, err)
		}
		f.Load, f.Date = load, date
		all = append(all, f)
	}
	if len(all) != len(measured) {
		return nil, errors.New("the test of an idle daemon does not say all that is measured")
	}
	return all, nil
}

// loadAverage is the mean number of tasks that ran or would have, in the last minute.
func loadAverage() (float64, error) {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(b), " ")
	return strconv.ParseFloat(first, 64)
}
