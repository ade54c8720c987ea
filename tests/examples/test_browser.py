"""What a person sees: the page and /docs in a real browser. With --pictures=FOLDER, screenshots are kept."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from alembic import command
from app.main import create_app
from seed import seed
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import Select

from onetrip import AsyncDatabase, Settings
from tests.harness.missing import missing
from tests.harness.wait import until, until_async

from .conftest import alembic_config

QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--window-size=1100,860")  # fmt: skip


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[WebDriver]:
    """Start headless Chromium."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        missing("Chromium", "apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (*QUIET, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture
async def address(database_url: str) -> AsyncIterator[str]:
    """Serve the application over HTTP, with three users of forty tasks each."""
    await asyncio.to_thread(command.upgrade, alembic_config(database_url), "head")
    await asyncio.to_thread(seed, database_url, 3, 40)
    app = create_app(AsyncDatabase(settings=Settings(database_url=database_url, tier="test")))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    serving = asyncio.ensure_future(server.serve())
    await until_async(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.fixture
def picture(browser: WebDriver, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Keep a screenshot where --pictures says."""
    folder = request.config.getoption("--pictures")

    def keep(name: str) -> None:
        if folder:
            browser.save_screenshot(Path(folder) / name)

    return keep


class Page:
    """The page as a person uses it."""

    def __init__(self, browser: WebDriver) -> None:
        self.browser = browser

    def one(self, selector: str) -> Any:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def titles(self, selector: str = "#tasks .title") -> list[str]:
        """Read them all at one moment: between two moments the page may have drawn the list anew."""
        script = "return [...document.querySelectorAll(arguments[0])].map(title => title.textContent)"
        titles: list[str] = self.browser.execute_script(script, selector)
        return titles

    def wait_for(self, condition: Callable[[list[str]], bool], selector: str = "#tasks .title") -> None:
        until(lambda: condition(self.titles(selector)), message=lambda: f"{self.titles(selector)}")

    def box_of(self, title: str) -> Any:
        return self.browser.find_element(By.XPATH, f"//li[.//*[text()='{title}']]//input[@type='checkbox']")


async def test_a_task_is_added_completed_and_found(
    browser: WebDriver, address: str, picture: Callable[[str], None]
) -> None:
    """Through the page alone; what was done is still done after a reload."""
    await asyncio.to_thread(_use_the_page, browser, address, picture)


def _use_the_page(browser: WebDriver, address: str, picture: Callable[[str], None]) -> None:
    browser.get(address)
    page = Page(browser)
    page.wait_for(lambda titles: len(titles) > 5)

    page.one("#add [name=title]").send_keys("Renew the kayak licence")
    Select(page.one("#add [name=priority]")).select_by_value("high")
    page.one("#add button").click()
    page.wait_for(lambda titles: titles[:1] == ["Renew the kayak licence"])

    page.box_of("Renew the kayak licence").click()
    page.wait_for(
        lambda titles: titles == ["Renew the kayak licence"],
        "#tasks .done .title:first-child, li.done:first-child .title",
    )
    picture("tasks.png")

    page.one("#look [name=q]").send_keys("kayak")
    page.wait_for(lambda titles: titles == ["Renew the kayak licence"])
    picture("search.png")

    browser.refresh()
    page.wait_for(lambda titles: "Renew the kayak licence" in titles)
    assert page.box_of("Renew the kayak licence").is_selected()
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


async def test_markup_in_a_title_stays_text(browser: WebDriver, address: str) -> None:
    """What one user writes is shown, never run."""
    await asyncio.to_thread(_write_markup, browser, address)


def _write_markup(browser: WebDriver, address: str) -> None:
    browser.get(address)
    page = Page(browser)
    page.wait_for(lambda titles: len(titles) > 5)
    evil = "<img src=x onerror=\"document.title='taken'\">"
    page.one("#add [name=title]").send_keys(evil)
    page.one("#add button").click()
    page.wait_for(lambda titles: titles[:1] == [evil])
    assert browser.title == "Tasks"


async def test_docs_describe_the_api(browser: WebDriver, address: str, picture: Callable[[str], None]) -> None:
    """/docs renders without any network, with every operation on it."""
    await asyncio.to_thread(_read_the_docs, browser, address, picture)


def _read_the_docs(browser: WebDriver, address: str, picture: Callable[[str], None]) -> None:
    browser.get(f"{address}/docs")
    operations = ".opblock-summary-path"
    until(lambda: len(browser.find_elements(By.CSS_SELECTOR, operations)) >= 6, timeout=15)
    paths = {element.text.replace("\u200b", "") for element in browser.find_elements(By.CSS_SELECTOR, operations)}
    assert {"/api/{user_id}/tasks", "/api/{user_id}/tasks/{task_id}"} <= paths
    picture("docs.png")
