# SPDX-License-Identifier: MIT
"""Bars on a logarithmic scale, with whiskers from the least to the most of the rounds, as SVG."""
import math

WIDTH, HEIGHT = 960, 380
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 60, 40
COLOURS = {"mailrace": "#d1495b", "postfix": "#30638e", "exim": "#66a182", "sendmail": "#edae49", "opensmtpd": "#8d6a9f", "haraka": "#7a7a7a", "ceiling": "#cccccc"}


class Scale:
    """Whole decades around all values."""

    def __init__(self, values):
        self.low, self.high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        self.high += self.high == self.low

    def y(self, value):
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)

    def lines(self):
        for decade in range(self.low, self.high + 1):
            y = self.y(10.0 ** decade)
            yield '<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ddd"/>' % (LEFT, y, WIDTH - RIGHT, y)
            yield '<text x="%d" y="%.1f" text-anchor="end">%g</text>' % (LEFT - 8, y + 4, 10.0 ** decade)


def bar(x, width, values, scale, peer):
    """values: median, least, most"""
    middle, bottom = x + width / 2, HEIGHT - BOTTOM
    y, low, high = (scale.y(value) for value in values)
    yield '<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s: %.4g (%.4g to %.4g)</title></rect>' % (
        (x, y, width, bottom - y, COLOURS.get(peer, "#000"), peer) + values)
    yield '<path d="M%.1f %.1fV%.1fM%.1f %.1fh6M%.1f %.1fh6" stroke="#222" fill="none"/>' % (middle, low, high, middle - 3, low, middle - 3, high)


def legend(peers):
    x = LEFT
    for peer in peers:
        yield '<rect x="%d" y="32" width="12" height="12" fill="%s"/><text x="%d" y="42">%s</text>' % (x, COLOURS.get(peer, "#000"), x + 17, peer)
        x += 30 + 8 * len(peer)


def plot(summary, figure, title):
    """SVG of one figure of report.summary(), or None where nobody has it."""
    groups = {work: {peer: row[figure] for peer, row in rows.items() if figure in row and row[figure][1] > 0} for work, rows in summary.items()}
    groups = {work: rows for work, rows in groups.items() if rows}
    values = [value for rows in groups.values() for three in rows.values() for value in three]
    if not values:
        return None
    scale = Scale(values)
    peers = [peer for peer in COLOURS if any(peer in rows for rows in groups.values())]
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">' % (WIDTH, HEIGHT),
             '<rect width="100%" height="100%" fill="#fff"/>', '<text x="%d" y="20" font-size="15">%s</text>' % (LEFT, title)]
    parts += list(legend(peers)) + list(scale.lines())
    step = (WIDTH - LEFT - RIGHT) / len(groups)
    width = 0.8 * step / len(peers)
    for at, (work, rows) in enumerate(groups.items()):
        x = LEFT + at * step + 0.1 * step
        parts.append('<text x="%.1f" y="%d" text-anchor="middle">%s</text>' % (LEFT + (at + 0.5) * step, HEIGHT - BOTTOM + 20, work))
        for n, peer in enumerate(peers):
            if peer in rows:
                parts += bar(x + n * width, width * 0.92, rows[peer], scale, peer)
    return "\n".join(parts) + "\n</svg>\n"


PLOTS = (
    ("rates", "rcpts_per_s", "Recipients a second, from the first byte handed over to the last arrival (more is better)"),
    ("cpu", "cpu_ms_per_rcpt", "Milliseconds of CPU a recipient, all processes of the server (less is better)"),
    ("memory", "rss_mb", "Peak memory in MB (less is better)"),
    ("written", "written_per_rcpt", "Bytes written to disk a recipient (less is better)"),
)


def all_plots(summary):
    """{name: SVG}"""
    return {name: svg for name, svg in ((name, plot(summary, figure, title)) for name, figure, title in PLOTS) if svg}
