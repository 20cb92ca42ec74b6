"""One picture of the rates: bars, each figure with a scale of its own."""

import statistics
from xml.sax.saxutils import escape

import report

WIDTH, NAME, BAR, ROW, GAP = 760, 150, 460, 20, 34
COLOURS = {"smtpd": "#1f6f8b", "smtpd-2": "#4c91a8",
           "smtpd-nojournal": "#7fb3c4",
           "canned": "#bbbbbb"}
OTHER = "#d08c60"
SHOWN = ("one", "many", "large", "hello", "starttls", "idle", "lmtp",
         "lmtp-large")


def text(x, y, what, more=""):
    return f'<text x="{x:.0f}" y="{y:.0f}" {more}>{escape(what)}</text>'


def panel(b, figure, y):
    """Its elements, and where the next one begins."""
    rows = [(name, [r["rate"] for r in found])
            for (key, name), found in b.rows.items() if key == figure.key]
    less = "; less is better" * (figure.unit == "KiB")
    out = [text(0, y + 14, f"{figure.title} ({figure.unit}{less})",
                'font-weight="bold"')]
    y += 22
    most = max((max(rates) for _, rates in rows), default=1) or 1
    for name, rates in rows:
        value = statistics.median(rates)
        width = BAR * value / most
        out.append(text(0, y + 14, name))
        out.append(f'<rect x="{NAME}" y="{y + 2}" width="{width:.1f}" '
                   f'height="{ROW - 5}" fill="{COLOURS.get(name, OTHER)}"/>')
        low, high = (NAME + BAR * f(rates) / most for f in (min, max))
        out.append(f'<path d="M{low:.1f} {y + 9.5}H{high:.1f}" '
                   'stroke="#222222"/>')
        out.append(text(NAME + BAR * max(rates) / most + 6, y + 14,
                        report.number(value)))
        y += ROW
    return out, y + GAP - ROW


def write(b, figures, path):
    out, y = [], 0
    for figure in figures:
        if figure.key in SHOWN:
            more, y = panel(b, figure, y)
            out += more
    note = "medians, with the lowest and the highest of the rounds"
    out.append(text(0, y + 14, note, 'fill="#666666"'))
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
        f'height="{y + 40}" viewBox="-20 -10 {WIDTH} {y + 40}" '
        'font-family="sans-serif" font-size="13">\n'
        '<rect x="-20" y="-10" width="100%" height="100%" fill="white"/>\n'
        + "\n".join(out) + "\n</svg>\n")
