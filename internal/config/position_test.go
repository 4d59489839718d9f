package config

import (
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/bounded"
)

func TestLocate(t *testing.T) {
	text := `# a comment with [brackets] = "x"
top = 1 # [no]

[a]
text = """
[b]
c = 1 \""" still
"""
raw = '''
[[label]]
''''
list = [ # comment ]
  "x, ]",
  {k = 'v}', "q.x" = 2},
]

[[label]]
name = "one\"["
[label.sub]
x = 1
[[label]]
"name" = ""
sub.y . z = 1979-05-27 07:32:00
`
	if _, err := toml.Decode(text, new(map[string]any)); err != nil {
		t.Fatalf("the test's own text: %v", err)
	}
	want := map[string]int{
		"top": 2, "a": 4, "a.text": 5, "a.raw": 9, "a.list": 12, "a.list[0]": 13, "a.list[1]": 14,
		"a.list[1].k": 14, "a.list[1].q.x": 14, "label": 17, "label[0]": 17, "label[0].name": 18, "label[0].sub": 19,
		"label[0].sub.x": 20, "label[1]": 21, "label[1].name": 22, "label[1].sub.y.z": 23,
	}
	if diff := cmp.Diff(want, locate(text).lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestAtFallsBack(t *testing.T) {
	p := locate("\n[a]\n\n[[b]]\nx = 1\n")
	for path, want := range map[string]int{
		"a": 2, "a.gone": 2, "b[0].x": 5, "b[0].gone": 4, "b[0].x[3]": 5, "none": 1, "": 1,
	} {
		if got := p.at(path); got != want {
			t.Errorf("at(%q) = %d, want %d", path, got, want)
		}
	}
}

// FuzzParse: no text makes Parse panic, a fault without a line, or a Config that Dump cannot carry.
func FuzzParse(f *testing.F) {
	f.Add(minimal)
	f.Add(everyKey)
	f.Add("a = [[[[")                         // nesting that never closes
	f.Add("[[label]]\n[label.x]\n[[label]]")  // tables below array tables
	f.Add("a = \"\"\"\"\"\"\nb = ''''''")     // empty multi-line strings
	f.Add("a = {b = {c = [1, {d = 1}]}}")     // nesting inside values
	f.Add("label = [{name = 1}, {filter=2}]") // labels as values
	f.Fuzz(func(t *testing.T, text string) {
		defer bounded.Input(t, len(text))()
		locate(text)
		c, err := Parse("f", []byte(text))
		if faults, ok := err.(Faults); ok {
			for _, fault := range faults {
				if fault.Line < 1 {
					t.Errorf("fault without a line: %v", fault)
				}
			}
		}
		if err != nil {
			return
		}
		data, err := c.Dump()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse("dump", data)
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		if diff := cmp.Diff(c, back, compare()); diff != "" {
			t.Errorf("after Dump and Parse (-want +got):\n%s", diff)
		}
	})
}
