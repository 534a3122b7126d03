"""Looks at a page as a browser shows it, without a network. Ends with 0 if all is well; prints what is not.

    check_page.py PAGE SELECTOR...      each SELECTOR must be visible, wholly within the width, at 360 and at 1440 pixels

Needs Chromium, and from PyPI playwright and axe-playwright-python; ends with 69 where one is missing.
"""

import pathlib
import shutil
import sys

try:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright
except ImportError as missing:
    print(f"{missing.name} is missing")
    sys.exit(69)

browser_path = shutil.which("chromium")
if browser_path is None:
    print("chromium is missing")
    sys.exit(69)

page_path, selectors = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
problems = []
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
    for scheme in ["light", "dark"]:
        for width in [360, 1440]:
            where = f"{width} px, {scheme}"
            context = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
            page = context.new_page()
            # Whatever the page asks for beside itself is a fault, and so is what it complains about.
            page.on("request", lambda request: request.url == page_path.as_uri() or problems.append(
                f"{where}: it asks for {request.url}"))
            page.on("console", lambda message: problems.append(f"{where}: {message.text}"))
            page.goto(page_path.as_uri())
            if page.evaluate("document.documentElement.scrollWidth") > width:
                problems.append(f"{where}: it is wider than the window")
            for selector in selectors:
                boxes = [element.bounding_box() for element in page.query_selector_all(selector)]
                if not boxes or any(
                        box is None or box["x"] < 0 or box["x"] + box["width"] > width or not box["height"]
                        for box in boxes):
                    problems.append(f"{where}: {selector} is not shown whole")
            for details in page.query_selector_all("details"):
                details.evaluate("element => { element.open = true }")
            if page.evaluate("document.documentElement.scrollWidth") > width:
                problems.append(f"{where}: it is wider than the window with all its details")
            for violation in Axe().run(page).response["violations"]:
                nodes = "; ".join(node["html"][:80] for node in violation["nodes"][:3])
                problems.append(f"{where}: {violation['id']} ({violation['impact']}): {nodes}")
            context.close()
    browser.close()
print("\n".join(problems))
sys.exit(1 if problems else 0)
