package report

import (
	"fmt"
	"html"
	"strings"
)

// drawing is an SVG picture under way. Its colours are readable on white and
// on black.
type drawing struct {
	strings.Builder
	width, height float64
}

const (
	ink   = "#6b7280" // text and axes
	paler = "#9ca3af" // grid
)

// palette tells series apart, also for those who see few colours: after Okabe
// and Ito.
var palette = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#b8a500", "#000000", "#8c564b", "#7f7f7f"}

func newDrawing(width, height float64, title string) *drawing {
	d := &drawing{width: width, height: height}
	fmt.Fprintf(d, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12" role="img">`+"\n", width, height)
	fmt.Fprintf(d, "<title>%s</title>\n", html.EscapeString(title))
	d.text(12, 20, "start", title, `font-size="14" font-weight="bold"`)
	return d
}

func (d *drawing) finish() string {
	d.WriteString("</svg>\n")
	return d.String()
}

// text writes s; anchor is start, middle or end.
func (d *drawing) text(x, y float64, anchor, s string, attributes ...string) {
	fmt.Fprintf(d, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s" %s>%s</text>`+"\n",
		x, y, anchor, ink, strings.Join(attributes, " "), html.EscapeString(s))
}

func (d *drawing) line(x1, y1, x2, y2 float64, colour string, attributes ...string) {
	fmt.Fprintf(d, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" %s/>`+"\n",
		x1, y1, x2, y2, colour, strings.Join(attributes, " "))
}

func (d *drawing) rect(x, y, width, height float64, colour, title string) {
	fmt.Fprintf(d, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s</title></rect>`+"\n",
		x, y, width, height, colour, html.EscapeString(title))
}

// path draws straight lines through the points.
func (d *drawing) path(points [][2]float64, colour string) {
	if len(points) == 0 {
		return
	}
	var b strings.Builder
	for i, p := range points {
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", command, p[0], p[1])
	}
	fmt.Fprintf(d, `<path d="%s" fill="none" stroke="%s" stroke-width="1.8"/>`+"\n", b.String(), colour)
}
