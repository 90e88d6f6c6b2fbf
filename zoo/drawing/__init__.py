"""Every picture of the package: image sheets, slots, charts, and the palette they share.

All are pure functions of arrays and callables and know nothing of models and data sets. `sheets`
and `slots` give pictures, `[H, W, 3]` uint8; `charts` gives SVG text. Charts import matplotlib, so
commands import them when they are about to draw.
"""
