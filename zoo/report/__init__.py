"""What people look at: pictures of images, charts of numbers, and one page with all of it.

`figures` and `charts` are pure functions, `page` writes the HTML report of a run. All three import
drawing libraries, so commands import them when they are about to draw.
"""
