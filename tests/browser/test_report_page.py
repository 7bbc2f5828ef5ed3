"""What a person must see of a report, in a real browser.

EBM_CHROMIUM names the browser's program, EBM_SCREENSHOTS a folder for pictures of the page.
"""

import json

import pytest

from tests.browser.conftest import PHONE

pytestmark = pytest.mark.browser

LUMINANCE = """(colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
        .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}"""


def drawn(page, where):
    """What a canvas shows."""
    return page.locator(where).evaluate("canvas => canvas.toDataURL()")


def test_samples_are_seen_at_a_readable_size_and_a_click_shows_them_large(reader):
    page = reader.open()
    sheet = page.locator("#samples .sheet canvas").first
    assert sheet.bounding_box()["width"] > 300
    width = sheet.evaluate("canvas => canvas.width")
    assert (width + 3) % (64 + 3) == 0  # images of 8 pixels, each 8 wide, with lines of 3 between
    assert sheet.bounding_box()["width"] == width
    assert drawn(page, "#samples .sheet canvas >> nth=0") != drawn(
        page, "#samples .sheet canvas >> nth=2"
    )
    page.locator("#samples .zoom").first.click()
    large = page.locator("dialog canvas")
    assert page.locator("dialog").is_visible()
    assert large.evaluate("c => c.width * c.height") > sheet.evaluate("c => c.width * c.height")
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()


def test_slider_keys_and_play_move_the_chains_and_their_label(reader):
    page = reader.open()
    slider, where = page.locator("#slider"), page.locator("#where")
    assert where.inner_text() == "Grid 8 × 8, Langevin step 30 of 30"
    end = drawn(page, "#stage")
    slider.fill("0")
    assert where.inner_text() == "Grid 1 × 1: the start, drawn from the data's mean colours"
    assert drawn(page, "#stage") != end
    slider.press("ArrowRight")
    assert where.inner_text() == "Grid 2 × 2: the start, grid 1 enlarged"
    start = drawn(page, "#stage")
    page.locator("#stage").focus()
    page.keyboard.press("ArrowRight")
    assert drawn(page, "#stage") != start
    assert where.inner_text() == "Grid 2 × 2, Langevin step 5 of 30"
    page.keyboard.press("End")
    assert drawn(page, "#stage") == end
    page.get_by_role("button", name="2 × 2", exact=True).click()
    assert where.inner_text() == "Grid 2 × 2, Langevin step 30 of 30"


def test_play_runs_to_the_end_and_pause_stops_it(reader):
    page = reader.open()
    page.clock.install()
    page.reload()
    page.wait_for_function("document.getElementById('slider').max > 0")
    page.get_by_role("button", name="Play the chains").click()
    page.clock.run_for(1000)
    page.get_by_role("button", name="Pause the chains").click()
    moved = int(page.locator("#slider").input_value())
    assert 1 <= moved < 14
    page.clock.run_for(10_000)
    assert int(page.locator("#slider").input_value()) == moved
    page.get_by_role("button", name="Play the chains").click()
    page.clock.run_for(20_000)
    assert page.locator("#where").inner_text() == "Grid 8 × 8, Langevin step 30 of 30"
    assert page.get_by_role("button", name="Play the chains").is_visible()


def test_fill_ins_have_a_legend_line_by_line_and_numbers_beside_them(reader):
    page = reader.open()
    picture, numbers = page.locator(".hole canvas").first, page.locator(".hole .numbers").first
    box, beside = picture.bounding_box(), numbers.bounding_box()
    assert beside["x"] > box["x"] + box["width"]
    assert "0.7517" in numbers.inner_text() and "11.5" in numbers.inner_text()
    assert "0.4375" in numbers.inner_text()
    lines = page.locator(".hole .rows li")
    places = {line.inner_text(): line.bounding_box() for line in lines.all()}
    assert list(places) == [
        "original",
        "masked",
        "4 completions by the model",
        "nearest training image",
        "diffusion",
    ]
    row = box["height"] / 8
    for top, place in zip((0, 1, 2, 6, 7), places.values(), strict=True):
        assert abs(place["y"] - (box["y"] + top * row)) < row / 4
    copies = page.locator("#copies")
    assert copies.locator("canvas").is_visible() and "copy" in copies.inner_text()


