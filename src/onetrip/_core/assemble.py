"""Settings from what was given, still unchecked: URLs read, gaps filled by tier and URL, contradictions found."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from onetrip._core import pair, tiers
from onetrip._core.complaints import in_one_line, unknown_tier
from onetrip._core.endpoint import POOLERS
from onetrip._core.found import Found
from onetrip._core.names import near_misses
from onetrip._core.secrets import remember
from onetrip._core.url import DatabaseUrl, parse_url
from onetrip.errors import ConfigurationError

URL, MIGRATION, PASSWORD, PASSWORD_FILE = "database_url", "migration_database_url", "password", "password_file"
Urls = dict[str, DatabaseUrl]


def read_urls(values: dict[str, Any], found: Found, environment: Mapping[str, str]) -> Urls:
    """Parse both URLs and remember what in them is secret; one that cannot be read becomes a problem."""
    if found.where.get(URL) == "argument":
        _ignore(MIGRATION, values, found)
    urls: Urls = {}
    for name in (URL, MIGRATION):
        text = values.get(name)
        if not isinstance(text, str):
            continue
        try:
            urls[name] = _placed(parse_url(text, name=found.called(name)), environment)
        except ConfigurationError as error:
            remember(text.strip())  # which part is the password, nobody knows
            found.problems.append(in_one_line(error))
        else:
            for secret in urls[name].secrets():
                remember(secret)
    if found.where.get(URL) == "argument" and URL in urls and urls[URL].password is not None:
        _ignore(PASSWORD_FILE, values, found)
    return urls


def _placed(url: DatabaseUrl, environment: Mapping[str, str]) -> DatabaseUrl:
    """Name the host that drivers take from PGHOST where the URL has none: a remote one gets TLS."""
    host, port = environment.get("PGHOST"), environment.get("PGPORT", "")
    if url.hosts or not host:
        return url
    taken = parse_url(f"postgresql:///?host={quote(host)}" + (f"&port={port}" if port else ""), name="PGHOST, PGPORT")
    return replace(url, hosts=taken.hosts)


def _ignore(name: str, values: dict[str, Any], found: Found) -> None:
    """Drop what stands in the environment for another URL than the one in the code."""
    if found.where.get(name, "argument") != "argument":
        found.adjusted[name] = f"{found.called(name)} ignored: it belongs to another URL than the one given"
        del values[name], found.where[name]


def fill_in(values: dict[str, Any], found: Found, urls: Urls, environment: Mapping[str, str]) -> None:
    """Add what was not given, from the URL, the tier and the kind of machine."""
    for name, meant in near_misses(found.variables, found.where).items():
        found.problems.append(f"{name} is set, which is nothing we read; did you mean {meant}?")
    tier = _fill_tier(values, found)
    if url := urls.get(URL):
        _fill_from_url(values, found, url)
    _fill_pool(values, found, tier, tiers.function_runtime(environment))
    if URL not in values and tier not in tiers.MAY_EMBED and not any(_is_about_url(line) for line in found.problems):
        found.problems.append(f"DATABASE_URL is not set, and {tier} has no database of its own; set it")


def contradictions(values: Mapping[str, Any], found: Found, urls: Urls) -> Iterator[str]:
    """Yield, one line each, which values do not go together."""
    low, high = _number(values["pool_min"]), _number(values["pool_max"])
    if low is not None and high is not None and high < low:
        ours, theirs = found.called("pool_max"), found.called("pool_min")
        yield f"{ours} is {high:g} but {theirs} is {low:g}; raise {ours} or lower {theirs}"
    if MIGRATION in urls and URL in urls:
        names = (found.called(URL), found.called(MIGRATION))
        yield from pair.contradictions(
            urls[URL], urls[MIGRATION], names, pooler if (pooler := values.get("pooler")) in POOLERS else "auto"
        )
    elif MIGRATION in urls and URL not in values:
        yield f"{found.called(MIGRATION)} is set but DATABASE_URL is not; set both or neither"
    if PASSWORD_FILE in values:
        yield from _second_passwords(values, found, urls)


def _second_passwords(values: Mapping[str, Any], found: Found, urls: Urls) -> Iterator[str]:
    ours = found.called(PASSWORD_FILE)
    if values.get(PASSWORD) is not None:
        yield f"both {found.called(PASSWORD)} and {ours} are given; keep one of them"
    if URL not in values:
        yield f"{ours} is set but DATABASE_URL is not; set both or neither"
    elif URL in urls and urls[URL].password is not None:
        yield f"{found.called(URL)} holds a password and {ours} names another; keep one of them"


def _is_about_url(line: str) -> bool:
    return line.startswith(("DATABASE_URL", "both DATABASE_URL"))


def _fill_tier(values: dict[str, Any], found: Found) -> tiers.Tier:
    given = values.get("tier")
    if given is None:
        return "development"
    tier = tiers.tier_named(given) if isinstance(given, str) else None
    if tier is None:
        found.problems.append(unknown_tier(found.called("tier"), str(given)))
        del values["tier"]
        return "development"
    values["tier"] = tier
    return tier


def _fill_from_url(values: dict[str, Any], found: Found, url: DatabaseUrl) -> None:
    derived = f"derived from {found.called(URL)}"
    if url.driver and "driver" not in values:
        values["driver"], found.where["driver"] = url.driver, derived
    elif url.driver and url.driver != values["driver"]:
        found.adjusted["driver"] = f"the scheme of {found.called(URL)} asks for {url.driver}, and is overruled"
    if "pooler" not in values and url.params.get("pgbouncer", "").lower() in {"true", "1"}:
        values["pooler"], found.where["pooler"] = "transaction", derived
    timeout = url.params.get("connect_timeout")
    if timeout is None or "connect_timeout" in values:
        return
    if _number(timeout) is not None and float(timeout) <= 0:
        found.adjusted["connect_timeout"] = f"connect_timeout={timeout} in the URL would wait without end"
    else:
        values["connect_timeout"], found.where["connect_timeout"] = timeout, derived


def _fill_pool(values: dict[str, Any], found: Found, tier: tiers.Tier, runtime: str | None) -> None:
    """Take the tier's sizes; a size that was given bends the other, a function runtime needs one connection."""
    low, high = tiers.POOL[tier]
    low_why = high_why = f"a function runtime ({runtime}) serves one request at a time"
    given_low, given_high = _number(values.get("pool_min")), _number(values.get("pool_max"))
    fitting_low, fitting_high = (0, 1) if runtime else (low, high)
    if given_high is not None and given_high < fitting_low:
        fitting_low, low_why = max(int(given_high), 0), f"{found.called('pool_max')} allows no more"
    if given_low is not None and given_low > fitting_high:
        fitting_high, high_why = min(int(given_low), 100), f"{found.called('pool_min')} asks for as many"
    for name, usual, fitting, why in (
        ("pool_min", low, fitting_low, low_why),
        ("pool_max", high, fitting_high, high_why),
    ):
        if name not in values:
            values[name], found.where[name] = fitting, f"default for {tier}"
            if fitting != usual:
                found.adjusted[name] = f"{usual} became {fitting}: {why}"


def _number(value: object) -> float | None:
    """Read a number that nobody has checked yet."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if abs(number) < 1e9 else None  # neither nan nor inf
