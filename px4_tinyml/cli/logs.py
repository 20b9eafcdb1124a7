"""px4-tinyml logs: list and download the logs on a vehicle."""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from px4_tinyml.cli import options
from px4_tinyml.errors import LinkError, SpecError

if TYPE_CHECKING:
    from px4_tinyml.link.log_download import LogClient, LogEntry

log = logging.getLogger(__name__)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `logs`."""
    parser.description = (
        "List the logs on a vehicle's card, or download them over MAVLink. An interrupted download resumes when the "
        "command is run again."
    )
    actions = parser.add_subparsers(dest="action", metavar="list|get", required=True)
    listing = actions.add_parser("list", help="list the logs", description="List number, time and size of each log.")
    get = actions.add_parser("get", help="download logs", description="Download logs, oldest first.")
    for action in (listing, get):
        options.add_url(action, wait_s=10.0)
        options.add_json(action, "print JSON")
    which = get.add_mutually_exclusive_group(required=True)
    which.add_argument("numbers", type=int, nargs="*", default=[], metavar="ID", help="numbers from `logs list`")
    which.add_argument("--last", action="store_true", help="the newest log")
    which.add_argument("--all", action="store_true", help="all logs")
    get.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")


def run(args: argparse.Namespace) -> int:
    """List or download."""
    from px4_tinyml.link.connection import Link
    from px4_tinyml.link.log_download import LogClient
    from px4_tinyml.link.vehicle import choose
    from px4_tinyml.mavlink.signing import SigningKey

    key = SigningKey.read(args.signing_key) if args.signing_key else None
    with Link(args.url, signing=key) as link:
        client = LogClient(link, choose(link, args.system, args.wait))
        entries = client.list()
        if args.action == "list":
            _show(entries, args.json)
            return 0
        results = [_fetch(client, entry, args.out) for entry in _chosen(entries, args)]
    if args.json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
    else:
        for result in results:
            print(result["file"])
    return 0


def _show(entries: list[LogEntry], as_json: bool) -> None:
    if as_json:
        print(json.dumps([_facts(entry) for entry in entries], indent=2))
        return
    if not entries:
        log.info("no logs on the vehicle")
    for entry in entries:
        print(f"{entry.number:5d}  {_facts(entry)['time_utc'] or 'time unknown':20s}  {entry.size / 1e6:9.3f} MB")


def _facts(entry: LogEntry) -> dict[str, Any]:
    known = entry.time_utc >= 10**8
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.time_utc)) if known else None
    return {"id": entry.number, "time_utc": when, "bytes": entry.size}


def _chosen(entries: list[LogEntry], args: argparse.Namespace) -> list[LogEntry]:
    """The requested ones, oldest first; empty ones only when named."""
    if args.numbers:
        by_number = {entry.number: entry for entry in entries}
        unknown = [str(number) for number in args.numbers if number not in by_number]
        if unknown:
            known = ", ".join(map(str, sorted(by_number))) or "none"
            raise SpecError(f"no log {', '.join(unknown)} on the vehicle; it has: {known}")
        return [by_number[number] for number in args.numbers]
    full = [entry for entry in entries if entry.size]
    if not full:
        raise LinkError("no log on the vehicle yet: PX4 writes one from arming to disarming")
    return full[-1:] if args.last else full


def _fetch(client: LogClient, entry: LogEntry, folder: Path) -> dict[str, Any]:
    """Download one, with a progress bar; its facts."""
    from px4_tinyml.progress import bar

    began = time.monotonic()
    with bar(desc=f"log {entry.number}", total=entry.size, unit="B", unit_scale=True) as shown:
        path = client.download(entry, folder / entry.stem, lambda size: shown.update(size - shown.n))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    seconds = time.monotonic() - began
    log.info("%s: %d bytes in %.1f s, sha256 %s", path, entry.size, seconds, digest)
    return {**_facts(entry), "file": str(path), "sha256": digest, "seconds": round(seconds, 2)}
