# SPDX-License-Identifier: Apache-2.0
# Layout x stage: grey nothing compared, green all equal, red something differed. Set before: data, svg, columns, rows and the tics.
height = 140 + 22 * (rows > 0 ? rows : 4)
set terminal svg size 900,height dynamic font 'sans-serif,12'
set output svg
set title 'Layouts and stages: every state against the unsharded truth (green equal, red different, grey nothing there to compare)'
unset key
unset colorbox
set palette defined (0 '#dddddd', 1 '#4c9f50', 2 '#c62828') maxcolors 3
set cbrange [0:2]
if (rows == 0) {
    unset xtics
    unset ytics
    set xrange [0:1]
    set yrange [0:1]
    set label 1 'no pipeline case in this run' at graph 0.5,0.5 center
    plot NaN notitle
} else {
    set xrange [-0.5:columns-0.5]
    set yrange [rows-0.5:-0.5]
    set xtics rotate by 30 right noenhanced scale 0
    set ytics noenhanced scale 0
    set style fill solid border lc rgb 'white'
    plot data using 1:2:(0.48):(0.48):3 with boxxyerror lc palette notitle
}
