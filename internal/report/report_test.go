package report

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/bounded"
	"pacgan-appliance/internal/encoding"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/quality"
	"pacgan-appliance/internal/web/webtest"
)

// sample is a model of two labels, one with a wrong TTL every fourth time, one always.
func sample(tb testing.TB) Model {
	tb.Helper()
	g, err := encoding.Fit(28)
	if err != nil {
		tb.Fatal(err)
	}
	m := Model{Name: "20260304T050607Z-c0ffee00", Against: "packets that were held out", Manifest: model.Manifest{
		Recipe: model.RecipeGAN, Geometry: g, Seed: 3, Software: "v1.2.3",
		Training: &model.Training{
			Step: 40, Steps: 80, Seconds: 3, CPUSeconds: 5, Floor: 0.1,
			Curve:  []model.Checkpoint{{Step: 0, Distance: 0.4, Labels: []float64{0.3, 0.5}}, {Step: 40, Distance: 0.2, Labels: []float64{0.2, 0.2}}, {Step: 80, Distance: 0.3, Labels: []float64{0.3, 0.3}}},
			Losses: []model.Loss{{Step: 20, Critic: 2, Generator: 0}, {Step: 40, Critic: 1.5, Generator: 0.5}, {Step: 80, Critic: 1, Generator: -0.5}},
		},
	}}
	ping := func(id, ttl byte) []byte {
		return []byte{0x45, 0, 0, 28, 0, id, 0, 0, ttl, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 8, 0, 0, 0, 0, 7, 0, id}
	}
	for _, kind := range []struct {
		name string
		ttls []byte
	}{{"ping", []byte{64, 64, 64, 63}}, {"<echo>", []byte{63}}} {
		l := Label{Name: kind.name}
		for i := range byte(40) {
			l.Real = append(l.Real, ping(i, 64))
			l.Trained = append(l.Trained, ping(i+40, 64))
			l.Generated = append(l.Generated, ping(i+80, kind.ttls[int(i)%len(kind.ttls)]))
		}
		if l.Quality, err = quality.Measure(tb.Context(), quality.Options{Seed: 1}, l.Generated, l.Trained, l.Real); err != nil {
			tb.Fatal(err)
		}
		m.Labels = append(m.Labels, l)
	}
	return m
}

