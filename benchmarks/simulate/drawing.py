"""The ages over time, as SVG."""

from benchmarks.simulate.ages import ages, at_percent, moments_of_interest
from benchmarks.simulate.report import duration

WIDTH, HEIGHT, LEFT, TOP, GAP = 720, 110, 70, 26, 36  # px of a panel, and around it
TICKS = 150  # moments of a curve


def drawing(worlds):
    """Return an SVG with a panel for each world: the age of the oldest and of the median waiting mail over time."""
    panels = [panel(number, scenario, world) for number, (scenario, world) in enumerate(worlds.items())]
    height = (TOP + HEIGHT + GAP) * len(worlds)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 20} {height}" '
        'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
    )
    return "\n".join([head, *panels, "</svg>\n"])


def panel(number, scenario, world):
    moments = moments_of_interest(world, scenario, TICKS)
    curves = [[at_percent(waiting, percent) for percent in (100, 50)] for waiting in ages(world, moments)]
    highest = max(max(curve) for curve in curves) or 1
    lines = "".join(
        f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="'
        + " ".join(
            f"{WIDTH * moment / moments[-1]:.1f},{HEIGHT * (1 - curve[which] / highest):.1f}"
            for moment, curve in zip(moments, curves, strict=True)
        )
        + '"/>'
        for which, colour in enumerate(("#1b5fae", "#8fb8e6"))
    )
    return (
        f'<g transform="translate({LEFT},{TOP + number * (TOP + HEIGHT + GAP)})">'
        f'<text y="-9" font-weight="bold">{scenario.title}</text>'
        f'<text x="{WIDTH}" y="-9" text-anchor="end">dark: the oldest waiting mail, light: the median</text>'
        f'<path d="M0 0V{HEIGHT}H{WIDTH}" fill="none" stroke="#7d8691"/>{lines}'
        f'<text x="-6" y="8" text-anchor="end">{duration(highest)}</text>'
        f'<text x="-6" y="{HEIGHT}" text-anchor="end">0</text><text y="{HEIGHT + 16}">0</text>'
        f'<text x="{WIDTH}" y="{HEIGHT + 16}" text-anchor="end">{duration(moments[-1])}</text></g>'
    )
