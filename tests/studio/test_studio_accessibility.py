"""axe-core finds nothing against WCAG 2.2 A and AA in any state of the studio."""

import pytest
from studio_pages import host, opened

axe_playwright = pytest.importorskip("axe_playwright_python.base")

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN = "(rules) => axe.run({ runOnly: rules })"


def start(page):
    return page.idle()


def chosen(page):
    page.choose(1)


def changed(page):
    page.choose(0)
    page.press("[data-do='0']")
    page.press("#anew")


def pinned(page):
    page.press("#pin")
    page.set("#seed", 3)
    page.choose(0)
    page.press("#swap")


def compared(page):
    changed(page)
    page.press("#mode-wipe")
    for details in ("nearby", "own", "keep"):
        page.press(f"#{details} summary")


def toured(page):
    page.press("#tour-start")
    page.press("#elsewhere") if page.page.is_visible("#elsewhere") else None


def classed(page):
    page.page.select_option("#classes label:nth-child(1) select", label="square")
    page.idle()
    page.press("#pin")


STATES = [start, chosen, changed, pinned, compared, toured]


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_violations(browser, tiny_site, labelled_site, scheme, width):
    from axe_playwright_python.sync_playwright import Axe

    source = Axe().axe_script
    sites = [(reach, tiny_site) for reach in STATES] + [(classed, labelled_site)]
    for reach, site in sites:
        with (
            host(site) as address,
            opened(
                browser,
                address,
                color_scheme=scheme,
                # Halfway from one colour to the next a contrast is of neither.
                reduced_motion="reduce",
                viewport={"width": width, "height": 900},
            ) as page,
        ):
            reach(page)
            page.page.evaluate(source)
            found = page.page.evaluate(RUN, RULES)["violations"]
            told = [
                (one["id"], [node["html"][:120] for node in one["nodes"]])
                for one in found
            ]
            assert not told, (reach.__name__, told)
            wide = page.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{reach.__name__}: the page scrolls sideways"
