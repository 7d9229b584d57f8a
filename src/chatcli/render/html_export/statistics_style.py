"""The style sheet of the page of statistics: for light and dark screens, wide and narrow ones, and for print."""

from __future__ import annotations

from typing import Final

from chatcli.render.html_export.stylesheet import COLORS

_CHART_COLORS: Final = """\
:root { --one: #0550ae; --two: #9a4f00; --three: #a0177c; --ok: #2f6fbf; --failed: #c01c28; --stopped: #6e7781; \
--ground: #6e7781; --grid: #d1d9e0; --pointed: #1f232814; --shade: #1f23284d; }
@media screen and (prefers-color-scheme: dark) {
:root { --one: #8cc8ff; --two: #f0b35a; --three: #ff9bd8; --ok: #5fa8f5; --failed: #ff7b72; --stopped: #9aa4ae; \
--ground: #8b949e; --grid: #30363d; --pointed: #e6edf31f; --shade: #e6edf34d; }
}
@media (forced-colors: active) {
:root { --text: CanvasText; --faint: CanvasText; --page: Canvas; --box: Canvas; --one: CanvasText; --two: CanvasText; --three: CanvasText; --ok: CanvasText; --failed: LinkText; \
--stopped: GrayText; --ground: CanvasText; --grid: GrayText; --pointed: transparent; --shade: transparent; }
}
"""
_PAGE: Final = """\
* { box-sizing: border-box; }
body { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; background: var(--page); color: var(--text); \
font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1rem; line-height: 1.3; margin: 0; }
p { margin: 0; }
header p, footer, figcaption p, .note, summary, .legend { color: var(--faint); font-size: .875rem; }
footer { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: .75rem; }
.warning { border-left: 4px solid var(--failed); background: var(--box); padding: .5rem .75rem; margin: 1rem 0 0; }
.about { display: grid; grid-template-columns: max-content auto; gap: 0 1rem; margin: .5rem 0 0; font-size: .875rem; }
.about dt { color: var(--faint); }
dd { margin: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 9.5rem), 1fr)); gap: .75rem; margin: 0; }
.tiles div { background: var(--box); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .75rem; }
.tiles dt { font-size: .875rem; color: var(--faint); }
.tiles dd { font-size: 1.35rem; line-height: 1.3; font-weight: 600; font-variant-numeric: tabular-nums; }
.tiles dd.note { font-size: .8125rem; font-weight: 400; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr)); gap: 1rem; }
figure { margin: 0; padding: .9rem 1rem 1rem; border: 1px solid var(--line); border-radius: 8px; min-width: 0; }
figure.wide { grid-column: 1 / -1; }
figcaption { margin-bottom: .9rem; }
@media (min-width: 60rem) {
.tiles { grid-template-columns: repeat(5, 1fr); }
}
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.25rem; list-style: none; margin: .4rem 0 0; padding: 0; }
.legend li { display: flex; align-items: center; gap: .5rem; }
"""
_CHARTS: Final = """\
svg { display: block; overflow: visible; }
.clipped { overflow: hidden; }
.shapes { position: absolute; }
.swatch { flex: none; }
.chart text { fill: var(--faint); font: .75rem/1 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
.columns { margin-left: 4rem; width: calc(100% - 4.5rem); }
.value { text-anchor: end; }
.moment { text-anchor: middle; }
.moment.end { text-anchor: end; }
.rows .name { font-size: .875rem; fill: var(--text); }
.rows .value { font-size: .875rem; }
.rows .ground { fill: var(--box); }
.grid { stroke: var(--grid); }
.grid.ground { stroke: var(--ground); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; vector-effect: non-scaling-stroke; }
.line.dense { stroke-width: 1.25; }
.line.one { stroke: var(--one); }
.line.two { stroke: var(--two); stroke-dasharray: 7 4; }
.line.three { stroke: var(--three); stroke-dasharray: 2 3; }
.mark.one { fill: var(--one); }
.mark.two { fill: var(--two); }
.mark.three { fill: var(--three); }
.bar.ok { fill: var(--ok); }
.bar.failed { fill: url(#hatch); stroke: var(--failed); }
.bar.stopped { fill: var(--page); stroke: var(--stopped); }
.hatched { fill: var(--page); }
.hatch { fill: var(--failed); }
.column { fill: transparent; }
.column:hover { fill: var(--pointed); }
@media (max-width: 40rem) {
.extra { display: none; }
}
"""
_TABLES: Final = """\
summary { cursor: pointer; margin-top: .75rem; width: fit-content; }
summary:focus-visible, .scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.scroll { overflow-x: auto; margin-top: .5rem; background: var(--across); \
--across: linear-gradient(to right, transparent, var(--page) 60%) 100% 0 / 3rem 100% no-repeat local, \
linear-gradient(to left, var(--shade), transparent) 100% 0 / .9rem 100% no-repeat scroll; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
table.short { width: auto; min-width: min(100%, 24rem); }
caption { text-align: left; color: var(--faint); padding: 0 0 .4rem; }
th, td { padding: .3rem .45rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
thead th { color: var(--faint); vertical-align: bottom; white-space: normal; overflow-wrap: normal; }
th:first-child { text-align: left; padding-left: 0; }
tbody th { font-weight: 400; }
tbody th.name { white-space: normal; overflow-wrap: break-word; min-width: 8.5rem; max-width: 16rem; position: sticky; left: 0; background: var(--page); }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.tall { max-height: 28rem; overflow-y: auto; \
background: var(--across), linear-gradient(transparent, var(--page) 60%) 0 100% / 100% 3rem no-repeat local, \
linear-gradient(to top, var(--shade), transparent) 0 100% / 100% .9rem no-repeat scroll; }
.tall thead th { position: sticky; top: 0; background: var(--page); }
@media (max-width: 40rem) {
tbody th.name { max-width: 9rem; }
}
"""
_PAPER: Final = """\
@media print {
body { max-width: none; padding: 0; font-size: 10pt; }
figure, .tiles div, tr { break-inside: avoid; }
h2, h3 { break-after: avoid; }
details:not([open]) { display: none; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.scroll, .tall { max-height: none; overflow: visible; background: none; }
.tall thead th { position: static; }
th, td { padding: .2rem .35rem; }
}
"""


def statistics_style() -> str:
    """Return the style sheet of the page of statistics."""
    return COLORS + _CHART_COLORS + _PAGE + _CHARTS + _TABLES + _PAPER
