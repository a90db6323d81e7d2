# SPDX-License-Identifier: Apache-2.0
# Time per case, the slowest at the top. Set before: data, svg, bars and the tics.
height = 120 + 18 * (bars > 0 ? bars : 4)
set terminal svg size 1200,height dynamic font 'sans-serif,11'
set output svg
set title 'Time per case, the slowest first'
unset key
if (bars == 0) {
    unset xtics
    unset ytics
    set xrange [0:1]
    set yrange [0:1]
    set label 1 'no case in this run' at graph 0.5,0.5 center
    plot NaN notitle
} else {
    set xlabel 'seconds'
    set xrange [0:*]
    set yrange [bars-0.5:-0.5]
    set ytics noenhanced scale 0 font 'monospace,9'
    set grid xtics lc rgb '#dddddd'
    set style fill solid 0.8 noborder
    plot data using ($2/2):1:($2/2):(0.4) with boxxyerror lc rgb '#3f6fb5' notitle
}
