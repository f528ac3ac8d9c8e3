package report

import (
	"fmt"
	"math"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/judge"
	"github.com/switcheroo/switcheroo/test/load"
)

// sum is all the cells of one contender.
type sum struct {
	contender string
	switches  int
	lost      map[load.Class]int64
	curve     []time.Duration // the median of its cells' curves
}

// perSwitch returns how many were lost in a switch, of all classes.
func (s sum) perSwitch() float64 {
	var n int64
	for _, m := range s.lost {
		n += m
	}
	return float64(n) / float64(max(s.switches, 1))
}

// byContender adds up cells, in the order in which contenders come first.
func byContender(cells []*judge.Cell) []sum {
	index := map[string]int{}
	var sums []sum
	curves := map[string][][]time.Duration{}
	for _, c := range cells {
		i, known := index[c.Contender]
		if !known {
			i = len(sums)
			index[c.Contender] = i
			sums = append(sums, sum{contender: c.Contender, lost: map[load.Class]int64{}})
		}
		sums[i].switches += c.Switches
		for class, n := range c.Lost {
			sums[i].lost[class] += n
		}
		if len(c.Latency.Curve) > 0 {
			curves[c.Contender] = append(curves[c.Contender], c.Latency.Curve)
		}
	}
	for i := range sums {
		sums[i].curve = middle(curves[sums[i].contender])
	}
	return sums
}

// middle returns the median of several curves, point by point. Points where
// nothing ended are left out of it.
func middle(curves [][]time.Duration) []time.Duration {
	if len(curves) == 0 {
		return nil
	}
	out := make([]time.Duration, len(curves[0]))
	for i := range out {
		var here []time.Duration
		for _, c := range curves {
			if i < len(c) && c[i] > 0 {
				here = append(here, c[i])
			}
		}
		out[i] = median(here)
	}
	return out
}

// Losses draws the failures per switch of each contender by class, as bars on
// a logarithmic scale, so that 0.1 and 1,000 can be told from none.
func Losses(cells []*judge.Cell) string {
	sums, columns := byContender(cells), classes(cells)
	const left, right, top, row = 180, 90, 64, 24
	height := top + float64(len(sums))*row + 40
	d := newDrawing(860, height, "Failures per switch, by class (logarithmic)")
	legend(d, 12, 40, columns)
	plotWidth := d.width - left - right
	const lowest, highest = -2.0, 4.0 // 0.01 to 10,000
	x := func(n float64) float64 {
		if n <= 0 {
			return left
		}
		return left + plotWidth*math.Min(math.Max((math.Log10(n)-lowest)/(highest-lowest), 0), 1)
	}
	for e := lowest; e <= highest; e++ {
		at := left + plotWidth*(e-lowest)/(highest-lowest)
		d.line(at, top-4, at, height-36, paler, `stroke-dasharray="2 4"`)
		d.text(at, height-20, "middle", fmt.Sprintf("%g", math.Pow(10, e)))
	}
	for i, s := range sums {
		y := top + float64(i)*row
		d.text(left-8, y+14, "end", s.contender)
		all := s.perSwitch()
		if all == 0 {
			d.text(left+6, y+14, "start", "0", `font-weight="bold" fill-opacity="1"`)
			continue
		}
		// The bar's length is the sum's; its colours share that by number.
		at, length := float64(left), x(all)-left
		for j, class := range columns {
			n := s.lost[class]
			if n == 0 {
				continue
			}
			w := length * float64(n) / (all * float64(s.switches))
			d.rect(at, y+3, w, row-8, palette[j%len(palette)], fmt.Sprintf("%s: %s %d in %d switches", s.contender, class, n, s.switches))
			at += w
		}
		d.text(at+6, y+14, "start", number(all))
	}
	d.line(left, top-4, left, height-36, ink)
	return d.finish()
}

func legend(d *drawing, x, y float64, columns []load.Class) {
	for j, class := range columns {
		d.rect(x, y-9, 10, 10, palette[j%len(palette)], string(class))
		d.text(x+14, y, "start", string(class), `font-size="11"`)
		x += 30 + 6.2*float64(len(class))
	}
}

func number(n float64) string {
	switch {
	case n >= 100:
		return fmt.Sprintf("%.0f", n)
	case n >= 1:
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.2g", n)
}

// Latencies draws the 99th percentile of requests by when they began, around
// the moment when the traffic moved.
func Latencies(cells []*judge.Cell) string {
	sums := byContender(cells)
	const left, right, top, bottom = 64, 190, 40, 48
	d := newDrawing(860, 380, "99th percentile of requests around a switch (logarithmic)")
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range sums {
		for _, took := range s.curve {
			if took > 0 {
				low, high = math.Min(low, math.Log10(took.Seconds()*1000)), math.Max(high, math.Log10(took.Seconds()*1000))
			}
		}
	}
	if low > high {
		d.text(d.width/2, d.height/2, "middle", "no samples")
		return d.finish()
	}
	low, high = math.Floor(low), math.Ceil(high)
	if low == high {
		high++
	}
	width, height := d.width-left-right, d.height-top-bottom
	x := func(t time.Duration) float64 { return left + width*float64(t+judge.Reach)/float64(2*judge.Reach) }
	y := func(took time.Duration) float64 {
		return top + height*(high-math.Log10(took.Seconds()*1000))/(high-low)
	}
	for e := low; e <= high; e++ {
		at := top + height*(high-e)/(high-low)
		d.line(left, at, left+width, at, paler, `stroke-dasharray="2 4"`)
		d.text(left-6, at+4, "end", fmt.Sprintf("%g ms", math.Pow(10, e)))
	}
	for t := -judge.Reach; t <= judge.Reach; t += 100 * time.Millisecond {
		d.line(x(t), top+height, x(t), top+height+4, ink)
		d.text(x(t), top+height+18, "middle", fmt.Sprintf("%d", t.Milliseconds()))
	}
	d.text(left+width/2, d.height-8, "middle", "when the request began, ms from the moment the traffic moved")
	d.line(x(0), top, x(0), top+height, ink)
	for i, s := range sums {
		if len(s.curve) == 0 {
			continue
		}
		colour := palette[i%len(palette)]
		var points [][2]float64
		for j, took := range s.curve {
			if took > 0 {
				points = append(points, [2]float64{x(-judge.Reach + time.Duration(j)*judge.Step + judge.Step/2), y(took)})
			}
		}
		d.path(points, colour)
		at := top + 14 + float64(i)*18
		d.line(left+width+12, at-4, left+width+30, at-4, colour, `stroke-width="3"`)
		d.text(left+width+36, at, "start", s.contender)
	}
	d.line(left, top+height, left+width, top+height, ink)
	return d.finish()
}