// TestPage reads the page in a browser: what it tells, that it asks for nothing, and that it can be read in both colours.
// PACGAN_SCREENSHOTS names a directory to keep pictures of it in.
func TestPage(t *testing.T) {
	b := webtest.New(t)
	var page bytes.Buffer
	if err := Write(&page, sample(t)); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:")
		_, _ = w.Write(page.Bytes()) // a browser that goes away has seen enough
	}))
	defer server.Close()
	for _, scheme := range []string{"light", "dark"} {
		b.Colours(scheme)
		b.Resize(1280, 900)
		b.Open(server.URL)
		if least := b.LeastContrast(); least < 4.5 {
			t.Errorf("%s: contrast %.2f, at least 4.5", scheme, least)
		}
		if dir := os.Getenv("PACGAN_SCREENSHOTS"); dir != "" {
			if err := os.WriteFile(filepath.Join(dir, "report-"+scheme+".png"), b.Screenshot(true), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.Resize(360, 800)
	if wide := webtest.Evaluate[int](b, "document.documentElement.scrollWidth"); wide > 360 {
		t.Errorf("%d pixels wide in a window of 360", wide)
	}
	b.Resize(1280, 900)

	for what, want := range map[string]string{
		"header": "recipe gan, seed 3, n=", "header p": "80 steps in 3 s (5 s of CPU), the model of step 40 is kept",
		"h2": "<echo>", "table": "byte error 0.250 0.000: real packets' own 10 bytes in 40", ".bars": "10.0.0.1",
	} {
		if got := b.Text(what); !strings.Contains(got, want) {
			t.Errorf("%s lacks %q: %s", what, want, got)
		}
	}
	var wrong []string
	for _, text := range b.Texts(".heat i") {
		if text != "" {
			wrong = append(wrong, text)
		}
	}
	if diff := cmp.Diff([]string{"25", "100"}, wrong); diff != "" { // the TTL's byte, of each label
		t.Errorf("heat map (-want +got):\n%s", diff)
	}
	for script, want := range map[string]int{
		"document.querySelectorAll('img').length": 2 * 2 * shown,
		"[...document.images].filter(i => i.naturalWidth == " + "document.images[0].naturalWidth && i.naturalWidth > 0).length": 2 * 2 * shown,
		"document.querySelectorAll('svg').length":                            2,
		"document.querySelectorAll('.mark').length":                          1,
		"document.querySelectorAll('.curve.label').length":                   2,
		"document.querySelectorAll('.heat')[0].querySelectorAll('i').length": 28,
	} {
		if got := webtest.Evaluate[int](b, script); got != want {
			t.Errorf("%s = %d, want %d", script, got, want)
		}
	}
	for host := range b.Asked() {
		if host != "" && host != server.Listener.Addr().String() { // "": data
			t.Errorf("the page asked %s", host)
		}
	}
	for _, c := range b.Complaints() {
		if !strings.Contains(c, "favicon") {
			t.Errorf("the browser complains: %s", c)
		}
	}
}

// TestPageOfLittle: what is not known is left out.
func TestPageOfLittle(t *testing.T) {
	m := sample(t)
	m.Manifest.Training, m.Labels = nil, m.Labels[:1]
	m.Labels[0].Real = append([][]byte{make([]byte, 1<<10)}, m.Labels[0].Real...) // longer than the geometry holds
	var b bytes.Buffer
	if err := Write(&b, m); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); strings.Contains(s, "<svg") || strings.Contains(s, ">Training<") || strings.Count(s, "<img") != 2*shown-1 {
		t.Errorf("%d pictures; %s", strings.Count(s, "<img"), s)
	}
	if most := 64 << 10; b.Len() > most {
		t.Errorf("a page of one label has %d bytes, at most %d", b.Len(), most)
	}
}

func TestTicks(t *testing.T) {
	for _, tt := range []struct {
		low, high float64
		want      []float64
	}{
		{0, 1, []float64{0, 0.5, 1}},
		{0, 4000, []float64{0, 1000, 2000, 3000, 4000}},
		{-1.2, 2.3, []float64{-1, 0, 1, 2}},
		{1 << 60, 1<<60 + 256, nil}, // closer than numbers are: whatever, but an end
	} {
		got := ticksOf(tt.low, tt.high)
		if tt.want != nil && !cmp.Equal(tt.want, got) || len(got) > 2*ticks {
			t.Errorf("ticksOf(%g, %g) = %v, want %v", tt.low, tt.high, got, tt.want)
		}
	}
}

// FuzzWrite: any manifest that is JSON gives a page, or an error; it ends.
func FuzzWrite(f *testing.F) {
	manifest, err := json.Marshal(sample(f).Manifest)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(manifest)
	f.Add(bytes.Replace(manifest, []byte(`"critic":1.5`), []byte(`"critic":-1.7e308`), 1))
	f.Add(bytes.Replace(manifest, []byte(`"step":80`), []byte(`"step":9223372036854775807`), -1)) // steps that a float64 cannot tell apart
	f.Add(bytes.Replace(manifest, []byte(`"labels":[0.3,0.5]`), []byte(`"labels":[0.3,0.5,0.6,0.7]`), 1))
	f.Add(bytes.Replace(manifest, []byte(`"d":2`), []byte(`"d":0`), 1))
	label := sample(f).Labels[0]
	f.Fuzz(func(t *testing.T, manifest []byte) {
		defer bounded.Input(t, len(manifest))()
		m := Model{Labels: []Label{label}}
		if json.Unmarshal(manifest, &m.Manifest) == nil {
			_ = Write(io.Discard, m) // either will do
		}
	})
}
