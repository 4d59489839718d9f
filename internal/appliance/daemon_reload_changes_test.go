package appliance

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/config"
)

func TestInTurn(t *testing.T) {
	var did []string
	note := func(what string, err error) func() error {
		return func() error { did = append(did, what); return err }
	}
	full := errors.New("full")
	steps := []undoable{
		{note("a", nil), note("undo a", errors.New("gone"))},
		{note("b", full), note("undo b", nil)},
		{note("c", nil), note("undo c", nil)},
	}
	if err := inTurn(steps); !errors.Is(err, full) || err.Error() != "full\ngone" {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff([]string{"a", "b", "undo b", "undo a"}, did); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
	did = nil
	must(t, inTurn(steps[2:]))
	if diff := cmp.Diff([]string{"c"}, did); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
}

func TestLabelChanges(t *testing.T) {
	ping := config.Label{Name: "ping", Filter: "icmp", Answer: config.AnswerICMPEcho, Share: 1}
	dns := config.Label{Name: "dns", Filter: "udp", Answer: config.AnswerDNS, Share: 1}
	other := config.Label{Name: "dns", Filter: "tcp", Answer: config.AnswerHTTP, Statuses: []config.StatusRange{{From: 200, To: 200}},
		Contains: "x", Malicious: true, Share: 2}
	tests := []struct {
		name     string
		from, to []config.Label
		want     []string
	}{
		{"all of a label", []config.Label{ping, dns}, []config.Label{ping, other}, []string{"label dns (filter, answer, accept, contains, malicious, share)"}},
		{"added", []config.Label{ping}, []config.Label{dns, ping}, []string{"label dns (added)"}},
		{"removed", []config.Label{ping, dns}, []config.Label{dns}, []string{"label ping (removed)"}},
		{"order", []config.Label{ping, dns}, []config.Label{dns, ping}, []string{"label (order)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, labelChanges(tt.from, tt.to)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSettingsAreWhole changes each field of a config alone, and expects that
// exactly one setting sees it: none is forgotten, now or later.
func TestSettingsAreWhole(t *testing.T) {
	parse := func() config.Config {
		cfg, err := config.Parse("config.toml", []byte(goodConfig))
		must(t, err)
		return cfg
	}
	var visit func(name string, field func(*config.Config) reflect.Value)
	visit = func(name string, field func(*config.Config) reflect.Value) {
		cfg := parse()
		v := field(&cfg)
		inner := v.Kind() == reflect.Struct && v.NumField() > 0 && v.Type().Field(0).IsExported()
		if v.Kind() == reflect.Slice && name == "Labels" {
			visit("Labels[0]", func(c *config.Config) reflect.Value { return field(c).Index(0) })
			return
		}
		if inner {
			for i := range v.NumField() {
				visit(name+"."+v.Type().Field(i).Name, func(c *config.Config) reflect.Value { return field(c).Field(i) })
			}
			return
		}
		mustChange(t, name, v)
		var seen []string
		for _, s := range settings() {
			if !reflect.DeepEqual(s.of(parse()), s.of(cfg)) {
				seen = append(seen, s.key)
			}
		}
		if len(seen) != 1 {
			t.Errorf("%s: seen by the settings %v", name, seen)
		}
	}
	whole := reflect.TypeFor[config.Config]()
	for i := range whole.NumField() {
		visit(whole.Field(i).Name, func(c *config.Config) reflect.Value { return reflect.ValueOf(c).Elem().Field(i) })
	}
}

// mustChange gives a field another value.
func mustChange(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	case reflect.Slice:
		if v.Len() > 0 {
			v.SetLen(v.Len() - 1)
		} else {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
	case reflect.Struct:
		v.SetZero()
	default:
		t.Fatalf("%s: a field of kind %v: teach the test to change it", name, v.Kind())
	}
}

func TestTimetable(t *testing.T) {
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.Local)
	var table timetable
	due := func(text string, at time.Time) bool {
		t.Helper()
		due, err := table.due(text, at)
		must(t, err)
		return due
	}
	steps := []struct {
		name string
		text string
		at   time.Time
		want bool
	}{
		{"start", "0 */6 * * *", noon, false},
		{"before", "0 */6 * * *", noon.Add(6*time.Hour - time.Second), false},
		{"due", "0 */6 * * *", noon.Add(6 * time.Hour), true},
		{"due until it is done", "0 */6 * * *", noon.Add(7 * time.Hour), true},
		{"another schedule", "@every 1h", noon.Add(7 * time.Hour), false},
		{"due by it", "@every 1h", noon.Add(8 * time.Hour), true},
		{"never", "0 0 31 2 *", noon.Add(8 * time.Hour), false},
		{"never, later", "0 0 31 2 *", noon.Add(10_000 * time.Hour), false},
	}
	for _, step := range steps {
		if got := due(step.text, step.at); got != step.want {
			t.Errorf("%s: due %v, want %v", step.name, got, step.want)
		}
	}
	const day = 24 * time.Hour
	for _, schedule := range []string{"@every 1h", "0 */6 * * *"} { // the clock is put back by a day, and forward
		due(schedule, noon)
		table.restart(noon)
		for _, step := range []struct {
			at   time.Time
			want bool
		}{{noon.Add(-day), false}, {noon.Add(-day + 6*time.Hour), true}} {
			if got := due(schedule, step.at); got != step.want {
				t.Errorf("%s at %v, after %v: due %v, want %v", schedule, step.at, noon, got, step.want)
			}
		}
		table.restart(noon.Add(day))
		if due(schedule, noon.Add(day+time.Minute)) {
			t.Errorf("%s: due twice after the clock was put forward", schedule)
		}
	}
	due("@every 1h", noon)
	table.restart(noon.Add(time.Hour))
	if due("@every 1h", noon.Add(90*time.Minute)) {
		t.Error("due although a training has just ended")
	}
	_, err := table.due("sometimes", noon)
	if want := "train.schedule: expected exactly 5 fields, found 1: [sometimes]"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
