# SPDX-License-Identifier: Apache-2.0
# Signed code distance of every comparison: all mass at 0 is what a bit-exact subject looks like. Set before: data, svg, curves.
set terminal svg size 900,420 dynamic font 'sans-serif,12'
set output svg
set title 'Signed code distance, subject against reference (log scale; the outer bins collect the rest)'
set xlabel 'distance in codes'
set ylabel 'elements'
set xrange [-17:17]
set xtics 4
set grid ytics lc rgb '#dddddd'
set key outside right top
set style fill solid 0.8 noborder
if (curves == 0) {
    set label 1 'no comparison of codes in this run' at graph 0.5,0.5 center
    unset key
    set yrange [0:1]
    plot NaN notitle
} else {
    set logscale y
    set format y '10^{%L}'
    set yrange [0.7:*]
    width = 0.8 / curves
    plot for [i=2:curves+1] data using ($1 - 0.4 + width * (i - 1.5)):(column(i) > 0 ? column(i) : NaN):(width) \
        with boxes title columnheader(i) noenhanced
}