def test_classifiers_curve_has_its_lines_error_bars_and_table(reader):
    page = reader.open()
    curve = page.locator(".few")
    assert curve.locator(".plot path.few-line").count() == 4
    assert curve.locator(".point").count() == 8
    assert curve.locator(".error-bar").count() == 6  # raw pixels have no spread
    points = json.loads(page.locator("#few-data").inner_text())["lines"][0]["cells"]
    shown = [
        (top["y"] + top["height"] / 2)
        for top in (p.bounding_box() for p in curve.locator("g.own").first.locator(".touch").all())
    ]
    assert (shown[1] - shown[0]) * (points[1]["value"] - points[0]["value"]) < 0
    curve.locator("g.own .point").first.hover()
    assert page.locator(".tip").inner_text() == "features of the EBM, 20 labels: 33.13 ± 2 %"
    table = page.locator("table.errors")
    assert table.locator("tbody tr").count() == 4
    assert "33.12" in table.inner_text() and "same network from scratch" in table.inner_text()
    assert page.locator("table.margins").is_visible()


def test_curves_and_where_the_results_come_from_are_there(reader):
    page = reader.open()
    assert page.locator("#curves .chart svg path").count() >= 2
    assert "healthy" in page.locator("#curves").inner_text()
    assert (
        "python -m tasks train multigrid-digits-joint joint"
        in page.locator("#lineage").inner_text()
    )
    page.locator("#lineage summary").click()
    assert "d41d8cd9.dir" in page.locator("#lineage").inner_text()
    assert "multigrid-digits-joint" in page.locator("#repeat").inner_text()


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_nothing_is_wider_than_the_screen(reader, width):
    page = reader.open({"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_the_paper_in_both_schemes(reader, scheme):
    page = reader.open(scheme=scheme)
    paper = page.evaluate(f"({LUMINANCE})(getComputedStyle(document.body).backgroundColor)")
    assert (paper < 0.2) == (scheme == "dark")
    for where in ("h1", "figcaption", ".word.better", "nav a", "#lineage td", ".rows li", "small"):
        ink = page.locator(where).first.evaluate(f"(e) => ({LUMINANCE})(getComputedStyle(e).color)")
        light, dark = max(ink, paper), min(ink, paper)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, where
    reader.keep(page, f"wide-{scheme}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_all(reader, scheme):
    page = reader.open(PHONE, scheme, device_scale_factor=3, is_mobile=True, has_touch=True)
    for section in ("samples", "copies", "chains", "apply", "classify", "curves"):
        assert page.locator(f"#{section}").is_visible()
    assert page.locator("#samples canvas").first.bounding_box()["width"] > 250
    page.locator("#samples .zoom").first.tap()
    assert page.locator("dialog canvas").is_visible()
    page.get_by_role("button", name="Close the picture").tap()
    reader.keep(page, f"phone-{scheme}")


def test_every_picture_and_control_has_a_name(reader):
    page = reader.open()
    nameless = page.evaluate("""() => [...document.querySelectorAll(
        "img, canvas, button, input, svg[role], [role=region]")]
        .filter((e) => e.closest("dialog") === null)
        .filter((e) => !(e.alt || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby")
            || e.textContent.trim()))
        .map((e) => e.outerHTML.slice(0, 100))""")
    assert nameless == []


def test_without_scripts_the_pictures_and_tables_are_there(reader):
    page = reader.open(java_script_enabled=False)
    assert page.locator("#samples img").first.is_visible()
    assert page.locator("#samples img").first.bounding_box()["width"] >= 40
    assert page.locator("table.errors").is_visible()
