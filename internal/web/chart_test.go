package web

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// mustBeSVG parses a drawing and refuses what the page's policy refuses.
func mustBeSVG(tb testing.TB, svg string) {
	tb.Helper()
	parser := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := parser.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			tb.Fatalf("%v in %s", err, svg)
		}
		if element, ok := token.(xml.StartElement); ok {
			for _, a := range element.Attr {
				if a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on") || strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
					tb.Errorf("<%s %s=%q>", element.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
	}
}

// pointsOf are a span's points, each with so many answered and expired packets.
func pointsOf(ends ...Ends) []Point {
	var out []Point
	for i, e := range ends {
		out = append(out, Point{Start: noon.Add(time.Duration(i) * 2 * time.Second), Step: 2 * time.Second, Ends: e})
	}
	return out
}

func TestChart(t *testing.T) {
	good, half, none := Ends{Answered: 10}, Ends{Answered: 5, Expired: 5}, Ends{}
	tests := []struct {
		name    string
		points  []Point
		decided uint64
		busiest uint64
		lines   int    // a gap begins another
		low     string // of the axis; "" where nothing is drawn
	}{
		{"nothing", pointsOf(none, none), 0, 0, 0, ""},
		{"no points", nil, 0, 0, 0, ""},
		{"all answered", pointsOf(good, good), 20, 10, 1, "90 %"},
		{"a gap", pointsOf(good, none, good, good), 30, 10, 2, "90 %"},
		{"half", pointsOf(good, Ends{Answered: 60, Expired: 40}), 110, 100, 1, "50 %"},
		{"at most half", pointsOf(half, good, none), 20, 10, 1, "0 %"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := newChart("dns", Spans()[0], tt.points)
			if err != nil {
				t.Fatal(err)
			}
			svg := string(c.SVG)
			if got := [3]int{int(c.Decided), int(c.Busiest), strings.Count(svg, `class="stroke rate"`)}; got != [3]int{int(tt.decided), int(tt.busiest), tt.lines} {
				t.Errorf("decided, busiest, lines %v, want %d, %d, %d", got, tt.decided, tt.busiest, tt.lines)
			}
			if (svg != "") != (tt.low != "") || !strings.Contains(svg, ">"+tt.low) && tt.low != "" {
				t.Errorf("the axis does not begin at %q:\n%s", tt.low, svg)
			}
			mustBeSVG(t, svg)
		})
	}
}

// The line lies where the rate is: 95 % in the middle of an axis from 90 to 100.
func TestChartIsToScale(t *testing.T) {
	c, err := newChart("dns", Spans()[0], pointsOf(Ends{Answered: 100}, Ends{Answered: 95, Expired: 5}, Ends{Answered: 92, Expired: 8}))
	if err != nil {
		t.Fatal(err)
	}
	grid := heights(t, regexp.MustCompile(`class="stroke grid"[^>]* d="M[\d.]+ ([\d.]+)L`), string(c.SVG))
	top, bottom := math.Inf(1), 0.0
	for _, y := range grid {
		top, bottom = min(top, y), max(bottom, y)
	}
	line := regexp.MustCompile(`class="stroke rate"[^>]* d="([^"]+)"`).FindStringSubmatch(string(c.SVG))
	rates := heights(t, regexp.MustCompile(`[ML][\d.]+ ([\d.]+)`), line[1])
	want := []float64{100, 100, 95, 95, 92, 92}
	for i, y := range rates {
		if rate := 90 + 10*(bottom-y)/(bottom-top); math.Abs(rate-want[i]) > 0.05 {
			t.Errorf("point %d is drawn at %.2f %%, want %v", i, rate, want[i])
		}
	}
	if len(rates) != len(want) {
		t.Errorf("%d points, want %d", len(rates), len(want))
	}
}

func heights(t *testing.T, pattern *regexp.Regexp, text string) []float64 {
	t.Helper()
	var out []float64
	for _, found := range pattern.FindAllStringSubmatch(text, -1) {
		var y float64
		if _, err := fmt.Sscan(found[1], &y); err != nil {
			t.Fatal(err)
		}
		out = append(out, y)
	}
	return out
}

func TestChartOfEverySpan(t *testing.T) {
	h := mustHistory(t, filepath.Join(t.TempDir(), "history"))
	mustAdd(t, h, noon, answered("dns", 0))
	mustAdd(t, h, noon.Add(2*time.Second), answered("dns", 40))
	steps := []string{"10 s", "24 min", "12 h"}
	for i, span := range Spans() {
		c, err := newChart("dns", span, h.Points(span, "dns", noon.Add(2*time.Second)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(steps[i], c.Step); diff != "" || c.Decided != 40 {
			t.Errorf("%s: %d decided, step (-want +got):\n%s", span.Name, c.Decided, diff)
		}
		mustBeSVG(t, string(c.SVG))
	}
}

func TestCurves(t *testing.T) {
	one := Curve{Checkpoints: []Checkpoint{{0, 0.1}}, Losses: []Losses{{1, 2, 3}}}
	flat := Curve{Checkpoints: []Checkpoint{{0, 0}, {10, 0}}, Losses: []Losses{{1, 0, 0}, {2, 0, 0}}}
	notFinite := Curve{Checkpoints: []Checkpoint{{0, 0.1}, {10, math.NaN()}}}
	tests := []struct {
		name             string
		curve            Curve
		distance, losses bool
		err              string
	}{
		{"none", Curve{}, false, false, ""},
		{"one point is no curve", one, false, false, ""},
		{"flat", flat, true, true, ""},
		{"whole", sampleCurve(), true, true, ""},
		{"not finite", notFinite, false, false, "web: distance curve: plotter: NaN data point"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := newCurves(tt.curve)
			said := ""
			if err != nil {
				said = err.Error()
			}
			if said != tt.err {
				t.Fatalf("error %q, want %q", said, tt.err)
			}
			if (c.Distance != "") != tt.distance || (c.Losses != "") != tt.losses {
				t.Errorf("distance %q, losses %q", c.Distance, c.Losses)
			}
			mustBeSVG(t, string(c.Distance))
			mustBeSVG(t, string(c.Losses))
		})
	}
}

func TestLosses(t *testing.T) {
	c := Counts{Expired: 9, Blocked: 1, Rejected: map[string]uint64{"nxdomain": 80, "refused": 4, "servfail": 3, "formerr": 2, "notimp": 2}, Failed: map[string]uint64{"no route": 1}}
	want := []reason{{"nxdomain", 80}, {"no answer", 9}, {"refused", 4}, {"servfail", 3}, {"formerr", 2}, {"other reasons", 4}}
	if diff := cmp.Diff(want, lossesOf(&c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// BenchmarkRender is the work of one second while a page is open.
func BenchmarkRender(b *testing.B) {
	p, err := newPage(Options{Snapshot: func() (Snapshot, error) { return sample(), nil }, History: busyHistory(b)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.renderLive(Spans()[0]); err != nil {
			b.Fatal(err)
		}
	}
}
